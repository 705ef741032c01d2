using System.Data.Common;
using Dapper;
using NodaTime;
using NodaTime.Text;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Billing;

/// <summary>A customer on a plan.</summary>
/// <param name="Anchor">ISO local date from which billing periods are counted.</param>
/// <param name="EndAt">None while it runs; half-open.</param>
public sealed record SubscriptionRow(
    long Key, string Id, long CustomerKey, string PlanId, long Priority, string Anchor, string Timezone, long StartAt,
    long? EndAt, string ManagedBy, long CreatedAt)
{
    public BillingCalendar Calendar =>
        new(LocalDatePattern.Iso.Parse(Anchor).Value, DateTimeZoneProviders.Tzdb[Timezone]);
}

/// <summary>A subscription to be started.</summary>
/// <param name="Plan">Name or id.</param>
public sealed record NewSubscription(CustomerRow Customer, string Plan, ManagedBy By)
{
    /// <summary>Microseconds; null for now.</summary>
    public long? StartAt { get; init; }

    public int Priority { get; init; }
}

/// <summary>A plan, and the newest version of its prices; 0 when it was never priced.</summary>
public sealed record PlanOffer(string PlanId, int Version);

/// <summary>
/// The SQL of subscriptions. Each write changes the subscription and its entitlements in one transaction, so that
/// what the gate enforces and what is billed change at the same instant.
/// </summary>
public sealed class SubscriptionStore(Database database, TimeProvider clock)
{
    /// <summary>The code of a second subscription to a plan that the customer is on.</summary>
    public const string AlreadySubscribed = "already_subscribed";

    private const string Columns =
        "key, id, customer_key, plan_id, priority, anchor, timezone, start_at, end_at, managed_by, created_at";

    private static readonly string s_noPrices = PriceWriter.Write([]);

    public Task<SubscriptionRow?> FindAsync(string id) => database.ReadAsync(
        db => db.QueryFirstOrDefaultAsync<SubscriptionRow?>(
            $"select {Columns} from subscriptions where id = @id", new { id }));

    public Task<IReadOnlyList<SubscriptionRow>> ListAsync(long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<SubscriptionRow>)(await db.QueryAsync<SubscriptionRow>(
            $"select {Columns} from subscriptions where key > @after order by key limit @limit",
            new { after, limit })).AsList());

    public static async Task<IReadOnlyList<SubscriptionRow>> OfCustomerAsync(DbConnection db, long customerKey) =>
        (await db.QueryAsync<SubscriptionRow>(
            $"select {Columns} from subscriptions where customer_key = @customerKey order by key",
            new { customerKey })).AsList();

    /// <summary>The subscription of this customer to this plan that runs now or will, or null.</summary>
    public Task<SubscriptionRow?> FindRunningAsync(DbConnection db, long customerKey, string planId) =>
        db.QueryFirstOrDefaultAsync<SubscriptionRow?>(
            $"select {Columns} from subscriptions where customer_key = @customerKey and plan_id = @planId " +
            "and (end_at is null or end_at > @now) order by key limit 1",
            new { customerKey, planId, now = Micros.Now(clock) });

    /// <summary>All subscriptions to this plan that run now or will, in the order of their creation.</summary>
    public async Task<IReadOnlyList<SubscriptionRow>> RunningOnPlanAsync(DbConnection db, string planId) =>
        (await db.QueryAsync<SubscriptionRow>(
            $"select {Columns} from subscriptions where plan_id = @planId " +
            "and (end_at is null or end_at > @now) order by key",
            new { planId, now = Micros.Now(clock) })).AsList();

    /// <summary>
    /// The newest version of a plan's prices for a customer who pays in a currency; 0 when it was never priced. A plan
    /// without prices costs the same in all of them.
    /// </summary>
    /// <param name="plan">Name or id.</param>
    /// <returns>Or <c>unknown_plan</c>, <c>currency_differs</c>.</returns>
    public static async Task<Result<PlanOffer>> OfferAsync(DbConnection db, string plan, string currency)
    {
        if (await ConfigStore.FindAsync(db, ConfigKind.Plan, plan) is not { } found)
            return new Problem("unknown_plan", $"There is no plan '{plan}'.", "plan");
        var id = Publication.PlanIdOf(found);
        var version = (await ConfigStore.LatestVersionsAsync(db)).GetValueOrDefault(id);
        if (version > 0 && await ConfigStore.FindVersionAsync(db, id, version) is { } prices
            && prices.Currency != currency && prices.Prices != s_noPrices)
            return new Problem("currency_differs",
                $"The plan's prices are in {prices.Currency}, the customer pays in {currency}.", "plan");
        return new PlanOffer(id, version);
    }

    /// <summary>
    /// Starts a subscription on the newest version of a plan, by calendar months of the customer's zone. Everything is
    /// read on this connection, so that nobody can change a plan or its prices in between.
    /// </summary>
    /// <returns>Or <c>unknown_plan</c>, <c>currency_differs</c>, <see cref="AlreadySubscribed"/>.</returns>
    public async Task<Result<SubscriptionRow>> StartAsync(DbConnection db, NewSubscription wanted)
    {
        var customer = wanted.Customer;
        var offer = await OfferAsync(db, wanted.Plan, customer.Currency);
        if (!offer.Ok) return Result<SubscriptionRow>.Refused(offer.Problems);
        if (await FindRunningAsync(db, customer.Key, offer.Value.PlanId) is { } running)
            return new Problem(AlreadySubscribed, $"The customer is on this plan already ({running.Id}).", "plan");
        var start = wanted.StartAt ?? Micros.Now(clock);
        var zone = DateTimeZoneProviders.Tzdb[customer.Timezone];
        var row = await db.QuerySingleAsync<SubscriptionRow>(
            "insert into subscriptions (id, customer_key, plan_id, priority, anchor, timezone, start_at, managed_by, " +
            "created_at, next_bill_at) values (@id, @customer, @PlanId, @Priority, @anchor, @Timezone, @start, @by, " +
            "@now, @start) " +
            $"returning {Columns}",
            new
            {
                id = Id<Subscription>.New(clock).ToString(),
                customer = customer.Key,
                offer.Value.PlanId,
                wanted.Priority,
                anchor = LocalDatePattern.Iso.Format(
                    BillingCalendar.CalendarMonths(Micros.ToInstant(start), zone).Anchor),
                customer.Timezone,
                start,
                by = ConfigStore.NameOf(wanted.By),
                now = Micros.Now(clock),
            });
        await EntitlementStore.AddAsync(db, TermsOf(row, offer.Value.Version, start));
        return row;
    }

    /// <summary>Ends a subscription at an instant; what was used until then is billed.</summary>
    public static async Task EndAsync(DbConnection db, SubscriptionRow subscription, long endAt)
    {
        var end = Math.Max(endAt, subscription.StartAt);
        // an end that is moved to later begins to bill again where the earlier one left off
        await db.ExecuteAsync(
            "update subscriptions set end_at = @end, next_bill_at = case when coalesce(next_bill_at, end_at) < @end " +
            "then coalesce(next_bill_at, end_at) else @end end where key = @Key", new { end, subscription.Key });
        await EntitlementStore.EndAsync(db, subscription.Id, end);
    }

    /// <summary>Moves every running subscription of a plan to a version of its prices, from an instant on.</summary>
    /// <returns>The customers whose entitlements changed, to be announced after the commit.</returns>
    public static async Task<IReadOnlyList<long>> MigrateAsync(DbConnection db, string planId, int version, long at)
    {
        var running = await db.QueryAsync<SubscriptionRow>(
            $"select {Columns} from subscriptions where plan_id = @planId and (end_at is null or end_at > @at)",
            new { planId, at });
        var customers = new List<long>();
        foreach (var subscription in running)
        {
            var stretches = await EntitlementStore.OfSubscriptionAsync(db, subscription.Id);
            if (stretches.Count > 0 && stretches[^1].PlanVersion == version) continue;
            var from = Math.Max(at, subscription.StartAt);
            await EntitlementStore.EndAsync(db, subscription.Id, from);
            var terms = TermsOf(subscription, version, from);
            // what was agreed with this customer goes on
            if (stretches.Count > 0) terms = terms with { Overrides = stretches[^1].Overrides, Hold = stretches[^1].Hold };
            await EntitlementStore.AddAsync(db, terms);
            // its first instant may have been found without fees, and has some now
            if (from == subscription.StartAt)
                await db.ExecuteAsync(
                    "update subscriptions set next_bill_at = start_at where key = @Key", new { subscription.Key });
            customers.Add(subscription.CustomerKey);
        }

        return customers;
    }

    /// <summary>The currencies in which the customers with a running subscription to a plan pay.</summary>
    public async Task<IReadOnlyList<string>> CurrenciesOfPlanAsync(DbConnection db, string planId) =>
        (await db.QueryAsync<string>(
            "select distinct c.currency from subscriptions s join customers c on c.key = s.customer_key " +
            "where s.plan_id = @planId and (s.end_at is null or s.end_at > @now)",
            new { planId, now = Micros.Now(clock) })).AsList();

    private static Entitlement TermsOf(SubscriptionRow subscription, int version, long startAt) => new()
    {
        Key = 0,
        SubscriptionId = subscription.Id,
        CustomerKey = (int)subscription.CustomerKey,
        PlanId = subscription.PlanId,
        PlanVersion = version,
        Priority = (int)subscription.Priority,
        StartAt = startAt,
        EndAt = subscription.EndAt,
        Anchor = subscription.Calendar.Anchor,
        Timezone = subscription.Timezone,
    };
}
