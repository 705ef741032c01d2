using Microsoft.Extensions.Logging;
using Prometheus;
using Tollgate.Catalog;
using Tollgate.Gateway;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate;

/// <summary>
/// The other nodes on the same store: hears what they change, says how far our journal is, and holds invoices back
/// while one of theirs may still hold usage. On the embedded store there are none, and this does nothing.
/// </summary>
internal sealed class Peers(TollgateNode node, ILogger log)
{
    private static readonly TimeSpan s_again = TimeSpan.FromMilliseconds(500);

    // several beats, so that one that was late counts all the same
    private static readonly TimeSpan s_alive = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(10);

    // between the instant of an admission and its record there are microseconds
    private const long MarginMicros = Micros.PerSecond;

    private readonly JournalRegistry _registry = new(node.Database, node.Clocks);
    private readonly Gauge _silence = Metrics.WithCustomRegistry(node.Registry).CreateGauge("tollgate_feed_silence_seconds",
        "Since the changes of other nodes were last heard; 0 on a store of one node.");
    private PostgresChanges? _changes;
    private string? _slowest;
    private int _open;

    /// <summary>Before the tables are loaded: what changes from here on is heard.</summary>
    public async Task BeginAsync(CancellationToken cancel)
    {
        if (node.Database.IsEmbedded) return;
        _changes = await node.Database.FollowAsync(node.Feed, cancel);
        await _registry.OpenAsync(node.Journal.Id, Environment.MachineName);
    }

    /// <summary>
    /// Before the first call of a node that shares limits: when this returns, every other that gives signs of life knows
    /// of this one, so that each takes its part of one more while Redis is away. Who has given two signs since this one was
    /// registered has looked at the register in between. One that starts as well gives them while it waits for us.
    /// </summary>
    public async Task MakeKnownAsync(Leases leases, CancellationToken cancel)
    {
        if (_changes is null) return;
        var began = node.Clocks.Machine.GetTimestamp();
        var signs = new Dictionary<long, (long SeenAt, int Count)>();
        while (true)
        {
            var others = await OpenOthersAsync();
            // those that are silent may take calls all the same
            leases.Alive(1 + others.Length);
            await _registry.SeenAsync(node.Journal.Id);
            foreach (var other in others)
            {
                if (!signs.TryGetValue(other.Id, out var known)) signs[other.Id] = (other.SeenAt, 0);
                else if (known.SeenAt != other.SeenAt) signs[other.Id] = (other.SeenAt, known.Count + 1);
            }

            var since = Micros.Now(node.Clocks.Machine) - (s_alive.Ticks / TimeSpan.TicksPerMicrosecond);
            if (others.All(o => signs[o.Id].Count >= 2 || o.SeenAt < since)
                || node.Clocks.Machine.GetElapsedTime(began) > s_longest) return;
            await Task.Delay(s_look, node.Clocks.Machine, cancel);
        }
    }

    /// <summary>Takes over what other nodes change, until the stop. A lost connection is made again; what was missed
    /// meanwhile comes then.</summary>
    public async Task FollowAsync(CancellationToken cancel)
    {
        if (_changes is null) return;
        var failing = false;
        while (!cancel.IsCancellationRequested)
        {
            try
            {
                await _changes.RunAsync(TakeOverAsync, () =>
                {
                    if (failing) log.LogInformation("The changes of other nodes are heard again.");
                    failing = false;
                }, cancel);
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                if (!failing) log.LogError(e, "The changes of other nodes are not heard; trying again.");
                failing = true;
            }

            await Task.Delay(s_again, node.Clocks.Machine, CancellationToken.None);
        }
    }

    /// <summary>How old the news is.</summary>
    public void TellSilence() => _silence.Set(node.Feed.Silence.TotalSeconds);

    /// <summary>Once a second: how far we are, and who else is there.</summary>
    public async Task BeatAsync()
    {
        if (_changes is null) return;
        var before = Micros.Now(node.Clocks.Business) - MarginMicros;
        await node.Drain.CatchUpAsync();
        await _registry.BeatAsync(node.Journal.Id, before);
        if (node.Table.Leases is { } leases) leases.Alive(await _registry.AliveAsync(s_alive));
        var open = await JournalRegistry.CountOpenAsync(node.Database);
        if (open != _open) node.TableChanged();
        _open = open;
    }

    /// <summary>Up to when invoices may be made.</summary>
    public async Task<long> HorizonAsync(long now)
    {
        if (_changes is null) return now;
        var (horizon, slowest) = await _registry.HorizonAsync(node.Journal.Id, now, node.Options.CollectionWindow);
        if (slowest is not null && slowest.Name != _slowest)
            log.LogWarning(
                "Invoices wait for the journal {Journal} of {Node}: it is in the store up to {To}. Start that node, or " +
                "mount its folder and run 'tollgate journal drain'.",
                slowest.Name, slowest.Node, Micros.ToText(slowest.CompleteTo));
        _slowest = slowest?.Name;
        return horizon;
    }

    /// <summary>The journals of the other nodes, unless they are drained for good.</summary>
    public async Task<IReadOnlyList<Billing.JournalBehind>> OthersAsync() => _changes is null ? []
        : [.. (await OpenOthersAsync()).Select(j => new Billing.JournalBehind(j.Name, j.Node, j.CompleteTo))];

    /// <summary>At a stop, when everything is drained: nobody has to wait for us.</summary>
    public Task LeaveAsync() => _changes is null ? Task.CompletedTask : _registry.CloseAsync(node.Journal.Id);

    private async Task<RegisteredJournal[]> OpenOthersAsync() =>
        [.. (await _registry.AllAsync()).Where(j => j.Closed == 0 && j.Id != node.Journal.Id)];

    private Task TakeOverAsync(Change change) =>
        change is Change.Publication ? node.Publisher.RepublishAsync() : node.Feed.AnnounceAsync(change);
}
