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
/// <param name="NewestBillAt">Of its newest invoice.</param>
/// <param name="NextBillAt">What lies before is billed, or was found to be nothing; null: nothing more to come.</param>
/// <param name="NewestTerms">Key of its newest entitlement: tells whether its terms have changed since.</param>
public sealed record BilledSubscription(
    SubscriptionRow Subscription, long? NewestBillAt, long? NextBillAt, long? NewestTerms)
{
    /// <summary>The bills that are still to come, in order of time. Endless while it runs on.</summary>
    public IEnumerable<Bill> Bills() => NextBillAt is { } next
        ? Drafting.Bills(Subscription, NewestBillAt).SkipWhile(b => b.BillAt < next)
        : [];
}

/// <summary>An invoice as it would be issued.</summary>
/// <param name="NextBillAt">Of the bill after it; null when it is the last one.</param>
public sealed record Proposal(InvoiceDraft Draft, InvoiceDocument Document, long? NextBillAt);

/// <summary>How far a walk over the subscriptions that are due has come.</summary>
public readonly record struct DueCursor(long NextBillAt, long StartAt, long Key)
{
    public static DueCursor Start { get; } = new(long.MinValue, long.MinValue, 0);

    public static DueCursor After(BilledSubscription billed) =>
        new(billed.NextBillAt ?? long.MinValue, billed.Subscription.StartAt, billed.Subscription.Key);
}

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

    /// <summary>
    /// A page of the subscriptions of which a bill may be due: one at the start at once, any other after the
    /// collection window. One range of an index: those that wait for their next bill are not looked at.
    /// </summary>
    public Task<IReadOnlyList<BilledSubscription>> DueAsync(DueCursor after, long now, long window, int limit) =>
        database.ReadAsync(db => SubscriptionsAsync(db,
            "s.next_bill_at <= @now and (s.next_bill_at <= @settled or s.next_bill_at = s.start_at) " +
            "and (s.next_bill_at, s.start_at, s.key) > (@NextBillAt, @StartAt, @Key) " +
            "order by s.next_bill_at, s.start_at, s.key limit @limit",
            new { now, settled = now - window, after.NextBillAt, after.StartAt, after.Key, limit }));

    /// <summary>
    /// After the clock was set back by more than a month: subscriptions that wait for a bill further away than any
    /// period is long, since the time in between was found empty, are looked at again from their start. What was
    /// invoiced stays so.
    /// </summary>
    /// <param name="beyond">The end of the longest period that may be running, microseconds.</param>
    public async Task LookAgainAsync(long now, long beyond)
    {
        const string skipped = "from subscriptions where next_bill_at > @beyond and start_at <= @now and not exists " +
            "(select 1 from invoices i where i.subscription_key = subscriptions.key and i.bill_at > @now)";
        if (!await database.ReadAsync(db =>
            db.ExecuteScalarAsync<bool>($"select exists (select 1 {skipped})", new { now, beyond }))) return;
        await database.WriteAsync(db => db.ExecuteAsync(
            $"update subscriptions set next_bill_at = start_at where key in (select key {skipped})", new { now, beyond }));
    }

    public static Task<IReadOnlyList<BilledSubscription>> OfCustomerAsync(DbConnection db, long customerKey) =>
        SubscriptionsAsync(db, "s.customer_key = @customerKey order by s.key", new { customerKey });

    /// <summary>
    /// Notes from when on a subscription is to be billed next, or does nothing when it was billed, ended or moved to
    /// other terms since <paramref name="expected"/> was read.
    /// </summary>
    /// <returns>Whether it was noted.</returns>
    public static async Task<bool> TryAdvanceAsync(DbConnection db, BilledSubscription expected, long? nextBillAt) =>
        await db.ExecuteAsync(
            "update subscriptions set next_bill_at = @nextBillAt where key = @Key " +
            "and next_bill_at is not distinct from @before and end_at is not distinct from @EndAt " +
            "and (select max(n.bill_at) from invoices n where n.subscription_key = subscriptions.key) " +
            "is not distinct from @NewestBillAt " +
            "and (select max(e.key) from entitlements e where e.subscription_id = subscriptions.id) " +
            "is not distinct from @NewestTerms",
            new
            {
                nextBillAt,
                expected.Subscription.Key,
                before = expected.NextBillAt,
                expected.Subscription.EndAt,
                expected.NewestBillAt,
                expected.NewestTerms,
            }) == 1;

    /// <summary>
    /// Issues an invoice: takes the next number of its year and stores the document, or does nothing when somebody
    /// else changed the subscription since <paramref name="expected"/> was read. Runs in the caller's transaction:
    /// number and invoice appear together or not at all, so there are no gaps.
    /// </summary>
    /// <returns>Whether it was issued.</returns>
    public static async Task<bool> TryIssueAsync(
        DbConnection db, BilledSubscription expected, Proposal proposal, long now)
    {
        var (draft, document) = (proposal.Draft, proposal.Document);
        if (!await TryAdvanceAsync(db, expected, proposal.NextBillAt)) return false;
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
        (await db.QueryAsync<SubscriptionRow, Marks, BilledSubscription>(
            "select s.key, s.id, s.customer_key, s.plan_id, s.priority, s.anchor, s.timezone, s.start_at, s.end_at, " +
            "s.managed_by, s.created_at, s.key as subscription, i.bill_at as newest_bill_at, s.next_bill_at, " +
            "e.key as newest_terms from subscriptions s left join invoices i on i.subscription_key = s.key " +
            "and i.bill_at = (select max(n.bill_at) from invoices n where n.subscription_key = s.key) " +
            "left join entitlements e on e.key = " +
            "(select max(t.key) from entitlements t where t.subscription_id = s.id) " +
            $"where {where}",
            (subscription, billed) => new BilledSubscription(
                subscription, billed.NewestBillAt, billed.NextBillAt, billed.NewestTerms),
            parameters, splitOn: "subscription")).AsList();

    private sealed record Marks(long Subscription, long? NewestBillAt, long? NextBillAt, long? NewestTerms);
}
