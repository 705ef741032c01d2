using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Billing;

/// <summary>Credit of a customer in units of meters, for the usage of one subscription.</summary>
/// <param name="grants">In the order in which they are burnt; also those that are used up, for what they have paid.</param>
internal sealed class UnitCredits(
    IReadOnlyList<GrantRow> grants, IReadOnlyList<(long Grant, long SettlesAt, long Amount)> burnt)
{
    private readonly Dictionary<long, decimal> _taken = [];

    public static UnitCredits None { get; } = new([], []);

    public static async Task<UnitCredits> OfAsync(DbConnection db, SubscriptionRow subscription)
    {
        var grants = await GrantStore.InUnitsAsync(db, subscription.CustomerKey);
        return grants.Count == 0 ? None : new UnitCredits(grants, await GrantStore.BurntUnitsAsync(db, subscription.Key));
    }

    /// <summary>The terms with what their quotas measure for the credit.</summary>
    public SubscriptionTerms In(SubscriptionTerms terms)
    {
        if (grants.Count == 0) return terms;
        var meters = grants.Select(g => g.Meter!).ToHashSet(StringComparer.Ordinal);
        return terms with { Stretches = [.. terms.Stretches.Select(s => s with { Credited = meters })] };
    }

    /// <summary>What usage of a bill may burn.</summary>
    public IReadOnlyList<UnitGrant> For(Bill bill)
    {
        var start = Micros.Of(bill.Period.Start);
        return
        [
            .. grants.Where(g => g.EffectiveAt < bill.BillAt && !(g.ExpiresAt <= start)).Select(g => Of(g, Left(g)))
                .Where(g => g.Left > 0),
        ];
    }

    /// <summary>A period before, with what its usage has burnt and what is left for more of it. Usage that came late goes
    /// before that of the bill.</summary>
    public LatePeriod For(SubscriptionTerms terms, LatePeriod late)
    {
        if (grants.Count == 0) return late;
        var before = burnt.Where(b => b.SettlesAt == late.Bill.BillAt).ToLookup(b => b.Grant, b => b.Amount);
        var start = Micros.Of(late.Bill.Period.Start);
        var valid = grants.Where(g => g.EffectiveAt < late.Bill.BillAt && !(g.ExpiresAt <= start)).ToArray();
        late = late with
        {
            Burnt = [.. valid.Select(g => Of(g, g.Units(before[g.Key].Sum()))).Where(g => g.Left > 0)],
            Credit = [.. valid.Select(g => Of(g, g.Units(before[g.Key].Sum()) + Left(g))).Where(g => g.Left > 0)],
        };
        foreach (var (burn, _) in LateUsage.Burns(terms, late))
            _taken[burn.Grant] = _taken.GetValueOrDefault(burn.Grant) + burn.Units;
        return late;
    }

    public IReadOnlyList<((long Grant, long Stored) Burn, long SettlesAt)> Stored(
        IEnumerable<(UnitBurn Burn, long SettlesAt)> burns) =>
    [
        .. burns.Select(b => ((b.Burn.Grant, StoredOf(grants.First(g => g.Key == b.Burn.Grant), b.Burn.Units)), b.SettlesAt)),
    ];

    /// <summary>Conversions may cut a unit finer than its meter counts: what is burnt is then a whole one.</summary>
    private static long StoredOf(GrantRow grant, decimal units)
    {
        var stored = units * Meter.PowerOfTen((int)(grant.Scale ?? 0));
        return (long)(stored < 0 ? decimal.Floor(stored) : decimal.Ceiling(stored));
    }

    private decimal Left(GrantRow grant) => grant.Units(grant.Left) - _taken.GetValueOrDefault(grant.Key);

    /// <summary>Usage is known by quarters of an hour: one in which a grant begins is paid by it.</summary>
    private static UnitGrant Of(GrantRow grant, decimal left) => new(grant.Key, grant.Meter!, left)
    {
        Prices = grant.PriceNames,
        From = grant.KeepsValues == 1 ? grant.EffectiveAt : grant.EffectiveAt - grant.EffectiveAt % UsageStore.Bucket,
        To = grant.ExpiresAt ?? long.MaxValue,
    };
}
