using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Billing;

/// <summary>How invoices are made.</summary>
public sealed record BillingOptions
{
    /// <summary>How long after the end of a period an invoice waits for late usage. Zero to 31 days.</summary>
    public TimeSpan CollectionWindow { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How many subscriptions are looked at together. 1 to 10,000.</summary>
    public int PageSize { get; init; } = 500;

    /// <exception cref="ArgumentOutOfRangeException">Names the setting and its range.</exception>
    public void Validate()
    {
        if (CollectionWindow < TimeSpan.Zero || CollectionWindow > TimeSpan.FromDays(31))
            throw new ArgumentOutOfRangeException(nameof(CollectionWindow), CollectionWindow, "Zero to 31 days.");
        if (PageSize is < 1 or > 10_000)
            throw new ArgumentOutOfRangeException(nameof(PageSize), PageSize, "1 to 10,000.");
    }
}

/// <summary>What a run did.</summary>
/// <param name="Parked">Subscriptions that could not be billed, and why; the first <see cref="MaxParked"/>.</param>
public sealed record BillingReport(int Issued, int ParkedCount, IReadOnlyList<Problem> Parked)
{
    /// <summary>The others are counted, and are there again in the next run.</summary>
    public const int MaxParked = 100;
}

/// <summary>
/// Turns usage into invoices: proposes everything that is due, compares with what exists, appends the difference.
/// Running it twice, or twice at once, changes nothing; stopping it anywhere loses nothing.
/// </summary>
public sealed class BillingRun
{
    private readonly Database _database;
    private readonly InvoiceStore _invoices;
    private readonly Func<PlanVersionRow, PlanVersion> _readVersion;
    private readonly Func<Task> _catchUp;
    private readonly int _pageSize;
    private readonly long _window;

    /// <param name="readVersion">Reads the prices of a published version.</param>
    /// <param name="catchUp">Completes when all that the journals held at the call has been drained.</param>
    public BillingRun(
        Database database, Func<PlanVersionRow, PlanVersion> readVersion, Func<Task> catchUp, BillingOptions options)
    {
        options.Validate();
        (_database, _readVersion, _catchUp) = (database, readVersion, catchUp);
        _invoices = new InvoiceStore(database);
        _pageSize = options.PageSize;
        _window = options.CollectionWindow.Ticks / TimeSpan.TicksPerMicrosecond;
    }

    /// <summary>Issues what is due and not issued yet, each invoice in a transaction of its own.</summary>
    /// <param name="now">Business time, microseconds UTC.</param>
    public async Task<BillingReport> RunAsync(long now, CancellationToken cancel = default)
    {
        await _catchUp();
        var versions = new Dictionary<(string, int), PlanVersion>();
        var parked = new List<Problem>();
        var (issued, parkedCount) = (0, 0);
        for (long after = 0; ;)
        {
            var page = await _invoices.PageAsync(after, _pageSize);
            if (page.Count == 0) return new BillingReport(issued, parkedCount, parked);
            after = page[^1].Subscription.Key;
            foreach (var billed in page)
            {
                cancel.ThrowIfCancellationRequested();
                var result = await TryBillAsync(billed, now, versions);
                issued += result.Issued;
                if (result.Problem is null) continue;
                parkedCount++;
                if (parked.Count < BillingReport.MaxParked) parked.Add(result.Problem);
            }
        }
    }

    /// <summary>
    /// The invoices of a customer whose period starts in the time given, as JSON: those issued as they are stored,
    /// and drafts of the others, the running period included: its fees as they fall due at its end, its usage so far.
    /// </summary>
    public async Task<Result<IReadOnlyList<string>>> PreviewAsync(CustomerRow customer, Period period, long now)
    {
        await _catchUp();
        return await _database.ReadAsync<Result<IReadOnlyList<string>>>(async db =>
        {
            var (from, to) = (Micros.Of(period.Start), Micros.Of(period.End));
            var found = (await InvoiceStore.OfPeriodAsync(db, customer.Key, from, to))
                .Select(i => (i.BillAt, i.SubscriptionKey, i.Document)).ToList();
            var until = Math.Min(to - 1, now);
            foreach (var billed in await InvoiceStore.OfCustomerAsync(db, customer.Key))
            {
                var bills = Drafting.Bills(billed.Subscription, billed.NewestBillAt)
                    .TakeWhile(b => Micros.Of(b.Period.Start) <= until).Where(b => b.Period.Start >= period.Start);
                var terms = await TermsAsync(db, billed.Subscription, []);
                foreach (var bill in bills)
                {
                    var draft = await DraftAsync(db, terms, bill);
                    if (!draft.Ok) return Result<IReadOnlyList<string>>.Refused(draft.Problems);
                    // nothing will come of an opening without fees, nor of a period that ended without any lines
                    if (draft.Value.Lines.Count == 0 && (bill.Settles is null || bill.DueAt(_window) <= now)) continue;
                    var document = await DocumentAsync(db, draft.Value, now);
                    found.Add((bill.BillAt, billed.Subscription.Key, document.ToJson()));
                }
            }

            return found.OrderBy(f => f.BillAt).ThenBy(f => f.SubscriptionKey).Select(f => f.Document).ToArray();
        });
    }

    /// <summary>Bills one subscription; whatever is wrong with it is its own problem, and the others are billed. What
    /// is wrong with the store is everybody's, and ends the run.</summary>
    private async Task<(int Issued, Problem? Problem)> TryBillAsync(
        BilledSubscription billed, long now, Dictionary<(string, int), PlanVersion> versions)
    {
        try
        {
            return await BillAsync(billed, now, versions);
        }
        catch (Exception e) when (e is not (OperationCanceledException or StorageException or DbException))
        {
            return (0, new Problem("billing_failed",
                $"{billed.Subscription.Id} cannot be billed: {e.GetType().Name}: {e.Message}"));
        }
    }

    /// <summary>Bills one subscription, period by period; the first that cannot be billed holds back the later ones,
    /// since invoices are issued in order.</summary>
    private async Task<(int Issued, Problem? Problem)> BillAsync(
        BilledSubscription billed, long now, Dictionary<(string, int), PlanVersion> versions)
    {
        var issued = 0;
        SubscriptionTerms? terms = null;
        foreach (var bill in Drafting.Bills(billed.Subscription, billed.NewestBillAt))
        {
            // an opening bill is due before its period ends, and the end of a period is due after it
            if (bill.DueAt(_window) > now) break;
            var proposal = await _database.ReadAsync(async db =>
            {
                terms ??= await TermsAsync(db, billed.Subscription, versions);
                if (terms.Stretches.All(s => s.Prices.Prices.Count == 0)) return null;
                var draft = await DraftAsync(db, terms, bill);
                return new Proposal(draft, draft is { Ok: true, Value.Lines.Count: > 0 }
                    ? await DocumentAsync(db, draft.Value, now)
                    : null);
            });
            if (proposal is null) break;
            if (!proposal.Draft.Ok) return (issued, proposal.Draft.Problems[0]);
            if (proposal.Document is not { } document) continue;
            var expected = billed;
            if (!await _database.WriteAsync(
                    db => InvoiceStore.TryIssueAsync(db, expected, proposal.Draft.Value, document, now))) break;
            issued++;
            billed = billed with { NewestBillAt = bill.BillAt };
        }

        return (issued, null);
    }

    private async Task<SubscriptionTerms> TermsAsync(
        DbConnection db, SubscriptionRow subscription, Dictionary<(string, int), PlanVersion> versions)
    {
        var customer = await CustomerStore.FindAsync(db, subscription.CustomerKey)
            ?? throw new InvalidOperationException($"{subscription.Id} has no customer.");
        var currency = Currency.Of(customer.Currency);
        var stretches = new List<Stretch>();
        foreach (var terms in await EntitlementStore.OfSubscriptionAsync(db, subscription.Id))
        {
            var key = (terms.PlanId, terms.PlanVersion);
            if (!versions.TryGetValue(key, out var prices))
            {
                var row = await ConfigStore.FindVersionAsync(db, terms.PlanId, terms.PlanVersion);
                if (row is not null) versions[key] = prices = _readVersion(row);
            }

            // a plan that was never priced has no version: it costs nothing
            stretches.Add(new Stretch(terms, prices ?? new PlanVersion(terms.PlanId, terms.PlanVersion, currency, [])));
        }

        return new SubscriptionTerms(subscription, currency, stretches);
    }

    private static async Task<Result<InvoiceDraft>> DraftAsync(DbConnection db, SubscriptionTerms terms, Bill bill)
    {
        var usage = new Dictionary<int, IReadOnlyList<OperationUsage>>();
        if (bill.Settles is { } period)
        {
            // all stretches: the stamp of a call decides, not whether its stretch touches the period
            foreach (var (stretch, _) in terms.Stretches)
                usage[stretch.Key] = await UsageStore.OfEntitlementAsync(db, stretch.Key, period);
        }

        return Drafting.Draft(terms, bill, usage);
    }

    private static async Task<InvoiceDocument> DocumentAsync(DbConnection db, InvoiceDraft draft, long now)
    {
        var subscription = draft.Subscription;
        var customer = await CustomerStore.FindAsync(db, subscription.CustomerKey)
            ?? throw new InvalidOperationException($"{subscription.Id} has no customer.");
        var plan = await ConfigStore.FindAsync(db, ConfigKind.Plan, subscription.PlanId);
        return InvoiceDocument.Of(
            draft, new InvoiceCustomer(customer.Id, customer.Name), plan?.Name ?? subscription.PlanId, now);
    }

    private sealed record Proposal(Result<InvoiceDraft> Draft, InvoiceDocument? Document);
}
