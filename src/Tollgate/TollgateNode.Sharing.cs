using Microsoft.Extensions.Logging;
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
    private bool _toldAway;

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

    /// <summary>What is not as it should be while calls are taken all the same; null when nothing is.</summary>
    public string? Impaired => string.Join(" And ", Impairments()) is { Length: > 0 } all ? all : null;

    private IEnumerable<string> Impairments()
    {
        if (Feed.Silence > Options.StaleFor)
            yield return $"stale: no news of other nodes for {Feed.Silence.TotalSeconds:F0} s. Is PostgreSQL up? Each plan's " +
                "when_stale says what happens.";
        if (!Database.IsAttached)
            yield return $"it began with its own table of {_tableOf:u}, since PostgreSQL does not answer: what changed later it " +
                "does not know.";
        if (Table.Leases is { IsAway: true })
            yield return "limits are not shared: Redis does not answer. Each plan's limits_unavailable says what happens.";
        if (PassingUnrecorded is { } unrecorded) yield return unrecorded;
    }

    private static void CheckSharing(TollgateOptions options)
    {
        if (options.Redis is null) return;
        if (options.TestClock is not null)
            throw new StartupException("--test-clock is for one node; leave --redis away.");
        if (options.Database is null)
            throw new StartupException("--redis shares limits between nodes, which need a store that they share: --database.");
    }

    /// <summary>Before the table is loaded: what others used until they knew of this node is in it then.</summary>
    /// <param name="makeKnown">Lets the other nodes know of this one.</param>
    private async Task BeginSharingAsync(Func<Leases, Task> makeKnown)
    {
        if (Options.Redis is not { } address) return;
        // a process that counts anew is another one
        _counters = await SharedCounters.OpenAsync(address, $"{Guid.NewGuid():n}");
        var leases = new Leases(_counters, Clocks.Machine, Registry);
        await ProbeAsync(leases);
        await makeKnown(leases);
        Table.Leases = leases;
        Table.Purses = new SharedPurses(_counters, leases, Journal, () => Drain.Position, Clocks.Machine);
        Loop("reaching Redis", s_probeEvery, () => ProbeAsync(leases));
        Loop("leases of limits", s_sweepEvery, leases.SweepAsync);
    }

    private async Task ProbeAsync(Leases leases)
    {
        await leases.ProbeAsync(Clocks.Business);
        if (leases.IsAway == _toldAway) return;
        _toldAway = leases.IsAway;
        var (where, why) = leases.Where;
        if (!_toldAway) _log.LogInformation("Redis {Address} answers: limits are shared.", where);
        else
            _log.LogWarning("Redis {Address} does not answer: limits are not shared until it does, and each plan's " +
                "limits_unavailable says what happens. {Why}", where, why);
    }

    private async Task EndSharingAsync()
    {
        if (_counters is null) return;
        if (Table.Leases is { } leases) await GuardAsync("giving leases back", leases.ReturnAllAsync);
        await _counters.DisposeAsync();
    }
}
