using System.Diagnostics;
using NodaTime;
using Prometheus;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway;
using Tollgate.Storage;

namespace Tollgate.Bench;

/// <summary>
/// What a node has of limits: a pool for each key, and leases over a real Redis unless it counts alone. It is called at a rate,
/// not as fast as it can: who falls behind catches up.
/// </summary>
internal sealed class LeaseNode : IAsyncDisposable
{
    private const int MostTries = 8, MostTimes = 1_000_000;

    private readonly SharedCounters? _counters;
    private readonly Leases? _leases;
    private readonly Pool[] _pools;
    private readonly BoundTerms[] _bound;
    private readonly int[] _picks;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loops;
    private readonly List<double> _waitsMs = [];
    private long[] _waitedIn = [];
    private int _pick;
    private long _calls, _waited, _refused;

    private LeaseNode(SharedCounters? counters, CollectorRegistry registry, LeaseLoad load, int seed)
    {
        _counters = counters;
        _leases = counters is null ? null : new Leases(counters, TimeProvider.System, registry);
        var addresses = new AddressBudget(1);
        _pools = [.. Enumerable.Range(0, load.Keys).Select(k => new Pool(addresses, $"sub_{k}", _leases))];
        var now = Micros.Now(TimeProvider.System);
        _bound = [.. _pools.Select((pool, k) => pool.Bind(load.TermsOf(k), Of(k), now))];
        if (_leases is not null)
            _leases.FindIdle = tag => _pools[int.Parse(tag.AsSpan(4), System.Globalization.CultureInfo.InvariantCulture)];
        _picks = load.Picks(new Random(seed));
        _loops = _leases is null ? Task.CompletedTask : Task.WhenAll(
            EachAsync(250, () => _leases.ProbeAsync(TimeProvider.System)), EachAsync(100, _leases.SweepAsync));
    }

    /// <summary>To Redis, since the start.</summary>
    public double Questions => _leases?.Questions ?? 0;

    public static async Task<LeaseNode> StartAsync(string? redis, LeaseLoad load, int seed)
    {
        var counters = redis is null ? null : await SharedCounters.OpenAsync(redis, $"{Guid.NewGuid():n}");
        var node = new LeaseNode(counters, Metrics.NewCustomRegistry(), load, seed);
        if (node._leases is { } leases)
        {
            await leases.ProbeAsync(TimeProvider.System);
            if (leases.IsAway) throw new BenchException("Redis does not answer");
        }

        return node;
    }

    /// <summary>Calls for so many seconds.</summary>
    public async Task<LeaseTurn> RunAsync(double perSecond, int seconds, CancellationToken stop)
    {
        (_calls, _waited, _refused, _waitedIn) = (0, 0, 0, new long[seconds + 1]);
        lock (_waitsMs) _waitsMs.Clear();
        var began = Stopwatch.GetTimestamp();
        var most = 0L;
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        while (await timer.WaitForNextTickAsync(stop))
        {
            var elapsed = Stopwatch.GetElapsedTime(began).TotalSeconds;
            if (elapsed >= seconds) break;
            var due = (long)(elapsed * perSecond) - _calls;
            most = Math.Max(most, due);
            for (; due > 0; due--) Call(_picks[_pick++ & (_picks.Length - 1)], (int)elapsed);
        }

        lock (_waitsMs)
            return new LeaseTurn(_calls, Interlocked.Read(ref _waited), Interlocked.Read(ref _refused), _waitedIn.Max(),
                most / perSecond * 1_000, [.. _waitsMs]);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loops;
        if (_counters is not null) await _counters.DisposeAsync();
        _stop.Dispose();
    }

    private void Call(int key, int second)
    {
        _calls++;
        if (Try(key, out var decision)) return;
        if (!decision.NeedsLease)
        {
            Interlocked.Increment(ref _refused);
            return;
        }

        _waitedIn[second]++;
        Interlocked.Increment(ref _waited);
        _ = WaitAsync(key);
    }

    private async Task WaitAsync(int key)
    {
        var began = Stopwatch.GetTimestamp();
        var (admitted, again) = (false, true);
        for (var tries = 0; again && tries < MostTries; tries++)
        {
            await _leases!.WaitAsync(_pools[key]);
            admitted = Try(key, out var decision);
            again = decision.NeedsLease;
        }

        if (!admitted) Interlocked.Increment(ref _refused);
        lock (_waitsMs)
            if (_waitsMs.Count < MostTimes) _waitsMs.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
    }

    private bool Try(int key, out Decision decision)
    {
        var pool = _pools[key];
        decision = new Decision
        {
            Units = 1, Bound = _bound[key], Pool = pool,
            Sharing = _leases is null ? Sharing.None : _leases.IsAway ? Sharing.Closed : Sharing.Leased,
        };
        decision.Violated = pool.TryTake(_bound[key], default, "", Micros.Now(TimeProvider.System), take: true, ref decision);
        if (decision.Violated >= 0 || decision.IsHeldUp) return false;
        if (decision.RenewsLease) _ = _leases!.AskAsync(pool, soon: true);
        pool.Settle(ref decision, 0, 1);
        return true;
    }

    private async Task EachAsync(int pauseMs, Func<Task> work)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(pauseMs), TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token)) await work();
        }
        catch (OperationCanceledException)
        {
            // the end
        }
    }

    private static Entitlement Of(int key) => new()
    {
        Key = key + 1, SubscriptionId = $"sub_{key}", CustomerKey = key + 1, PlanId = "plan", PlanVersion = 1, Priority = 0,
        StartAt = 0, EndAt = null, Anchor = new LocalDate(2026, 1, 1), Timezone = "UTC",
    };
}

/// <summary>How one node was called.</summary>
/// <param name="Calls">Decided.</param>
/// <param name="Waited">Of those, had to ask Redis first.</param>
/// <param name="Refused">Of those, were not admitted.</param>
/// <param name="MostInASecond">Waited in the worst second: the first of a minute.</param>
/// <param name="LatestMs">How far it was behind its rate at the worst moment.</param>
/// <param name="WaitsMs">How long the waiting ones waited.</param>
internal sealed record LeaseTurn(
    long Calls, long Waited, long Refused, long MostInASecond, double LatestMs, IReadOnlyList<double> WaitsMs);

/// <summary>Whom a turn calls: the k-th of all keys in proportion to k^−1.1.</summary>
internal sealed class LeaseLoad
{
    private readonly double[] _shares;
    private readonly Terms[] _terms;

    /// <param name="keys">How many.</param>
    /// <param name="median">Calls a minute of the key in the middle.</param>
    /// <param name="headroom">The limits of a key are at least so many times, and less than twice that, of what it calls.</param>
    public LeaseLoad(int keys, double median, double headroom)
    {
        var weights = Enumerable.Range(1, keys).Select(k => Math.Pow(k, -Zipf.Exponent)).ToArray();
        var all = weights.Sum();
        _shares = Array.ConvertAll(weights, w => w / all);
        PerSecond = median / 60 / _shares[(keys / 2) - 1];
        var known = new Dictionary<long, Terms>();
        _terms = Array.ConvertAll(_shares, share =>
        {
            var minute = 1L << (int)Math.Ceiling(Math.Log2(Math.Max(1, headroom * share * PerSecond * 60)));
            return known.TryGetValue(minute, out var terms) ? terms : known[minute] = TermsOf(minute);
        });
    }

    public int Keys => _shares.Length;

    /// <summary>Of all keys and nodes.</summary>
    public double PerSecond { get; }

    public Terms TermsOf(int key) => _terms[key];

    /// <summary>So many calls in a row, a power of two, that they are as good as chance.</summary>
    public int[] Picks(Random random)
    {
        var upTo = new double[_shares.Length];
        var sum = 0.0;
        for (var k = 0; k < upTo.Length; k++) upTo[k] = sum += _shares[k];
        return [.. Enumerable.Range(0, 1 << 22).Select(_ =>
        {
            var at = Array.BinarySearch(upTo, random.NextDouble());
            return Math.Min(upTo.Length - 1, at < 0 ? ~at : at);
        })];
    }

    // the three counters of the other benches: a minute, an hour, a quota that blocks
    private static Terms TermsOf(long minute) => new(
        new[] { $"{minute}/minute", $"{60 * minute}/hour" }.Select(l => Limit.TryParse(l)!),
        [new CompiledQuota(new Quota("calls", "calls", 24 * 60 * 31 * minute), _ => [], Tollgate.Catalog.Interval.Month)],
        HeaderFamilies.Kong);
}
