using System.Data.Common;
using System.Text.Json;
using Dapper;
using NodaTime.Text;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Billing;

public sealed class Grant : IIdentified { public static string IdPrefix => "crd"; private Grant() { } }

/// <summary>Credit of a customer, and what is left of it.</summary>
/// <param name="Kind"><c>prepaid</c>: paid before, pays gross amounts. <c>promotional</c>: given, lowers what is taxed.
/// </param>
/// <param name="Priority">0 is burnt first; then what expires first, then what was granted first.</param>
/// <param name="EffectiveAt">Usage from then on burns it, microseconds.</param>
/// <param name="Amount">Minor units, or units of the meter × 10^scale.</param>
/// <param name="Prices">JSON: names of the prices that it is for; null for all.</param>
/// <param name="Meter">Of credit in units; null for money.</param>
/// <param name="Scale">Of the meter.</param>
/// <param name="KeepsValues">Whether the time of each measurement of the meter is known, and not only its quarter of an
/// hour.</param>
public sealed record GrantRow(
    long Key, string Id, long CustomerKey, string Kind, string Currency, long Amount, long Priority, long EffectiveAt,
    long? ExpiresAt, string? Prices, string Name, long CreatedAt, long? VoidedAt, long Burnt, string Customer,
    string? Meter, long? Scale, long? KeepsValues)
{
    public const string Prepaid = "prepaid", Promotional = "promotional";

    public long Left => VoidedAt is null ? Amount - Burnt : 0;

    public IReadOnlyList<string>? PriceNames => Prices is null ? null : JsonSerializer.Deserialize<string[]>(Prices);

    /// <summary>Units of the meter, of a number as it is stored.</summary>
    public decimal Units(long stored) => stored / Catalog.Meter.PowerOfTen((int)(Scale ?? 0));
}

/// <summary>A grant to be made.</summary>
public sealed record NewGrant(long CustomerKey, string Kind, Money Amount, string Name)
{
    public int Priority { get; init; }

    /// <summary>Null for now.</summary>
    public long? EffectiveAt { get; init; }

    public long? ExpiresAt { get; init; }

    public IReadOnlyList<string>? Prices { get; init; }

    public long? RecurringKey { get; init; }

    /// <summary>In place of the amount; null for credit in money.</summary>
    public (Meter Meter, decimal Units)? Units { get; init; }

    internal string Code => Units is null ? Amount.Currency.Code : "";

    internal long Stored => Units is var (meter, units)
        ? (long)(units * Meter.PowerOfTen(meter.Scale)) : Amount.MinorUnits;
}

/// <summary>A grant that comes again with each period.</summary>
/// <param name="Rollover">Periods that what is left of one lasts longer.</param>
public sealed record NewRecurringGrant(NewGrant Grant, BillingCalendar Calendar, int Rollover, long? EndAt);

/// <summary>A grant that comes again, as it is stored.</summary>
public sealed record RecurringGrantRow(
    string Id, string Kind, string Name, string Currency, long Amount, string Interval, long Rollover, long NextAt,
    long? EndAt, string Customer, string? Meter, long? Scale);

/// <summary>The SQL of credit.</summary>
public sealed class GrantStore(Database database, TimeProvider clock)
{
    private const string Columns = "g.key, g.id, g.customer_key, g.kind, g.currency, g.amount, g.priority, " +
        "g.effective_at, g.expires_at, g.prices, g.name, g.created_at, g.voided_at, g.burnt, " +
        "(select c.id from customers c where c.key = g.customer_key) as customer, g.meter, m.scale, m.keeps_values";

    private const string From = "from grants g left join meter_keys m on m.name = g.meter";

    private const string InOrder =
        "order by g.priority, case when g.expires_at is null then 1 else 0 end, g.expires_at, g.key";

    public Task<GrantRow?> FindAsync(string id) => database.ReadAsync(db => FindAsync(db, id));

    public static Task<GrantRow?> FindAsync(DbConnection db, string id) => db.QueryFirstOrDefaultAsync<GrantRow?>(
        $"select {Columns} {From} where g.id = @id", new { id });

    public Task<IReadOnlyList<GrantRow>> ListAsync(long? customerKey, long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<GrantRow>)(await db.QueryAsync<GrantRow>(
            $"select {Columns} {From} where g.key > @after " +
            (customerKey is null ? "" : "and g.customer_key = @customerKey ") + "order by g.key limit @limit",
            new { after, limit, customerKey })).AsList());

    /// <summary>What a customer has left that is valid in some part of a time, in the order in which it is burnt.
    /// </summary>
    public static async Task<IReadOnlyList<GrantRow>> ValidAsync(
        DbConnection db, long customerKey, string currency, (long Start, long End) time) =>
        (await db.QueryAsync<GrantRow>(
            $"select {Columns} {From} where g.customer_key = @customerKey and g.currency = @currency " +
            "and g.voided_at is null and g.effective_at <= @End and (g.expires_at is null or g.expires_at > @Start) " +
            InOrder,
            new { customerKey, currency, time.Start, time.End })).Where(g => g.Left > 0).ToArray();

    /// <summary>Everything of which something is left, whenever it is or was valid.</summary>
    internal static async Task<IReadOnlyList<GrantRow>> UnspentAsync(DbConnection db, long customerKey, string currency) =>
        (await db.QueryAsync<GrantRow>(
            $"select {Columns} {From} where g.customer_key = @customerKey and g.currency = @currency " +
            "and g.voided_at is null and g.burnt < g.amount order by g.key", new { customerKey, currency })).AsList();

    /// <summary>All credit of a customer in units, in the order in which it is burnt; also what is used up or void.</summary>
    public static async Task<IReadOnlyList<GrantRow>> InUnitsAsync(DbConnection db, long customerKey) =>
        (await db.QueryAsync<GrantRow>(
            $"select {Columns} {From} where g.customer_key = @customerKey and g.meter is not null {InOrder}",
            new { customerKey })).AsList();

    /// <summary>What usage of a subscription in the periods that end at these instants has burnt of credit in units.</summary>
    internal static async Task<IReadOnlyList<(long Grant, long SettlesAt, long Amount)>> BurntUnitsAsync(
        DbConnection db, long subscriptionKey) =>
        (await db.QueryAsync<(long, long, long)>(
            "select b.grant_key, b.settles_at, cast(sum(b.amount) as bigint) from burns b " +
            "join invoices i on i.key = b.invoice_key where i.subscription_key = @subscriptionKey " +
            "and b.settles_at is not null group by b.grant_key, b.settles_at", new { subscriptionKey })).AsList();

    /// <summary>Grants credit. A prepaid one was paid with it: cash, without tax.</summary>
    public Task<string> AddAsync(DbConnection db, NewGrant grant) => AddAsync(db, grant, Micros.Now(clock));

    private static async Task<string> AddAsync(DbConnection db, NewGrant grant, long now)
    {
        var id = new Id<Grant>(Guid.CreateVersion7(Micros.ToDateTimeOffset(now))).ToString();
        await db.ExecuteAsync(
            "insert into grants (id, customer_key, kind, currency, amount, priority, effective_at, expires_at, prices, " +
            "name, recurring_key, created_at, meter, told) values (@id, @CustomerKey, @Kind, @Code, @Stored, @Priority, @effective, " +
            "@ExpiresAt, @prices, @Name, @RecurringKey, @now, @meter, @told)",
            new
            {
                id,
                grant.CustomerKey,
                grant.Kind,
                grant.Code,
                grant.Stored,
                grant.Priority,
                meter = grant.Units?.Meter.Name,
                // of money the balance says so; whoever grants by hand announces it
                told = grant is { Units: not null, RecurringKey: not null } ? 0 : 1,
                effective = grant.EffectiveAt ?? now,
                grant.ExpiresAt,
                prices = grant.Prices is null ? null : JsonSerializer.Serialize(grant.Prices),
                grant.Name,
                grant.RecurringKey,
                now,
            });
        if (grant.Units is not null) return id;
        if (grant.Kind == GrantRow.Prepaid)
            await Ledger.PostAsync(db, grant.CustomerKey, new Entry(id,
                new Posting(Account.Cash, grant.Amount), new Posting(Account.Prepaid, -grant.Amount)), id, now);
        await CreditAtGate.WriteAsync(db, grant.CustomerKey, now);
        return id;
    }

    /// <summary>Takes back what is left; of a prepaid one, money goes back too.</summary>
    public async Task VoidAsync(DbConnection db, GrantRow grant)
    {
        var now = Micros.Now(clock);
        await db.ExecuteAsync("update grants set voided_at = @now where key = @Key", new { now, grant.Key });
        if (grant.Meter is not null) return;
        var left = new Money(grant.Left, Currency.Of(grant.Currency));
        if (grant.Kind == GrantRow.Prepaid)
            await Ledger.PostAsync(db, grant.CustomerKey, new Entry(grant.Id,
                new Posting(Account.Prepaid, left), new Posting(Account.Cash, -left)), grant.Id + " void", now);
        await CreditAtGate.WriteAsync(db, grant.CustomerKey, now);
    }

    /// <param name="settlesAt">Of units: the end of the period whose usage burns them.</param>
    /// <exception cref="CreditGoneException">Less is left of it: it was burnt or voided since it was read.</exception>
    public static async Task BurnAsync(
        DbConnection db, long grantKey, long invoiceKey, long amount, long now, long? settlesAt = null)
    {
        await db.ExecuteAsync("insert into burns (grant_key, invoice_key, amount, burnt_at, settles_at) values " +
            "(@grantKey, @invoiceKey, @amount, @now, @settlesAt)", new { grantKey, invoiceKey, amount, now, settlesAt });
        if (await db.ExecuteAsync(
            "update grants set burnt = burnt + @amount where key = @grantKey " +
            "and (@amount <= 0 or (voided_at is null and burnt + @amount <= amount))", new { grantKey, amount }) == 0)
            throw new CreditGoneException($"Less than {amount} is left of the grant {grantKey}: it was burnt or voided meanwhile.");
    }

    /// <summary>A voided invoice gives back what it burnt.</summary>
    public static async Task UnburnAsync(DbConnection db, long invoiceKey, long now)
    {
        var burnt = await db.QueryAsync<(long Grant, long? SettlesAt, long Amount)>(
            "select grant_key, settles_at, cast(sum(amount) as bigint) from burns where invoice_key = @invoiceKey " +
            "group by grant_key, settles_at having sum(amount) <> 0", new { invoiceKey });
        foreach (var (grant, settlesAt, amount) in burnt) await BurnAsync(db, grant, invoiceKey, -amount, now, settlesAt);
    }

    public async Task<string> AddRecurringAsync(DbConnection db, NewRecurringGrant recurring)
    {
        var (grant, calendar) = (recurring.Grant, recurring.Calendar);
        var now = Micros.Now(clock);
        var index = calendar.IndexAt(Micros.ToInstant(grant.EffectiveAt ?? now));
        var id = Id<Grant>.New(clock).ToString();
        await db.ExecuteAsync(
            "insert into recurring_grants (id, customer_key, kind, currency, amount, priority, prices, name, interval, " +
            "anchor, timezone, rollover, next_index, next_at, end_at, created_at, meter) values (@id, @CustomerKey, @Kind, @Code, " +
            "@Stored, @Priority, @prices, @Name, @interval, @anchor, @zone, @Rollover, @index, @start, @EndAt, @now, @meter)",
            new
            {
                id,
                grant.CustomerKey,
                grant.Kind,
                grant.Code,
                grant.Stored,
                grant.Priority,
                meter = grant.Units?.Meter.Name,
                prices = grant.Prices is null ? null : JsonSerializer.Serialize(grant.Prices),
                grant.Name,
                interval = calendar.Interval.ToText(),
                anchor = LocalDatePattern.Iso.Format(calendar.Anchor),
                zone = calendar.Zone.Id,
                recurring.Rollover,
                index,
                start = Micros.Of(calendar.PeriodOf(index).Start),
                recurring.EndAt,
                now,
            });
        return id;
    }

    public Task<RecurringGrantRow?> FindRecurringAsync(string id) =>
        database.ReadAsync(db => db.QueryFirstOrDefaultAsync<RecurringGrantRow?>(
            "select r.id, r.kind, r.name, r.currency, r.amount, r.interval, r.rollover, r.next_at, r.end_at, " +
            "(select c.id from customers c where c.key = r.customer_key) as customer, r.meter, m.scale " +
            "from recurring_grants r left join meter_keys m on m.name = r.meter " +
            "where r.id = @id", new { id }));

    /// <summary>No further grants come of it; those that it made stay.</summary>
    /// <returns>Whether it had not ended already.</returns>
    public async Task<bool> EndRecurringAsync(DbConnection db, string id) => await db.ExecuteAsync(
        "update recurring_grants set end_at = @now where id = @id and (end_at is null or end_at > @now)",
        new { id, now = Micros.Now(clock) }) == 1;

    /// <summary>Makes the grants whose period has begun, each in the transaction that moves its mark.</summary>
    public static async Task RecurAsync(Database database, long now)
    {
        while (await database.ReadAsync(db => db.ExecuteScalarAsync<bool>(
            "select exists (select 1 from recurring_grants where next_at <= @now and (end_at is null or next_at < end_at))",
            new { now })))
            await database.WriteAsync(db => RecurAsync(db, now));
    }

    private static async Task RecurAsync(DbConnection db, long now)
    {
        var due = await db.QueryAsync<RecurringRow>(
            "select key, customer_key, kind, currency, amount, priority, prices, name, interval, anchor, timezone, " +
            "rollover, next_index, meter from recurring_grants where next_at <= @now and (end_at is null or next_at < end_at) " +
            "order by key limit 500", new { now });
        var meters = await UsageStore.MetersAsync(db);
        foreach (var row in due)
        {
            var meter = row.Meter is null ? null : meters[row.Meter];
            var calendar = new BillingCalendar(LocalDatePattern.Iso.Parse(row.Anchor).Value,
                NodaTime.DateTimeZoneProviders.Tzdb[row.Timezone], Intervals.Find(row.Interval)!.Value);
            var index = (int)row.NextIndex;
            await AddAsync(db, new NewGrant(
                row.CustomerKey, row.Kind,
                meter is null ? new Money(row.Amount, Currency.Of(row.Currency)) : Money.Zero(Currency.Usd), row.Name)
            {
                Units = meter is null ? null : (meter, meter.Unscaled(row.Amount)),
                Priority = (int)row.Priority,
                EffectiveAt = Micros.Of(calendar.PeriodOf(index).Start),
                ExpiresAt = Micros.Of(calendar.PeriodOf(index + (int)row.Rollover).End),
                Prices = row.Prices is null ? null : JsonSerializer.Deserialize<string[]>(row.Prices),
                RecurringKey = row.Key,
            }, now);
            await db.ExecuteAsync(
                "update recurring_grants set next_index = @next, next_at = @at where key = @Key",
                new { next = index + 1, at = Micros.Of(calendar.PeriodOf(index + 1).Start), row.Key });
        }
    }

    private sealed record RecurringRow(
        long Key, long CustomerKey, string Kind, string Currency, long Amount, long Priority, string? Prices, string Name,
        string Interval, string Anchor, string Timezone, long Rollover, long NextIndex, string? Meter);
}

/// <summary>Credit that a draft counted on is not there any more: what it would issue has to be drafted anew.</summary>
public sealed class CreditGoneException(string message) : InvalidOperationException(message);
