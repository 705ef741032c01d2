using System.Diagnostics;
using System.Net;
using StackExchange.Redis;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

/// <summary>Three nodes on one PostgreSQL and one Redis: a limit is a limit of all of them together.</summary>
public sealed class SharedLimitsTests : IAsyncLifetime
{
    private const string Missing = "PostgreSQL and Redis are not installed: dotnet dev.cs install";

    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { all: GET /v1/public/data } }
        plans:
          limited: { operations: [all], limits: [100/day] }
          quota: { operations: [all], quotas: [{ meter: calls, allowance: 60, per: month, overage: block }] }
          closed: { operations: [all], limits: [100/day], limits_unavailable: closed }
          open: { operations: [all], limits: [90/day], limits_unavailable: open }
          share: { operations: [all], limits: [90/day] }
        """;

    private readonly List<TempFolder> _folders = [];
    private readonly List<TestServer> _nodes = [];
    private TestUpstream _upstream = null!;
    private RedisServer _redis = null!;

    public static bool IsInstalled => PostgresServer.IsInstalled && RedisServer.IsInstalled;

    public async ValueTask InitializeAsync()
    {
        if (!IsInstalled) return;
        _redis = RedisServer.Start();
        _upstream = await TestUpstream.StartAsync();
        var where = PostgresServer.Shared.Empty();
        for (var i = 0; i < 3; i++)
        {
            var folder = new TempFolder();
            _folders.Add(folder);
            if (i > 0)
            {
                var data = Directory.CreateDirectory(Path.Combine(folder.Path, "data"));
                File.Copy(Path.Combine(_folders[0].Path, "data", "install.key"), Path.Combine(data.FullName, "install.key"));
            }

            _nodes.Add(await TestServer.StartAsync(Plans, _upstream, folder,
                change: o => o with { Database = where, Redis = _redis.Address, TestClock = null }));
        }

        // each second a node counts the others, and its fair part is of as many
        for (var i = 0; i < 500 && _nodes.Any(n => n.Node.Table.Leases!.Nodes < 3); i++) await Task.Delay(20);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes) await node.DisposeAsync();
        foreach (var folder in _folders) folder.Dispose();
        if (_upstream is not null) await _upstream.DisposeAsync();
        _redis?.Dispose();
    }

    [Theory(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    [InlineData("limited", 100)]
    [InlineData("quota", 60)]
    public async Task All_nodes_together_admit_exactly_the_limit(string plan, int limit)
    {
        var key = await SubscribeAsync(plan);
        // the calls by which the nodes were found to know the key
        var admitted = 3;
        await Task.WhenAll(_nodes.SelectMany(n => Enumerable.Repeat(n, 6)).Select(n => Task.Run(async () =>
        {
            var refused = new Stopwatch();
            while (refused.Elapsed < TimeSpan.FromMilliseconds(900))
            {
                using var answer = await n.CallAsync("/v1/public/data", key);
                if (answer.StatusCode == HttpStatusCode.OK)
                {
                    Interlocked.Increment(ref admitted);
                    refused.Reset();
                    continue;
                }

                Assert.Equal(HttpStatusCode.TooManyRequests, answer.StatusCode);
                refused.Start();
                await Task.Delay(5, TestContext.Current.CancellationToken);
            }
        })));
        Assert.Equal(limit, admitted);
        // one counter, whichever node asks: nothing of a process is in its name
        Assert.Single(await KeysAsync());
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Each_plan_says_what_happens_while_redis_is_away()
    {
        var (closed, open, share) =
            (await SubscribeAsync("closed"), await SubscribeAsync("open"), await SubscribeAsync("share"));
        _redis.Stop();
        await UntilAsync(_nodes[0], closed, HttpStatusCode.ServiceUnavailable);
        Assert.Contains("limits are not shared", await _nodes[0].TextAsync("/readyz"), StringComparison.Ordinal);
        using (var answer = await _nodes[0].CallAsync("/v1/public/data", open))
            Assert.Equal((HttpStatusCode.OK, "open"), (answer.StatusCode, answer.Headers.GetValues("Tollgate-Limits").Single()));
        var admitted = 0;
        for (var i = 0; i < 90; i++)
        {
            using var answer = await _nodes[0].CallAsync("/v1/public/data", share);
            Assert.Equal("share", answer.Headers.GetValues("Tollgate-Limits").Single());
            if (answer.StatusCode == HttpStatusCode.OK) admitted++;
        }

        // a third of what nobody had
        Assert.InRange(admitted, 25, 32);
        Assert.Contains("tollgate_limits_degraded_total{choice=\"share\"} 90", await _nodes[0].TextAsync("/metrics"),
            StringComparison.Ordinal);

        // it comes back empty, and is told again what was spent
        _redis.Restart();
        await UntilAsync(_nodes[0], closed, HttpStatusCode.OK);
        using var after = await _nodes[0].CallAsync("/v1/public/data", share);
        Assert.False(after.Headers.Contains("Tollgate-Limits"));
        var left = int.Parse(after.Headers.GetValues("X-RateLimit-Remaining-Day").Single());
        // never more than is there; less while the other nodes still hold leases
        Assert.InRange(left, 60 - admitted, 90 - admitted - 1);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_frozen_redis_holds_a_call_up_once_and_for_a_moment()
    {
        var key = await SubscribeAsync("share");
        _redis.Freeze();
        try
        {
            // a lease that is still good may be spent first; without a bound each of forty calls would wait for its time-out
            var slowest = TimeSpan.Zero;
            for (var i = 0; i < 40; i++)
            {
                var watch = Stopwatch.StartNew();
                using var answer = await _nodes[1].CallAsync("/v1/public/data", key);
                if (watch.Elapsed > slowest) slowest = watch.Elapsed;
            }

            Assert.InRange(slowest, TimeSpan.Zero, TimeSpan.FromSeconds(20));
            // known by the first question that nobody answers: a call's, or the probe's
            for (var i = 0; i < 500 && !await SaysAwayAsync(_nodes[1]); i++) await Task.Delay(20);
            Assert.True(await SaysAwayAsync(_nodes[1]));
        }
        finally
        {
            _redis.Thaw();
        }

        await UntilAsync(_nodes[1], key, HttpStatusCode.OK, degraded: false);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_test_clock_a_file_or_no_redis_where_one_is_named_refuse_to_start()
    {
        foreach (var (options, says) in new (Func<TollgateOptions, TollgateOptions>, string)[]
        {
            (o => o with { Redis = _redis.Address }, "--test-clock"),
            (o => o with { Redis = _redis.Address, TestClock = null, Database = null }, "--database"),
            (o => o with { Redis = "redis://secret@h", TestClock = null, Database = PostgresServer.Shared.Empty() }, "--redis"),
            (o => o with { Redis = "redis://:pw@127.0.0.1:1", TestClock = null, Database = PostgresServer.Shared.Empty() },
                "cannot be reached"),
        })
        {
            var e = await Assert.ThrowsAsync<StartupException>(() => TestServer.StartAsync(change: options));
            Assert.Contains(says, e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("secret", e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("pw", e.Message, StringComparison.Ordinal);
        }
    }

    private async Task<string> SubscribeAsync(string plan)
    {
        var key = await _nodes[0].SubscribeAsync(plan, plan);
        foreach (var node in _nodes) await UntilAsync(node, key, HttpStatusCode.OK);
        return key;
    }

    private static async Task UntilAsync(TestServer node, string key, HttpStatusCode status, bool degraded = true)
    {
        for (var i = 0; i < 500; i++)
        {
            using var answer = await node.CallAsync("/v1/public/data", key);
            if (answer.StatusCode == status && (degraded || !answer.Headers.Contains("Tollgate-Limits"))) return;
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        Assert.Fail($"The node did not come to answer {status}.");
    }

    private static async Task<bool> SaysAwayAsync(TestServer node) =>
        (await node.TextAsync("/metrics")).Contains("tollgate_redis_up 0", StringComparison.Ordinal);

    private async Task<List<string>> KeysAsync()
    {
        await using var redis = await ConnectionMultiplexer.ConnectAsync(_redis.Address["redis://".Length..]);
        return [.. redis.GetServers()[0].Keys(pattern: "tollgate:*").Select(k => k.ToString())];
    }
}
