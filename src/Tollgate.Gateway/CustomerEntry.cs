using System.Collections.Concurrent;
using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Gateway;

/// <summary>
/// Who pays, as the gate sees it. What was used stays with the subscription for as long as the process runs, so a change
/// of plan, limit or price forgets nothing; the entitlements are replaced at once by whoever reloads them.
/// </summary>
public sealed class CustomerEntry(int key, GateTable table)
{
    private volatile EntitlementEntry[] _entitlements = [];
    private volatile Purse? _purse;

    public int Key { get; } = key;

    /// <summary>Highest priority first, then the older subscription.</summary>
    public EntitlementEntry[] Entitlements => _entitlements;

    /// <summary>What calls may cost; none for nearly everybody.</summary>
    internal Purse? Purse
    {
        get => _purse;
        set => _purse = value;
    }

    /// <summary>What other nodes take from the same balances; null while each counts for itself, and without any.</summary>
    internal SharedPurse? Shared { get; set; }

    /// <summary>What has been taken from each balance; empty without any.</summary>
    public IReadOnlyList<(Balance Balance, decimal Used)> Spending()
    {
        if (_purse is not { } purse) return [];
        return [.. purse.Balances.Zip(purse.Used())];
    }

    /// <summary>What is left of each credit in units; empty without any.</summary>
    public IReadOnlyList<(UnitGrant Grant, decimal Left)> Units() =>
        _purse is not { } purse ? [] : [.. purse.Terms.Units.Zip(purse.Left())];

    /// <summary>The entries of these terms, which <see cref="Entitle"/> then puts in force.</summary>
    internal EntitlementEntry[] Compile(IReadOnlyList<Entitlement> terms)
    {
        // at a start, nearly everybody
        if (terms is [{ } only] && _entitlements.Length == 0)
            return [new EntitlementEntry(only, new PoolHolder(table, only.SubscriptionId))];
        var pools = _entitlements.GroupBy(e => e.SubscriptionId)
            .ToDictionary(e => e.Key, e => e.First().Holder, StringComparer.Ordinal);
        return
        [
            // a subscription is as old as its first stretch of terms: a new price makes nobody younger
            .. from t in terms
               group t by t.SubscriptionId into subscription
               let holder = pools.GetValueOrDefault(subscription.Key) ?? new PoolHolder(table, subscription.Key)
               from t in subscription
               orderby t.Priority descending, subscription.Min(s => s.Key), t.Key
               let first = subscription.Where(s => (s.Anchor, s.Timezone, s.Interval) == (t.Anchor, t.Timezone, t.Interval))
               select new EntitlementEntry(t, holder) { Era = first.Min(s => s.Key) },
        ];
    }

    internal void Entitle(EntitlementEntry[] entitlements) => _entitlements = entitlements;
}

/// <summary>Where the pool of a subscription is, once somebody has called.</summary>
internal sealed class PoolHolder(GateTable table, string subscription)
{
    private Pool? _pool;

    public bool IsEmpty => Volatile.Read(ref _pool) is null;

    public Pool Pool => Volatile.Read(ref _pool)
        ?? Interlocked.CompareExchange(ref _pool, new Pool(table.Addresses, subscription, table.Leases), null) ?? _pool!;
}

/// <summary>Terms on the hot path: which plan, from when to when, and in which billing period it is now.</summary>
public sealed class EntitlementEntry
{
    private volatile PeriodStamp? _period;
    private volatile Resolved? _resolved;

    internal EntitlementEntry(Entitlement terms, PoolHolder holder) =>
        (Source, Holder, Era) = (terms, holder, terms.Key);

    public Entitlement Source { get; }

    public int Key => Source.Key;

    public string SubscriptionId => Source.SubscriptionId;

    public string PlanId => Source.PlanId;

    internal PoolHolder Holder { get; }

    /// <summary>The same for all stretches of the subscription whose periods are counted through.</summary>
    internal int Era { get; init; }

    /// <summary>By which calls are held to the balances of the customer; null while there are none.</summary>
    internal PlanVersion? Prices { get; set; }

    public bool RunsAt(long now) => Source.StartAt <= now && now < (Source.EndAt ?? long.MaxValue);

    /// <summary>The index of the billing period that holds this instant.</summary>
    public int PeriodAt(long now)
    {
        var stamp = _period;
        if (stamp is null || !stamp.Holds(now)) _period = stamp = Source.Calendar.At(now);
        return stamp.Index;
    }

    /// <summary>Whether the usage of a period is on an invoice: its end is, or that of these terms.</summary>
    internal bool IsSettled(int period, PurseTerms terms) => terms.Settled.TryGetValue(SubscriptionId, out var settled)
        && (Micros.Of(Source.Calendar.PeriodOf(period).End) <= settled || Source.EndAt <= settled);

    /// <summary>The plan and what it allows this subscription, as this snapshot has it; null when the plan is gone.
    /// Computed once for each snapshot.</summary>
    internal Resolved? In(GateSnapshot snapshot, long now)
    {
        var resolved = _resolved;
        return resolved is not null && resolved.Version == snapshot.Version ? resolved : Resolve(snapshot, now);
    }

    /// <summary>What it allows a consumer with limits of its own. Computed once for each snapshot and consumer.</summary>
    internal BoundTerms BoundOf(Resolved resolved, GateSnapshot snapshot, OwnLimits own, int consumer, long now)
    {
        if (resolved.Own.TryGetValue(consumer, out var bound)) return bound;
        return resolved.Own[consumer] =
            resolved.Pool.Bind(snapshot.TermsOf(resolved.Plan, Source, own), Source, now, areOwn: true);
    }

    private Resolved? Resolve(GateSnapshot snapshot, long now)
    {
        if (snapshot.FindPlan(PlanId) is not { } plan) return null;
        var pool = Holder.Pool;
        var terms = snapshot.TermsOf(plan, Source);
        return _resolved = new Resolved(snapshot.Version, plan, pool, terms, pool.SlotsOf(terms, Source, now));
    }

    /// <param name="Version">Of the snapshot; the snapshot itself would be kept alive by whoever does not call.</param>
    internal sealed record Resolved(long Version, CompiledPlan Plan, Pool Pool, Terms Terms, QuotaSlot[] Slots)
        : BoundTerms(Terms, Slots)
    {
        private ConcurrentDictionary<int, BoundTerms>? _own;

        /// <summary>By the keys of consumers with limits of their own.</summary>
        public ConcurrentDictionary<int, BoundTerms> Own =>
            Volatile.Read(ref _own) ?? Interlocked.CompareExchange(ref _own, new(), null) ?? _own!;
    }
}
