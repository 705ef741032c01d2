using System.Collections.Concurrent;
using Prometheus;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>
/// Leases of the limits and quotas that nodes share: asks for more where a call waits, renews what is in use before
/// anybody has to wait, and gives back what lies idle.
/// </summary>
public sealed partial class Leases
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(5);
    private const int MostTries = 4;

    /// <summary>Within so long after Redis is back all nodes have heard from it and said what they used; milliseconds.</summary>
    private const long Grace = 500;

    private long _backAt = long.MinValue / 2;

    private readonly SharedCounters _counters;
    private readonly TimeProvider _machine;
    private readonly long _started;
    private readonly ConcurrentDictionary<string, Sharer> _watched = new(StringComparer.Ordinal);
    private readonly Counter _questions;
    private readonly Counter _waits;
    private readonly Counter.Child[] _degraded;
    private readonly Gauge _up;
    private readonly Gauge _count;
    private int _nodes = 1, _ofStore = 1;
    private long _tryAt;
    private int _times;
    private TimeProvider? _business;

    public Leases(SharedCounters counters, TimeProvider machine, CollectorRegistry registry)
    {
        (_counters, _machine, _started) = (counters, machine, machine.GetTimestamp());
        var metrics = Metrics.WithCustomRegistry(registry);
        _questions = metrics.CreateCounter("tollgate_lease_questions_total", "Questions to Redis about shared limits.");
        _waits = metrics.CreateCounter("tollgate_lease_waits_total", "Calls that waited for a lease of a shared limit.");
        _up = metrics.CreateGauge("tollgate_redis_up", "1 while the Redis of shared limits answers.");
        _count = metrics.CreateGauge("tollgate_nodes", "Nodes that share limits, as this one knows.");
        var degraded = metrics.CreateCounter("tollgate_limits_degraded_total",
            "Calls decided while the Redis of shared limits was away, by what their plan says.", "choice");
        _degraded = [.. Enum.GetValues<Sharing>().Select(s => s <= Sharing.Leased ? null! : degraded.WithLabels(NameOf(s)))];
    }

    /// <summary>How many nodes share the limits, 1 or more: those that the store knows, or that listen at Redis when they are
    /// more. While Redis is away nobody is taken off: what a node that ended had as its part may be spent.</summary>
    public int Nodes
    {
        get
        {
            lock (_watched) return _nodes;
        }
    }

    /// <summary>How many nodes the store knows to be alive.</summary>
    public void Alive(int nodes)
    {
        lock (_watched)
        {
            _ofStore = nodes;
            _nodes = Math.Max(IsAway ? _nodes : 1, nodes);
            if (!IsAway) _nodes = Math.Max(_nodes, _counters.Nodes);
            _count.Set(_nodes);
        }
    }

    public bool IsAway => _counters.IsAway;

    /// <summary>Redis was away until a moment ago: other nodes may have used what they have not said yet.</summary>
    internal bool IsJustBack => Now - Volatile.Read(ref _backAt) < Grace;

    /// <summary>Finds a sharer that is not watched, since nothing is to be said of it now. Set by the table.</summary>
    internal Func<string, Sharer?> FindIdle { get; set; } = _ => null;

    /// <summary>All pools there are, also those that are not watched since nobody calls. Set by the table.</summary>
    internal Func<IEnumerable<Pool>> Pools { get; set; } = () => [];

    /// <summary>How many are looked after: who has called lately, or has something leased.</summary>
    internal int Watched => _watched.Count;

    /// <summary>How far the clocks of this node and of Redis are apart.</summary>
    public TimeSpan Skew => _counters.Skew;

    /// <summary>Machine time in milliseconds since the start.</summary>
    internal long Now => (long)_machine.GetElapsedTime(_started).TotalMilliseconds;

    internal TimeProvider Machine => _machine;

    /// <summary>Nothing is called any more.</summary>
    internal bool IsEnding { get; private set; }

    /// <summary>Business time in microseconds; 0 before Redis was looked for.</summary>
    internal long BusinessNow => Volatile.Read(ref _business) is { } clock ? Micros.Now(clock) : 0;

    /// <summary>How often Redis has come back.</summary>
    internal int Times => Volatile.Read(ref _times);

    /// <summary>Questions to Redis since the start, and times that a call waited for one.</summary>
    internal double Questions => _questions.Value;

    internal double Waits => _waits.Value;

    internal static string NameOf(Sharing sharing) => sharing.ToString().ToLowerInvariant();

    /// <summary>Host and port of Redis, and why it was last not reached.</summary>
    public (string Address, string? Trouble) Where => (_counters.Address, _counters.Trouble);

    /// <summary>Whether Redis is there. Before it is asked anything for the first time, this node hears who needs what lies
    /// idle here.</summary>
    public async Task ProbeAsync(TimeProvider business)
    {
        Volatile.Write(ref _business, business);
        if (!_counters.IsListening && Now >= _tryAt)
        {
            await _counters.ListenAsync(GiveBack);
            _tryAt = Now + 1_000;
        }

        var wasAway = IsAway;
        if (_counters.IsListening) await _counters.ProbeAsync(business);
        if (wasAway && !IsAway)
        {
            Volatile.Write(ref _backAt, Now);
            // it may have forgotten what it was told
            Interlocked.Increment(ref _times);
            foreach (var (_, sharer) in _watched) _ = AskAsync(sharer, soon: true);
            foreach (var pool in Pools().Where(p => p.HasTold)) _ = AskAsync(pool, soon: true);
        }

        _up.Set(_counters.IsAway ? 0 : 1);
        Alive(_ofStore);
    }

    private void GiveBack(string key)
    {
        var tag = key.AsSpan(key.IndexOf('{', StringComparison.Ordinal) + 1);
        var end = tag.IndexOf('}');
        if (end > 0 && Find(tag[..end].ToString()) is { } sharer && sharer.GivesBack(key))
            _ = AskAsync(sharer);
    }

    /// <summary>Ten times a second: renews and gives back.</summary>
    public Task SweepAsync()
    {
        Sweep(returnAll: false);
        return Task.CompletedTask;
    }

    /// <summary>At a stop, when no call is under way: the others may have all that is left.</summary>
    public async Task ReturnAllAsync()
    {
        IsEnding = true;
        // what is asked just now gives nothing back
        await Task.WhenAll(_watched.Values.Select(s => s.Asking ?? Task.CompletedTask));
        await Task.WhenAll(Sweep(returnAll: true));
    }

    /// <summary>Asks for what calls wait for. Then they are decided again.</summary>
    /// <param name="sharer">Whose limits.</param>
    /// <param name="soon">Nobody waits: it may go together with what else is asked within some milliseconds.</param>
    /// <returns>False when Redis does not answer.</returns>
    internal Task<bool> AskAsync(Sharer sharer, bool soon = false)
    {
        lock (sharer)
        {
            if (sharer.Asking is { IsCompleted: false } underWay) return underWay;
            return sharer.Asking = soon && !_counters.IsCluster && sharer is Pool pool ? GatherAsync(pool) : AskOnceAsync(sharer);
        }
    }

    /// <summary>Looks after it until there is nothing to be said.</summary>
    internal void Watch(Sharer sharer) => _watched.TryAdd(sharer.Tag, sharer);

    internal Task<bool> WaitAsync(Sharer sharer)
    {
        _waits.Inc();
        return AskAsync(sharer);
    }

    internal void Asks() => _questions.Inc();

    internal void Degraded(Sharing sharing) => _degraded[(int)sharing].Inc();

    private Sharer? Find(string tag) => _watched.GetValueOrDefault(tag) ?? FindIdle(tag);

    private void Leave(string tag, Sharer sharer)
    {
        _watched.TryRemove(tag, out _);
        // somebody may have called just now
        if (sharer.Sweep(Now, returnAll: false) is not (false, false)) Watch(sharer);
    }

    private List<Task> Sweep(bool returnAll)
    {
        var asked = new List<Task>();
        if (IsAway) return asked;
        var now = Now;
        foreach (var (id, sharer) in _watched)
        {
            var (overdue, watched) = sharer.Sweep(now, returnAll);
            if (overdue) asked.Add(AskAsync(sharer, soon: true));
            else if (!watched) Leave(id, sharer);
        }

        return asked;
    }

    private async Task<bool> AskOnceAsync(Sharer sharer)
    {
        // the caller holds the sharer's lock
        await Task.Yield();
        for (var tries = 1; ; tries++)
        {
            _watched.TryAdd(sharer.Tag, sharer);
            switch (await sharer.AskAsync(_counters, this, last: tries == MostTries))
            {
                case null:
                    _up.Set(0);
                    return false;
                case false: return true;
            }

            if (tries == MostTries) return true;
            await Task.Delay(s_pause, _machine);
        }
    }
}
