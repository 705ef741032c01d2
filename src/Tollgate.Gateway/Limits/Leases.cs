using System.Collections.Concurrent;
using Prometheus;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>
/// Leases of the limits and quotas that nodes share: asks for more where a call waits, renews what is in use before
/// anybody has to wait, and gives back what lies idle.
/// </summary>
public sealed class Leases
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(5);
    private const int MostTries = 4;

    private readonly SharedCounters _counters;
    private readonly TimeProvider _machine;
    private readonly long _started;
    private readonly ConcurrentDictionary<string, Pool> _watched = new(StringComparer.Ordinal);
    private readonly Counter _questions;
    private readonly Counter _waits;
    private readonly Counter.Child[] _degraded;
    private readonly Gauge _up;

    public Leases(SharedCounters counters, TimeProvider machine, CollectorRegistry registry)
    {
        (_counters, _machine, _started) = (counters, machine, machine.GetTimestamp());
        var metrics = Metrics.WithCustomRegistry(registry);
        _questions = metrics.CreateCounter("tollgate_lease_questions_total", "Questions to Redis about shared limits.");
        _waits = metrics.CreateCounter("tollgate_lease_waits_total", "Calls that waited for a lease of a shared limit.");
        _up = metrics.CreateGauge("tollgate_redis_up", "1 while the Redis of shared limits answers.");
        var degraded = metrics.CreateCounter("tollgate_limits_degraded_total",
            "Calls decided while the Redis of shared limits was away, by what their plan says.", "choice");
        _degraded = [.. Enum.GetValues<Sharing>().Select(s => s <= Sharing.Leased ? null! : degraded.WithLabels(NameOf(s)))];
    }

    /// <summary>How many nodes share the limits, as was last heard; 1 or more.</summary>
    public int Nodes { get; set; } = 1;

    public bool IsAway => _counters.IsAway;

    /// <summary>How far the clocks of this node and of Redis are apart.</summary>
    public TimeSpan Skew => _counters.Skew;

    /// <summary>Machine time in milliseconds since the start.</summary>
    internal long Now => (long)_machine.GetElapsedTime(_started).TotalMilliseconds;

    internal static string NameOf(Sharing sharing) => sharing.ToString().ToLowerInvariant();

    public Task ListenAsync() => _counters.OnWantedAsync(key =>
    {
        var tag = key.AsSpan(key.IndexOf('{', StringComparison.Ordinal) + 1);
        var end = tag.IndexOf('}');
        if (end > 0 && _watched.TryGetValue(tag[..end].ToString(), out var pool) && pool.GivesBack(key)) _ = AskAsync(pool);
    });

    /// <summary>Whether Redis is there.</summary>
    public async Task ProbeAsync(TimeProvider business)
    {
        await _counters.ProbeAsync(business);
        _up.Set(_counters.IsAway ? 0 : 1);
    }

    /// <summary>Ten times a second: renews and gives back.</summary>
    public Task SweepAsync()
    {
        Sweep(returnAll: false);
        return Task.CompletedTask;
    }

    /// <summary>At a stop, when no call is under way: the others may have all that is left.</summary>
    public Task ReturnAllAsync() => Task.WhenAll(Sweep(returnAll: true));

    /// <summary>Asks for what calls of this subscription wait for. Then they are decided again.</summary>
    /// <returns>False when Redis does not answer.</returns>
    internal Task<bool> AskAsync(Pool pool)
    {
        lock (pool) return pool.Asking is { IsCompleted: false } underWay ? underWay : pool.Asking = AskOnceAsync(pool);
    }

    internal Task<bool> WaitAsync(Pool pool)
    {
        _waits.Inc();
        return AskAsync(pool);
    }

    internal void Degraded(Sharing sharing) => _degraded[(int)sharing].Inc();

    private List<Task> Sweep(bool returnAll)
    {
        var asked = new List<Task>();
        if (IsAway) return asked;
        foreach (var (id, pool) in _watched)
        {
            var (overdue, watched) = pool.Sweep(Now, returnAll);
            if (overdue) asked.Add(AskAsync(pool));
            else if (!watched) _watched.TryRemove(id, out _);
        }

        return asked;
    }

    private async Task<bool> AskOnceAsync(Pool pool)
    {
        // the caller holds the pool's lock
        await Task.Yield();
        for (var tries = 1; ; tries++)
        {
            var askedAt = Now;
            var asked = pool.Questions(askedAt);
            if (asked.Length == 0) return true;
            _watched.TryAdd(pool.Subscription, pool);
            _questions.Inc();
            if (await _counters.AskAsync(Array.ConvertAll(asked, a => a.Question)) is not { } answers)
            {
                _up.Set(0);
                return false;
            }

            if (!pool.TakeLeases(asked, answers, askedAt, Now, last: tries == MostTries)) return true;
            await Task.Delay(s_pause, _machine);
        }
    }
}
