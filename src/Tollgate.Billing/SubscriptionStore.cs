using System.Data.Common;
using Dapper;
using NodaTime;
using NodaTime.Text;
using Tollgate.Catalog;
using Tollgate.Config;
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

    public bool RunsAt(long micros) => StartAt <= micros && (EndAt is null || EndAt > micros);
}

/// <summary>
/// The SQL of subscriptions. Each write changes the subscription and its entitlements in one transaction, so that
/// what the gate enforces and what is billed change at the same instant.
/// </summary>
public sealed class SubscriptionStore(Database database, TimeProvider clock)
{
    private const string Columns =
        "key, id, customer_key, plan_id, priority, anchor, timezone, start_at, end_at, managed_by, created_at";

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

    /// <summary>Starts a subscription on the newest version of a plan, by calendar months of the customer's zone.
    /// </summary>
    /// <param name="startAt">Microseconds; null for now.</param>
    public async Task<SubscriptionRow> StartAsync(
        DbConnection db, CustomerRow customer, PublishedPlan plan, ManagedBy by, long? startAt = null, int priority = 0)
    {
        var start = startAt ?? Micros.Now(clock);
        var zone = DateTimeZoneProviders.Tzdb[customer.Timezone];
        var anchor = BillingCalendar.CalendarMonths(Micros.ToInstant(start), zone).Anchor;
        var row = await db.QuerySingleAsync<SubscriptionRow>(
            "insert into subscriptions (id, customer_key, plan_id, priority, anchor, timezone, start_at, managed_by, " +
            "created_at) values (@id, @customer, @plan, @priority, @anchor, @Timezone, @start, @by, @now) " +
            $"returning {Columns}",
            new
            {
                id = Id<Subscription>.New(clock).ToString(),
                customer = customer.Key,
                plan = plan.Id,
                priority,
                anchor = LocalDatePattern.Iso.Format(anchor),
                customer.Timezone,
                start,
                by = ConfigStore.NameOf(by),
                now = Micros.Now(clock),
            });
        await EntitlementStore.AddAsync(db, TermsOf(row, plan.Version, start));
        return row;
    }

    /// <summary>Ends a subscription at an instant; what was used until then is billed.</summary>
    public static async Task EndAsync(DbConnection db, SubscriptionRow subscription, long endAt)
    {
        var end = Math.Max(endAt, subscription.StartAt);
        await db.ExecuteAsync("update subscriptions set end_at = @end where key = @Key", new { end, subscription.Key });
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
            await EntitlementStore.AddAsync(db, TermsOf(subscription, version, from));
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
