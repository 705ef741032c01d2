using NodaTime;
using Prometheus;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway;
using Tollgate.Storage;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>What a node has of subscriptions whose limits it shares by a real Redis, and the loops that look after leases.
/// Their plan says <c>closed</c>.</summary>
internal sealed class LeasingNode : IAsyncDisposable
{
    private const int MostTries = 8;

    private readonly SharedCounters _counters;
    private readonly CancellationTokenSource _stop = new();
    private readonly BoundTerms[] _bound;
    private readonly TimeProvider _business;
    private readonly Task _loops;

    private LeasingNode(SharedCounters counters, TimeProvider business, string limits, Quota[] quotas, int subscriptions)
    {
        (_counters, _business) = (counters, business);
        Leases = new Leases(counters, Machine, Metrics.NewCustomRegistry());
        Pools = [.. Enumerable.Range(1, subscriptions).Select(n => new Pool(new AddressBudget(3), $"sub_{n}", Leases))];
        Leases.Pools = () => Pools;
        Leases.FindIdle = tag => Array.Find(Pools, p => p.Tag == tag);
        var terms = new Terms(
            limits.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(l => Limit.TryParse(l)!),
            quotas.Select(q => new CompiledQuota(q, _ => [], Tollgate.Catalog.Interval.Month)), HeaderFamilies.Kong);
        _bound = Array.ConvertAll(Pools, pool => pool.Bind(terms, new Entitlement
        {
            Key = 1, SubscriptionId = pool.Tag, CustomerKey = 1, PlanId = "plan_1", PlanVersion = 1, Priority = 0,
            StartAt = 0, EndAt = null, Anchor = new LocalDate(2026, 1, 1), Timezone = "UTC",
        }, Micros.Now(business)));
        _loops = Task.WhenAll(
            EachAsync(TimeSpan.FromMilliseconds(250), () => Leases.ProbeAsync(business)),
            EachAsync(TimeSpan.FromMilliseconds(100), Leases.SweepAsync));
    }

    public Leases Leases { get; }

    /// <summary>The clock of this node, by which leases end.</summary>
    public SkippingClock Machine { get; } = new();

    /// <summary>Of each subscription.</summary>
    public Pool[] Pools { get; }

    public Pool Pool => Pools[0];

    public static Task<LeasingNode> StartAsync(string redis, TimeProvider business, string limits, params Quota[] quotas) =>
        StartAsync(redis, business, limits, 1, quotas);

    public static async Task<LeasingNode> StartAsync(
        string redis, TimeProvider business, string limits, int subscriptions, params Quota[] quotas)
    {
        var counters = await SharedCounters.OpenAsync(redis, $"{Guid.NewGuid():n}");
        var node = new LeasingNode(counters, business, limits, quotas, subscriptions);
        await node.Leases.ProbeAsync(business);
        return node;
    }

    /// <summary>Waits for leases as the handler of a call does.</summary>
    /// <param name="renew">False leaves out what is asked beside the call.</param>
    /// <returns>Null when the call is refused.</returns>
    public async Task<Decision?> CallAsync(bool renew = true)
    {
        var admitted = Try(out var decision);
        for (var tries = 0; decision.NeedsLease && tries < MostTries; tries++)
        {
            await Leases.WaitAsync(Pool);
            admitted = Try(out decision);
        }

        if (renew && decision.RenewsLease) _ = Leases.AskAsync(Pool, soon: true);
        return admitted ? decision : null;
    }

    public bool Try(out Decision decision) => Try(0, out decision);

    public bool Try(int subscription, out Decision decision)
    {
        decision = new Decision
        {
            Units = 1, Bound = _bound[subscription], Pool = Pools[subscription],
            Sharing = Leases.IsAway ? Sharing.Closed : Sharing.Leased,
        };
        decision.Violated = decision.Pool.TryTake(decision.Bound, default, "", Micros.Now(_business), take: true, ref decision);
        return decision is { Violated: < 0, IsHeldUp: false };
    }

    /// <summary>Looks after leases as is done ten times a second, and waits for what that asked.</summary>
    public async Task SweptAsync()
    {
        await Leases.SweepAsync();
        if (Pool.Asking is { } asking) await asking;
    }

    public void Settle(Decision decision, long units) => Pool.Settle(ref decision, 0, units);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loops;
        await _counters.DisposeAsync();
        _stop.Dispose();
    }

    private async Task EachAsync(TimeSpan pause, Func<Task> work)
    {
        using var timer = new PeriodicTimer(pause, TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token)) await work();
        }
        catch (OperationCanceledException)
        {
            // the end
        }
    }
}

/// <summary>The clock of the machine, with time that is left out.</summary>
internal sealed class SkippingClock : TimeProvider
{
    private long _skipped;

    public void Skip(TimeSpan time) => Interlocked.Add(ref _skipped, (long)(time.TotalSeconds * TimestampFrequency));

    public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref _skipped);
}
