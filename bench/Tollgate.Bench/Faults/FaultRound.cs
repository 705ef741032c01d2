using System.Collections.Concurrent;
using System.Globalization;
using System.Text.RegularExpressions;
using Tollgate.IntegrationTests;

namespace Tollgate.Bench;

/// <summary>
/// Three nodes with a PostgreSQL and a Redis of their own under load, while faults come; then everything is mended, and what
/// callers were told is compared with what is in the ledger. The plans say <c>closed</c>, so that no fault lets more in.
/// </summary>
internal sealed class FaultRound(int number, int seed, TimeSpan length)
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data, slow: GET /api/v1/slow } }
        plans:
          free: { operations: [data] }
          fixed: { operations: [data], limits: [600/minute], limits_unavailable: closed }
          sliding: { operations: [data], limits: [{ limit: 300, per: minute, window: sliding }], limits_unavailable: closed }
          bucket: { operations: [data], limits: [{ limit: 5, per: second, window: bucket, burst: 20 }], limits_unavailable: closed }
          few: { operations: [slow], limits: [{ concurrent: 4 }], limits_unavailable: closed }
          quota: { operations: [data], quotas: [{ meter: calls, allowance: 1500, per: month, overage: block }], limits_unavailable: closed }
        """;

    private const int Callers = 12;

    private readonly ConcurrentDictionary<string, string> _answered = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<int, int> _statuses = new();
    private readonly Dictionary<string, string> _keys = [];
    private volatile bool _ended;
    private Cluster _cluster = null!;
    private int _slow, _mostSlow, _broken, _unknown;
    private DateTimeOffset _made;

    public async Task<FaultResult> RunAsync(CancellationToken stop)
    {
        // Redis keeps what it is told: that is how it is to be run
        var folder = Directory.CreateTempSubdirectory("tollgate-redis-").FullName;
        try
        {
            _cluster = await Cluster.StartAsync(
                Plans, links: true, ofRedis: ["--appendonly", "yes", "--dir", folder], more: ["--stale-for", "5"]);
            _cluster.Upstream.Answer = AnswerAsync;
            foreach (var plan in FaultChecks.Plans) _keys[plan] = await _cluster.SubscribeAsync(plan, plan);
            // a node that starts without PostgreSQL knows the keys of its own table only
            await _cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_table_behind") == 0);
            // logs say whole seconds
            _made = DateTimeOffset.FromUnixTimeSeconds(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds());
            var faults = new FaultPlay(_cluster, seed);
            var load = Enumerable.Range(0, Callers).Select(i => Task.Run(() => CallAsync(new Random(seed + i)), stop)).ToArray();
            await faults.RunAsync(length, stop);
            _ended = true;
            await Task.WhenAll(load);
            return await ProveAsync(faults, stop);
        }
        finally
        {
            if (_cluster is not null) await _cluster.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task<FaultResult> ProveAsync(FaultPlay faults, CancellationToken stop)
    {
        var problems = new List<string>();
        await FaultPlay.UntilAsync(async () =>
        {
            foreach (var node in _cluster.Nodes)
                if (await node.TextAsync("/readyz") != "ready" || await node.MetricAsync("tollgate_drain_lag_records") > 0) return false;
            return true;
        }, "the nodes did not come to rest", problems);
        var checks = new FaultChecks(_cluster, _answered, problems);
        var result = await checks.RunAsync(_mostSlow);
        foreach (var node in _cluster.Nodes) await node.StopAsync();
        var (code, words) = await ServerProcess.RunAsync(_cluster.Folder, "verify",
            "--data", string.Join(',', _cluster.Nodes.Select(n => n.Data)), "--database", _cluster.Nodes[0].Database);
        if (code != 0) problems.Add($"verify: {words.Trim()}");

        stop.ThrowIfCancellationRequested();
        return result with
        {
            Round = number,
            Seed = seed,
            Seconds = length.TotalSeconds,
            Faults = faults.Done,
            Broken = _broken,
            Refused = _statuses.GetValueOrDefault(429),
            Unavailable = _statuses.GetValueOrDefault(503),
            Unknown = _unknown,
            Problems = [.. problems, .. _statuses.Keys.Where(s => s is not (200 or 429 or 503 or 502))
                .Select(s => string.Create(CultureInfo.InvariantCulture, $"{_statuses[s]} answers with the status {s}"))],
        };
    }

    private async Task CallAsync(Random random)
    {
        while (!_ended)
        {
            var up = _cluster.Nodes.Where(n => n.IsUp).ToArray();
            if (up.Length > 0) await CallAsync(up[random.Next(up.Length)], FaultChecks.Plans[random.Next(FaultChecks.Plans.Length)]);
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(5, 40)), TimeProvider.System);
        }
    }

    private async Task CallAsync(Cluster.Member node, string plan)
    {
        try
        {
            using var answer = await node.CallAsync(_keys[plan], plan == "few" ? "/api/v1/slow" : "/api/v1/data");
            await answer.Content.ReadAsByteArrayAsync();
            if ((int)answer.StatusCode == 401 && BeganBefore(node))
            {
                Interlocked.Increment(ref _unknown);
                return;
            }

            _statuses.AddOrUpdate((int)answer.StatusCode, 1, (_, n) => n + 1);
            if ((int)answer.StatusCode == 200) _answered[answer.Headers.GetValues("X-Request-Id").Single()] = plan;
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            // nobody knows what became of it: it may be counted, once
            Interlocked.Increment(ref _broken);
        }
    }

    /// <summary>Whether the node says that it began with a table of before the keys were made.</summary>
    private bool BeganBefore(Cluster.Member node) => node.IsUp
        && Regex.Matches(node.Output, @"begins with its own table of (\S+ \S+Z)\.") is [.., var last]
        && DateTimeOffset.Parse(last.Groups[1].Value, CultureInfo.InvariantCulture) < _made;

    private async Task AnswerAsync(Microsoft.AspNetCore.Http.HttpContext context)
    {
        if (!context.Request.Path.Value!.EndsWith("slow", StringComparison.Ordinal)) return;
        var now = Interlocked.Increment(ref _slow);
        for (var seen = Volatile.Read(ref _mostSlow); now > seen; seen = Volatile.Read(ref _mostSlow))
            Interlocked.CompareExchange(ref _mostSlow, now, seen);
        try
        {
            await Task.Delay(TimeSpan.FromMilliseconds(30), TimeProvider.System, context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            // its node was killed
        }
        finally
        {
            Interlocked.Decrement(ref _slow);
        }
    }
}
