using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

/// <summary>An issued invoice as it is stored. Its document never changes; what becomes of it stands beside.</summary>
/// <param name="Total">With tax; minor units of the currency.</param>
/// <param name="Document">What was sent, byte for byte.</param>
/// <param name="Status"><c>issued</c>, <c>paid</c>, <c>void</c> or <c>uncollectible</c>; overdue is a matter of time.
/// </param>
/// <param name="AmountDue">What was to be paid at its issue; never below zero.</param>
/// <param name="Settled">What is paid, or credited, of it.</param>
/// <param name="Credited">By credit notes.</param>
public sealed record InvoiceRow(
    long Key, string Id, string Number, long CustomerKey, long SubscriptionKey, long BillAt, long PeriodStart,
    long PeriodEnd, string Currency, long Total, string Document, long IssuedAt, string Status, long AmountDue,
    long Settled, long Credited, long DueAt, long? ClosedAt)
{
    public const string Issued = "issued", Paid = "paid", Void = "void", Uncollectible = "uncollectible",
        Overdue = "overdue";

    public string StatusAt(long now) => Status == Issued && DueAt <= now ? Overdue : Status;

    /// <summary>What has become of it by an instant.</summary>
    public InvoiceStanding StandingAt(long now)
    {
        var currency = Catalog.Currency.Of(Currency);
        return new InvoiceStanding(StatusAt(now), DueAt, ClosedAt, new Money(Settled, currency),
            new Money(Status == Void ? 0 : AmountDue - Settled, currency));
    }
}

/// <summary>What has become of an issued invoice.</summary>
/// <param name="Status">As <see cref="InvoiceRow.StatusAt"/> says it.</param>
/// <param name="DueAt">Microseconds.</param>
/// <param name="ClosedAt">When it was paid, voided or written off; null while it is open.</param>
/// <param name="Settled">Paid, or credited.</param>
/// <param name="Left">Not settled of what was due.</param>
public sealed record InvoiceStanding(string Status, long DueAt, long? ClosedAt, Money Settled, Money Left)
{
    /// <summary>"issued at …, due at …", "paid since …, issued at …".</summary>
    public string ToString(string issuedAt) => Status switch
    {
        InvoiceRow.Issued => $"issued at {issuedAt}, due at {Micros.ToText(DueAt)}",
        InvoiceRow.Overdue => $"overdue since {Micros.ToText(DueAt)}, issued at {issuedAt}",
        _ => $"{Status}{(ClosedAt is { } at ? $" since {Micros.ToText(at)}" : "")}, issued at {issuedAt}",
    };
}

/// <summary>An invoice of a time: as it was issued, or as it would be.</summary>
/// <param name="Document">As JSON.</param>
/// <param name="Issued">None for a draft.</param>
public sealed record ShownInvoice(string Document, InvoiceRow? Issued);

/// <summary>A subscription, and up to when it has been billed.</summary>
public sealed record BilledSubscription(SubscriptionRow Subscription, BilledSoFar Sofar);

/// <summary>An invoice as it would be issued.</summary>
/// <param name="Next">The bill after it; null when it is the last one.</param>
public sealed record Proposal(ReadDraft Read, Bill? Next);

/// <summary>How far a walk over the subscriptions that are due has come.</summary>
public readonly record struct DueCursor(long NextBillAt, long StartAt, long Key)
{
    public static DueCursor Start { get; } = new(long.MinValue, long.MinValue, 0);

    public static DueCursor After(BilledSubscription billed) =>
        new(billed.Sofar.Next ?? long.MinValue, billed.Subscription.StartAt, billed.Subscription.Key);
}

/// <summary>The SQL of invoices.</summary>
public sealed class InvoiceStore(Database database)
{
    /// <summary>How many invoices the growth of the next one is held against, and how many there must be.</summary>
    public const int History = 12, LeastHistory = 3;

    private const string Columns = "key, id, number, customer_key, subscription_key, bill_at, period_start, " +
        "period_end, currency, total, document, issued_at, status, amount_due, settled, credited, due_at, closed_at";

    /// <summary>By id or by number.</summary>
    public Task<InvoiceRow?> FindAsync(string idOrNumber) => database.ReadAsync(db => FindAsync(db, idOrNumber));

    /// <summary>In order of issue, after the key given; of one customer, or of all.</summary>
    /// <param name="customerKey">Null for all.</param>
    /// <param name="after">Key of the last row of the page before.</param>
    /// <param name="limit">Rows.</param>
    /// <param name="status">As <see cref="InvoiceRow.StatusAt"/> says it at an instant; null for any.</param>
    public Task<IReadOnlyList<InvoiceRow>> ListAsync(
        long? customerKey, long after, int limit, (string Status, long At)? status = null) => database.ReadAsync(
        async db => (IReadOnlyList<InvoiceRow>)(await db.QueryAsync<InvoiceRow>(
            $"select {Columns} from invoices where key > @after " +
            (customerKey is null ? "" : "and customer_key = @customerKey ") + (status?.Status switch
            {
                null => "",
                InvoiceRow.Issued => "and status = 'issued' and due_at > @at ",
                InvoiceRow.Overdue => "and status = 'issued' and due_at <= @at ",
                _ => "and status = @of ",
            }) + "order by key limit @limit",
            new { after, limit, customerKey, of = status?.Status, at = status?.At })).AsList());

    /// <summary>Subscriptions of which something may still be billed, in order of their keys; of one customer, or of all.
    /// </summary>
    public static Task<IReadOnlyList<BilledSubscription>> OpenAsync(DbConnection db, long? customerKey, long after, int limit) =>
        SubscriptionsAsync(db, "s.key > @after and s.next_bill_at is not null " +
            (customerKey is null ? "" : "and s.customer_key = @customerKey ") + "order by s.key limit @limit",
            new { after, limit, customerKey });

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
            "s.next_bill_at <= @now and (s.next_bill_at <= @settled or s.waits = 0) " +
            "and (s.next_bill_at, s.start_at, s.key) > (@NextBillAt, @StartAt, @Key) " +
            "order by s.next_bill_at, s.start_at, s.key limit @limit",
            new { now, settled = now - window, after.NextBillAt, after.StartAt, after.Key, limit }));

    /// <summary>
    /// After the clock was set back by more than a period: subscriptions that wait for a bill further away than their
    /// periods are long, since the time in between was found empty, are looked at again from their start. What was
    /// invoiced stays so.
    /// </summary>
    public async Task LookAgainAsync(long now)
    {
        const string skipped = "from subscriptions where start_at <= @now and next_bill_at > @now + @day * " +
            "case interval when 'day' then 3 when 'week' then 8 when 'month' then 32 when 'quarter' then 93 else 367 end " +
            "and (billed_at is null or billed_at <= @now)";
        const long day = 86_400 * Micros.PerSecond;
        if (!await database.ReadAsync(db =>
            db.ExecuteScalarAsync<bool>($"select exists (select 1 {skipped})", new { now, day }))) return;
        await database.WriteAsync(db => db.ExecuteAsync(
            "update subscriptions set next_bill_at = start_at, waits = 0, revision = revision + 1 " +
            $"where key in (select key {skipped})", new { now, day }));
    }

    /// <summary>The fees in advance on the invoices of a subscription, those of a year before an instant at least.
    /// </summary>
    public static async Task<IReadOnlyList<BilledFee>> FeesAsync(DbConnection db, long subscriptionKey, long at)
    {
        // no period is longer than a year
        var since = at - 367L * 86_400 * Micros.PerSecond;
        var invoices = await db.QueryAsync<(string Document, string Currency, long Credited)>(
            "select document, currency, credited from invoices where subscription_key = @subscriptionKey and bill_at >= @since " +
            "and status <> 'void' order by key",
            new { subscriptionKey, since });
        return invoices.SelectMany(i => InvoiceDocument.Read(i.Document)
            .FeesInAdvance(new Money(i.Credited, Currency.Of(i.Currency)))).ToArray();
    }

    public static Task<IReadOnlyList<BilledSubscription>> OfCustomerAsync(DbConnection db, long customerKey) =>
        SubscriptionsAsync(db, "s.customer_key = @customerKey order by s.key", new { customerKey });

    /// <summary>
    /// Notes from when on a subscription is to be billed next, or does nothing when it was billed or changed since
    /// <paramref name="expected"/> was read.
    /// </summary>
    /// <param name="waits">Whether the next bill settles usage, and so waits for what comes late.</param>
    /// <returns>Whether it was noted.</returns>
    public static async Task<bool> TryAdvanceAsync(
        DbConnection db, BilledSubscription expected, long? nextBillAt, bool waits = true) =>
        await db.ExecuteAsync(
            "update subscriptions set next_bill_at = @nextBillAt, waits = @waits, revision = revision + 1 " +
            "where key = @Key and revision = @Revision",
            new
            {
                nextBillAt,
                waits = waits ? 1 : 0,
                expected.Subscription.Key,
                expected.Subscription.Revision,
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
        var (draft, document) = (proposal.Read.Draft, proposal.Read.Document);
        if (await db.ExecuteAsync(
            "update subscriptions set next_bill_at = @next, waits = @waits, revision = revision + 1, " +
            "billed_at = case when billed_at > @BillAt then billed_at else @BillAt end, " +
            "settled_at = case when @settles = 0 or settled_at > @BillAt then settled_at else @BillAt end " +
            "where key = @Key and revision = @Revision",
            new
            {
                next = proposal.Next?.BillAt,
                waits = proposal.Next is { Waits: false } ? 0 : 1,
                draft.Bill.BillAt,
                settles = draft.Bill.Settles is null ? 0 : 1,
                expected.Subscription.Key,
                expected.Subscription.Revision,
            }) == 0) return false;
        var year = Micros.ToDateTimeOffset(now).Year;
        var last = await db.ExecuteScalarAsync<long>(
            "insert into number_series (year, last) values (@year, 1) " +
            "on conflict (year) do update set last = number_series.last + 1 returning last", new { year });
        var number = $"{year}-{last:000000}";
        // the draft's, unless the instant has an invoice already
        var id = expected.Sofar.Billed >= draft.Bill.BillAt || document.Id is null
            ? new Id<Invoice>(Guid.CreateVersion7(Micros.ToDateTimeOffset(now))).ToString()
            : document.Id;
        var due = draft.Sum.Due.MinorUnits;
        var dueAt = now + draft.Terms.NetDays * Micros.PerDay;
        var key = await db.ExecuteScalarAsync<long>(
            "insert into invoices (id, number, customer_key, subscription_key, bill_at, period_start, period_end, " +
            "currency, total, document, issued_at, status, amount_due, due_at, closed_at) values (@id, @number, " +
            "@CustomerKey, @Key, @BillAt, @start, @end, @currency, @MinorUnits, @json, @now, @status, @due, @dueAt, " +
            "@closedAt) returning key",
            new
            {
                id,
                number,
                status = due > 0 ? InvoiceRow.Issued : InvoiceRow.Paid,
                due = Math.Max(due, 0),
                dueAt,
                closedAt = due > 0 ? (long?)null : now,
                draft.Subscription.CustomerKey,
                draft.Subscription.Key,
                draft.Bill.BillAt,
                start = Micros.Of(draft.Bill.Period.Start),
                end = Micros.Of(draft.Bill.Period.End),
                currency = draft.Total.Currency.Code,
                draft.Total.MinorUnits,
                json = document.Issue(id, number, (now, dueAt)).ToJson(),
                now,
            });
        await NoteAsync(db, proposal.Read, (key, id), now);
        return true;
    }

    /// <summary>What an invoice brings about, in its transaction: postings, burnt credit, used coupons, told usage.
    /// </summary>
    private static async Task NoteAsync(DbConnection db, ReadDraft read, (long Key, string Id) invoice, long now)
    {
        var draft = read.Draft;
        var customer = draft.Subscription.CustomerKey;
        var promotional = draft.Burns.Where(b => b.Grant.Kind == GrantRow.Promotional)
            .Aggregate(Money.Zero(draft.Total.Currency), (sum, b) => sum + b.Amount);
        var shared = await SharedRevenue.EarnAsync(db, read.Shared, invoice, draft.Total.Currency, now);
        // an inclusive price contains the tax of what was given away: revenue and promotion both go without it
        await Ledger.PostAsync(db, customer, Entry.OfInvoice(invoice.Id,
            new InvoiceAmounts(draft.Sum.Net, draft.Sum.Tax, promotional, draft.Sum.Prepaid) { Shared = shared }), invoice.Id, now);
        foreach (var burn in draft.Burns)
            await GrantStore.BurnAsync(db, burn.Grant.Key, invoice.Key, burn.Amount.MinorUnits, now);
        foreach (var (burn, settlesAt) in read.UnitBurns)
            await GrantStore.BurnAsync(db, burn.Grant, invoice.Key, burn.Stored, now, settlesAt);
        await CreditAtGate.SettleAsync(db, draft, now);
        foreach (var coupon in draft.Coupons) await CouponStore.UseAsync(db, coupon.Coupon.Key);
        await ToldUsageStore.SetAsync(db, read.Told);
        await MarkAsync(db, read.Late, now);
        await Settling.SettleAsync(db, customer, draft.Total.Currency.Code, now, hold: false);
    }

    /// <summary>Marks usage that came too late for any invoice.</summary>
    internal static async Task MarkAsync(DbConnection db, IReadOnlyList<ToldUsage> late, long now)
    {
        foreach (var of in late)
            await ToldUsageStore.MarkAsync(db, of.Entitlement, of.Period, (long)of.Read().Sum(u => u.Quantity), now);
    }

    /// <summary>Subscriptions whose next bill is of this millisecond.</summary>
    public static Task<IReadOnlyList<BilledSubscription>> NextAsync(DbConnection db, long from) => SubscriptionsAsync(
        db, "s.next_bill_at >= @from and s.next_bill_at < @to order by s.key", new { from, to = from + 1_000 });

    /// <summary>Subscriptions whose next bill is before this millisecond, each with instants of it at which another one may be:
    /// its first microsecond, as midnights are, and where terms begin or end in it.</summary>
    public static async Task<IReadOnlyList<(string Subscription, long At)>> BehindAsync(DbConnection db, long from) =>
        (await db.QueryAsync<(string, long)>(
            "select s.id, cast(@from as bigint) from subscriptions s where s.next_bill_at < @from " +
            "union select s.id, e.start_at from subscriptions s join entitlements e on e.subscription_id = s.id " +
            "where s.next_bill_at < @from and e.start_at > @from and e.start_at < @to " +
            "union select s.id, e.end_at from subscriptions s join entitlements e on e.subscription_id = s.id " +
            "where s.next_bill_at < @from and e.end_at > @from and e.end_at < @to", new { from, to = from + 1_000 })).AsList();

    /// <summary>Whether a subscription has an invoice of this instant.</summary>
    public static Task<bool> ExistsAsync(DbConnection db, long subscriptionKey, long billAt) =>
        db.ExecuteScalarAsync<bool>("select exists (select 1 from invoices where subscription_key = @subscriptionKey " +
            "and bill_at = @billAt)", new { subscriptionKey, billAt });

    /// <summary>The totals of the last invoices of a subscription, minor units.</summary>
    internal static async Task<IReadOnlyList<long>> TotalsAsync(DbConnection db, long subscriptionKey, string currency) =>
        (await db.QueryAsync<long>(
            "select total from invoices where subscription_key = @subscriptionKey and currency = @currency " +
            "and status <> 'void' order by bill_at desc, key desc limit @History",
            new { subscriptionKey, currency, History })).AsList();

    public static Task<InvoiceRow?> FindAsync(DbConnection db, string idOrNumber) =>
        db.QueryFirstOrDefaultAsync<InvoiceRow?>(
            $"select {Columns} from invoices where id = @idOrNumber or number = @idOrNumber", new { idOrNumber });

    /// <summary>Takes an invoice back: nothing of it is owed, and what it burnt is there again. Its number stays.</summary>
    /// <returns>Or <c>invoice_closed</c>.</returns>
    public static async Task<Problem?> VoidAsync(DbConnection db, InvoiceRow invoice, long now)
    {
        if (invoice.Status is InvoiceRow.Void or InvoiceRow.Uncollectible || invoice.Credited > 0)
            return new Problem("invoice_closed", invoice.Credited > 0
                ? $"{invoice.Number} has credit notes: credit the rest of it."
                : $"{invoice.Number} is {invoice.Status} already.");
        await db.ExecuteAsync("update invoices set status = 'void', settled = 0, closed_at = @now where key = @Key",
            new { now, invoice.Key });
        await Ledger.PostAsync(db, invoice.CustomerKey, Entry.Reversed(
            invoice.Id, await Ledger.OfDocumentAsync(db, invoice.Id)), invoice.Id + " void", now);
        await SharedRevenue.VoidAsync(db, invoice, now);
        await GrantStore.UnburnAsync(db, invoice.Key, now);
        if (await CreditAtGate.IsKeptAsync(db, invoice.CustomerKey))
            await CreditAtGate.WriteAsync(db, invoice.CustomerKey, now);
        await Settling.SettleAsync(db, invoice.CustomerKey, invoice.Currency, now);
        await Settling.HoldAsync(db, invoice.CustomerKey, now);
        return null;
    }

    /// <summary>Writes off what is left of an invoice.</summary>
    /// <returns>Or <c>invoice_closed</c>.</returns>
    public static async Task<Problem?> WriteOffAsync(DbConnection db, InvoiceRow invoice, long now)
    {
        if (invoice.Status != InvoiceRow.Issued)
            return new Problem("invoice_closed", $"{invoice.Number} is {invoice.Status} already.");
        await db.ExecuteAsync("update invoices set status = 'uncollectible', closed_at = @now where key = @Key",
            new { now, invoice.Key });
        var left = new Money(invoice.AmountDue - invoice.Settled, Currency.Of(invoice.Currency));
        await Ledger.PostAsync(
            db, invoice.CustomerKey, Entry.OfWriteOff(invoice.Id, left), invoice.Id + " written off", now);
        await Settling.HoldAsync(db, invoice.CustomerKey, now);
        return null;
    }

    public static async Task<BilledSubscription?> OfSubscriptionAsync(DbConnection db, string id) =>
        (await SubscriptionsAsync(db, "s.id = @id", new { id })).SingleOrDefault();

    private static async Task<IReadOnlyList<BilledSubscription>> SubscriptionsAsync(
        DbConnection db, string where, object parameters) =>
        (await db.QueryAsync<SubscriptionRow, Marks, BilledSubscription>(
            "select s.key, s.id, s.customer_key, s.plan_id, s.priority, s.anchor, s.timezone, s.start_at, s.end_at, " +
            "s.managed_by, s.created_at, s.interval, s.alignment, s.proration, s.revision, s.key as subscription, " +
            $"s.settled_at, s.billed_at, s.next_bill_at from subscriptions s where {where}",
            (subscription, marks) => new BilledSubscription(
                subscription, new BilledSoFar(marks.SettledAt, marks.BilledAt, marks.NextBillAt)),
            parameters, splitOn: "subscription")).AsList();

    private sealed record Marks(long Subscription, long? SettledAt, long? BilledAt, long? NextBillAt);
}
