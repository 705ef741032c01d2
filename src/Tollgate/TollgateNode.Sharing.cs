using Tollgate.Gateway;
using Tollgate.Storage;

namespace Tollgate;

/// <content>Limits that this node shares with others, by a Redis.</content>
public sealed partial class TollgateNode
{
    /// <summary>Windows are cut by each node's own clock: further apart than this, and two of them are in different ones.
    /// </summary>
    private static readonly TimeSpan s_mostSkew = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_probeEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_sweepEvery = TimeSpan.FromMilliseconds(100);

    private SharedCounters? _counters;
    private volatile bool _leaving;

    /// <summary>Told to stop: it takes calls, and wants no more.</summary>
    public bool IsLeaving
    {
        get => _leaving;
        set => _leaving = value;
    }

    /// <summary>Why this node must not get calls for now; null when it may.</summary>
    public string? Unready => IsLeaving ? "stopping: calls that come are still taken" : Refusing
        ?? (Table.Leases is { IsAway: false } leases && leases.Skew.Duration() > s_mostSkew
            ? $"the clock is {leases.Skew.TotalSeconds:F1} s away from that of Redis. Is NTP running?" : null);

    /// <summary>What is not as it should be while calls are taken all the same.</summary>
    public string? Impaired => Feed.Silence > Options.StaleFor
        ? $"stale: no news of other nodes for {Feed.Silence.TotalSeconds:F0} s. Is PostgreSQL up? Each plan's when_stale " +
            "says what happens."
        : !Database.IsAttached
        ? $"it began with its own table of {_tableOf:u}, since PostgreSQL does not answer."
        : Table.Leases is { IsAway: true }
            ? "limits are not shared: Redis does not answer. Each plan's limits_unavailable says what happens."
            : PassingUnrecorded;

    private static void CheckSharing(TollgateOptions options)
    {
        if (options.Redis is null) return;
        if (options.TestClock is not null)
            throw new StartupException("--test-clock is for one node; leave --redis away.");
        if (options.Database is null)
            throw new StartupException("--redis shares limits between nodes, which need a store that they share: --database.");
    }

    private async Task BeginSharingAsync()
    {
        if (Options.Redis is not { } address) return;
        // a process that counts anew is another one
        _counters = await SharedCounters.OpenAsync(address, $"{Guid.NewGuid():n}");
        var leases = new Leases(_counters, Clocks.Machine, Registry);
        await leases.ProbeAsync(Clocks.Business);
        await leases.ListenAsync();
        Table.Leases = leases;
        Loop("the clock of Redis", s_probeEvery, () => leases.ProbeAsync(Clocks.Business));
        Loop("leases of limits", s_sweepEvery, leases.SweepAsync);
    }

    private async Task EndSharingAsync()
    {
        if (_counters is null) return;
        if (Table.Leases is { } leases) await GuardAsync("giving leases back", leases.ReturnAllAsync);
        await _counters.DisposeAsync();
    }
}
