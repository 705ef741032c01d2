using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

/// <summary>An issued invoice as it is stored; it never changes.</summary>
/// <param name="Total">Minor units of the currency.</param>
/// <param name="Document">What was sent, byte for byte.</param>
public sealed record InvoiceRow(
    long Key, string Id, string Number, long CustomerKey, long SubscriptionKey, long BillAt, long PeriodStart,
    long PeriodEnd, string Currency, long Total, string Document, long IssuedAt);

/// <summary>A subscription, and up to when it has been billed.</summary>
public sealed record BilledSubscription(SubscriptionRow Subscription, long? NewestBillAt);

/// <summary>The SQL of invoices.</summary>
public sealed class InvoiceStore(Database database)
{
    private const string Columns = "key, id, number, customer_key, subscription_key, bill_at, period_start, " +
        "period_end, currency, total, document, issued_at";

    /// <summary>By id or by number.</summary>
    public Task<InvoiceRow?> FindAsync(string idOrNumber) => database.ReadAsync(db =>
        db.QueryFirstOrDefaultAsync<InvoiceRow?>(
            $"select {Columns} from invoices where id = @idOrNumber or number = @idOrNumber", new { idOrNumber }));

    /// <summary>In order of issue, after the key given; of one customer, or of all.</summary>
    public Task<IReadOnlyList<InvoiceRow>> ListAsync(long? customerKey, long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<InvoiceRow>)(await db.QueryAsync<InvoiceRow>(
            $"select {Columns} from invoices where key > @after " +
            (customerKey is null ? "" : "and customer_key = @customerKey ") + "order by key limit @limit",
            new { after, limit, customerKey })).AsList());

    /// <summary>The invoices of a customer whose period starts in the time given, half-open, microseconds UTC.
    /// </summary>
    public static async Task<IReadOnlyList<InvoiceRow>> OfPeriodAsync(
        DbConnection db, long customerKey, long from, long to) =>
        (await db.QueryAsync<InvoiceRow>(
            $"select {Columns} from invoices where customer_key = @customerKey " +
            "and period_start >= @from and period_start < @to order by bill_at, key",
            new { customerKey, from, to })).AsList();

    /// <summary>A page of all subscriptions, in the order of their keys.</summary>
    public Task<IReadOnlyList<BilledSubscription>> PageAsync(long after, int limit) => database.ReadAsync(
        db => SubscriptionsAsync(db, "s.key > @after order by s.key limit @limit", new { after, limit }));

    public static Task<IReadOnlyList<BilledSubscription>> OfCustomerAsync(DbConnection db, long customerKey) =>
        SubscriptionsAsync(db, "s.customer_key = @customerKey order by s.key", new { customerKey });

    /// <summary>
    /// Issues an invoice: takes the next number of its year and stores the document, or does nothing when somebody
    /// else billed the subscription since <paramref name="expected"/> was read. Runs in the caller's transaction:
    /// number and invoice appear together or not at all, so there are no gaps.
    /// </summary>
    /// <returns>Whether it was issued.</returns>
    public static async Task<bool> TryIssueAsync(
        DbConnection db, BilledSubscription expected, InvoiceDraft draft, InvoiceDocument document, long now)
    {
        var newest = await db.ExecuteScalarAsync<long?>(
            "select max(bill_at) from invoices where subscription_key = @Key", new { expected.Subscription.Key });
        if (newest != expected.NewestBillAt) return false;
        var year = Micros.ToDateTimeOffset(now).Year;
        var last = await db.ExecuteScalarAsync<long>(
            "insert into number_series (year, last) values (@year, 1) " +
            "on conflict (year) do update set last = number_series.last + 1 returning last", new { year });
        var number = $"{year}-{last:000000}";
        var id = new Id<Invoice>(Guid.CreateVersion7(Micros.ToDateTimeOffset(now))).ToString();
        await db.ExecuteAsync(
            "insert into invoices (id, number, customer_key, subscription_key, bill_at, period_start, period_end, " +
            "currency, total, document, issued_at) values (@id, @number, @CustomerKey, @Key, @BillAt, @start, @end, " +
            "@currency, @MinorUnits, @json, @now)",
            new
            {
                id,
                number,
                draft.Subscription.CustomerKey,
                draft.Subscription.Key,
                draft.Bill.BillAt,
                start = Micros.Of(draft.Bill.Period.Start),
                end = Micros.Of(draft.Bill.Period.End),
                currency = draft.Total.Currency.Code,
                draft.Total.MinorUnits,
                json = document.Issue(id, number, now).ToJson(),
                now,
            });
        return true;
    }

    private static async Task<IReadOnlyList<BilledSubscription>> SubscriptionsAsync(
        DbConnection db, string where, object parameters) =>
        (await db.QueryAsync<SubscriptionRow, Newest, BilledSubscription>(
            "select s.key, s.id, s.customer_key, s.plan_id, s.priority, s.anchor, s.timezone, s.start_at, s.end_at, " +
            "s.managed_by, s.created_at, s.key as subscription, i.bill_at from subscriptions s " +
            "left join invoices i on i.subscription_key = s.key " +
            "and i.bill_at = (select max(n.bill_at) from invoices n where n.subscription_key = s.key) " +
            $"where {where}",
            (subscription, newest) => new BilledSubscription(subscription, newest.BillAt),
            parameters, splitOn: "subscription")).AsList();

    private sealed record Newest(long Subscription, long? BillAt);
}
