using System.Data.Common;
using Dapper;
using NodaTime.Text;
using Tollgate.Catalog;

namespace Tollgate.Config;

/// <summary>The SQL of entitlements: Billing writes them here, the Gateway reads them.</summary>
public static class EntitlementStore
{
    private const string Columns =
        "key, subscription_id, customer_key, plan_id, plan_version, priority, anchor, timezone, interval, " +
        "start_at, end_at, limits, allowances, prices, plan_phase, hold";

    /// <summary>All of them, customer by customer, row by row: there may be a million.</summary>
    public static async IAsyncEnumerable<Entitlement> ByCustomerAsync(DbConnection db)
    {
        await using var command = db.CreateCommand();
        command.CommandText = $"select {Columns} from entitlements order by customer_key, key";
        await using var row = await command.ExecuteReaderAsync();
        while (await row.ReadAsync())
        {
            yield return Read(new Row(
                row.GetInt64(0), row.GetString(1), row.GetInt64(2), row.GetString(3), row.GetInt64(4), row.GetInt64(5),
                row.GetString(6), row.GetString(7), row.GetString(8), row.GetInt64(9), Number(row, 10), Text(row, 11),
                row.GetString(12), row.GetString(13), Text(row, 14), row.GetString(15)));
        }

        static long? Number(DbDataReader row, int at) => row.IsDBNull(at) ? null : row.GetInt64(at);
        static string? Text(DbDataReader row, int at) => row.IsDBNull(at) ? null : row.GetString(at);
    }

    public static async Task<IReadOnlyList<Entitlement>> OfCustomerAsync(DbConnection db, long customerKey) =>
        (await db.QueryAsync<Row>(
            $"select {Columns} from entitlements where customer_key = @customerKey order by key", new { customerKey }))
        .Select(Read).ToArray();

    /// <summary>The stretches of one subscription, in order of time.</summary>
    public static async Task<IReadOnlyList<Entitlement>> OfSubscriptionAsync(DbConnection db, string subscriptionId) =>
        (await db.QueryAsync<Row>(
            $"select {Columns} from entitlements where subscription_id = @subscriptionId order by start_at, key",
            new { subscriptionId })).Select(Read).ToArray();

    /// <summary>The stretches of several, each in order of time.</summary>
    public static async Task<IEnumerable<Entitlement>> OfSubscriptionsAsync(DbConnection db, IReadOnlyCollection<string> ids) =>
        (await db.QueryAsync<Row>(
            $"select {Columns} from entitlements where subscription_id in @ids order by start_at, key", new { ids })).Select(Read);

    /// <summary>How many subscriptions run on each plan, now or from a later instant on; plans without are absent.
    /// </summary>
    public static async Task<IReadOnlyDictionary<string, int>> RunningPlansAsync(DbConnection db, long now) =>
        (await db.QueryAsync<(string PlanId, long Count)>(
            "select plan_id, count(distinct subscription_id) from entitlements " +
            "where end_at is null or end_at > @now group by plan_id", new { now }))
        .ToDictionary(p => p.PlanId, p => (int)p.Count);

    /// <summary>Of each subscription of a customer: up to when its usage is on invoices. Absent where none is.</summary>
    public static async Task<IReadOnlyDictionary<string, long>> SettledAsync(DbConnection db, long customerKey) =>
        (await db.QueryAsync<(string Id, long At)>("select id, settled_at from subscriptions " +
            "where customer_key = @customerKey and settled_at is not null", new { customerKey }))
        .ToDictionary(s => s.Id, s => s.At, StringComparer.Ordinal);

    /// <summary>Adds a stretch of terms; the key of the entitlement given is ignored, the new one answered.</summary>
    public static Task<int> AddAsync(DbConnection db, Entitlement terms) => db.ExecuteScalarAsync<int>(
        "insert into entitlements (subscription_id, customer_key, plan_id, plan_version, priority, anchor, timezone, " +
        "interval, start_at, end_at, limits, allowances, prices, plan_phase, hold) values (@SubscriptionId, @CustomerKey, @PlanId, " +
        "@PlanVersion, @Priority, @anchor, @Timezone, @interval, @StartAt, @EndAt, @limits, @allowances, @prices, " +
        "@PlanPhase, @hold) " +
        "returning key",
        new
        {
            terms.SubscriptionId,
            terms.CustomerKey,
            terms.PlanId,
            terms.PlanVersion,
            terms.Priority,
            anchor = LocalDatePattern.Iso.Format(terms.Anchor),
            terms.Timezone,
            interval = terms.Interval.ToText(),
            terms.StartAt,
            terms.EndAt,
            limits = OverridesText.WriteLimits(terms.Overrides),
            allowances = OverridesText.WriteAllowances(terms.Overrides),
            prices = OverridesText.WritePrices(terms.Overrides),
            terms.PlanPhase,
            hold = terms.Hold.ToText(),
        });

    /// <summary>The limits and allowances that a subscription has in place of its plan's, from now on, in all its
    /// stretches that have not ended. Prices are terms, and begin a stretch.</summary>
    public static Task OverrideAsync(DbConnection db, string subscriptionId, Overrides overrides, long now) =>
        db.ExecuteAsync(
            "update entitlements set limits = @limits, allowances = @allowances " +
            "where subscription_id = @subscriptionId and (end_at is null or end_at > @now)",
            new
            {
                subscriptionId,
                now,
                limits = OverridesText.WriteLimits(overrides),
                allowances = OverridesText.WriteAllowances(overrides),
            });

    /// <summary>Holds a subscription, or lets it go on, in all its stretches that have not ended.</summary>
    public static Task HoldAsync(DbConnection db, string subscriptionId, Hold hold, long now) => db.ExecuteAsync(
        "update entitlements set hold = @hold where subscription_id = @subscriptionId " +
        "and (end_at is null or end_at > @now)", new { subscriptionId, now, hold = hold.ToText() });

    /// <summary>Ends the running stretch of a subscription at an instant.</summary>
    public static Task EndAsync(DbConnection db, string subscriptionId, long endAt) => db.ExecuteAsync(
        "update entitlements set end_at = @endAt where subscription_id = @subscriptionId " +
        "and (end_at is null or end_at > @endAt)", new { subscriptionId, endAt });

    private static Entitlement Read(Row row) => new()
    {
        Key = (int)row.Key,
        SubscriptionId = row.SubscriptionId,
        CustomerKey = (int)row.CustomerKey,
        // a few, said a million times
        PlanId = string.Intern(row.PlanId),
        PlanVersion = (int)row.PlanVersion,
        Priority = (int)row.Priority,
        Anchor = LocalDatePattern.Iso.Parse(row.Anchor).Value,
        Timezone = string.Intern(row.Timezone),
        Interval = Intervals.Find(row.Interval) ?? throw new InvalidDataException(
            $"Entitlement {row.Key} has the interval '{row.Interval}'; there are {Intervals.Names}."),
        StartAt = row.StartAt,
        EndAt = row.EndAt,
        PlanPhase = row.PlanPhase,
        Overrides = OverridesText.Read(row.Limits, row.Allowances, row.Prices),
        Hold = Holds.Find(row.Hold) ?? throw new InvalidDataException(
            $"Entitlement {row.Key} has the hold '{row.Hold}'; there are none, payment_overdue and paused."),
    };

    private sealed record Row(
        long Key, string SubscriptionId, long CustomerKey, string PlanId, long PlanVersion, long Priority,
        string Anchor, string Timezone, string Interval, long StartAt, long? EndAt,
        string? Limits, string Allowances, string Prices, string? PlanPhase, string Hold);
}
