using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;

namespace Tollgate.Billing;

/// <summary>
/// What the drafts of a page of subscriptions are made from, read together in one state of the store: a dozen queries for
/// hundreds of subscriptions. Of what few have, as coupons and credit, it only knows who has none.
/// </summary>
internal sealed class PageReads
{
    private readonly Dictionary<string, string?> _plans = new(StringComparer.Ordinal);
    private readonly HashSet<(int, int)> _asked = [];
    private readonly Dictionary<(int, int), ToldUsage> _told = [];
    private IReadOnlyDictionary<(int, int), IReadOnlyList<OperationUsage>> _usage =
        new Dictionary<(int, int), IReadOnlyList<OperationUsage>>();

    public required IReadOnlyDictionary<long, CustomerRow> Customers { get; init; }

    /// <summary>By id of the subscription, in order of time.</summary>
    public required ILookup<string, Entitlement> Entitlements { get; init; }

    /// <summary>By key of the entitlement.</summary>
    public required IReadOnlyDictionary<int, StretchTerms> Own { get; init; }

    /// <summary>Customers with terms, coupons, or grants.</summary>
    public required IReadOnlySet<long> HaveTerms { get; init; }

    public required IReadOnlySet<long> HaveCoupons { get; init; }

    public required IReadOnlySet<long> HaveGrants { get; init; }

    /// <summary>Customers with several subscriptions: what one of them burns is not there for the next.</summary>
    public required IReadOnlySet<long> HaveSeveral { get; init; }

    /// <summary>Of publishers, whatever they are of.</summary>
    public required IReadOnlyList<ShareRow> RevenueShares { get; init; }

    /// <summary>Subscriptions with a minimum or a maximum.</summary>
    public required IReadOnlySet<long> HaveCommitments { get; init; }

    public static async Task<PageReads> ReadAsync(DbConnection db, IReadOnlyList<SubscriptionRow> page)
    {
        long[] customers = [.. page.Select(s => s.CustomerKey).Distinct()];
        string[] ids = [.. page.Select(s => s.Id)];
        return new PageReads
        {
            Customers = (await CustomerStore.OfKeysAsync(db, customers)).ToDictionary(c => c.Key),
            Entitlements = (await EntitlementStore.OfSubscriptionsAsync(db, ids)).ToLookup(e => e.SubscriptionId, StringComparer.Ordinal),
            Own = await StretchStore.OfSubscriptionsAsync(db, ids),
            HaveTerms = await OwnersAsync("customer_terms"),
            HaveCoupons = await OwnersAsync("applied_coupons"),
            HaveGrants = await OwnersAsync("grants"),
            RevenueShares = await PublisherStore.AllSharesAsync(db),
            HaveSeveral = (await db.QueryAsync<long>("select customer_key from subscriptions where customer_key in @customers " +
                "group by customer_key having count(*) > 1", new { customers })).ToHashSet(),
            HaveCommitments = (await db.QueryAsync<long>(
                "select distinct subscription_key from commitments where subscription_key in @keys",
                new { keys = page.Select(s => s.Key).ToArray() })).ToHashSet(),
        };

        async Task<IReadOnlySet<long>> OwnersAsync(string table) => (await db.QueryAsync<long>(
            $"select distinct customer_key from {table} where customer_key in @customers", new { customers })).ToHashSet();
    }

    /// <summary>Whether several bills of a customer may take from one credit, or use up one coupon: they are made one after
    /// the other.</summary>
    public bool Shares(long customer) => HaveSeveral.Contains(customer)
        && (HaveGrants.Contains(customer) || HaveCoupons.Contains(customer));

    /// <summary>Reads the usage of these stamps, and what invoices have told of it.</summary>
    public async Task ReadUsageAsync(DbConnection db, IReadOnlyCollection<(int Entitlement, int Period)> stamps)
    {
        _asked.UnionWith(stamps);
        _usage = await UsageOfMany.ReadAsync(db, _asked);
        foreach (var told in await ToldUsageStore.OfManyAsync(db, stamps)) _told[(told.Entitlement, told.Period)] = told;
    }

    /// <returns>Null when it was not asked for.</returns>
    public IReadOnlyList<OperationUsage>? UsageOf(int entitlement, int period) => !_asked.Contains((entitlement, period)) ? null
        : _usage.TryGetValue((entitlement, period), out var usage) ? usage : [];

    public bool Knows(int entitlement, int period) => _asked.Contains((entitlement, period));

    public ToldUsage? ToldOf(int entitlement, int period) => _told.GetValueOrDefault((entitlement, period));

    public async Task<string?> PlanNameAsync(DbConnection db, string id)
    {
        if (!_plans.TryGetValue(id, out var name))
            _plans[id] = name = (await ConfigStore.FindAsync(db, ConfigKind.Plan, id))?.Name;
        return name;
    }
}
