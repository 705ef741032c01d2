using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
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

    /// <summary>How many bills of one subscription may be due at once; with more it is parked, and none is issued: a
    /// clock that jumped, or a start that nobody meant (money.md 16). 1 to 1,000.</summary>
    public int MaxBills { get; init; } = 60;

    /// <exception cref="ArgumentOutOfRangeException">Names the setting and its range.</exception>
    public void Validate()
    {
        if (CollectionWindow < TimeSpan.Zero || CollectionWindow > TimeSpan.FromDays(31))
            throw new ArgumentOutOfRangeException(nameof(CollectionWindow), CollectionWindow, "Zero to 31 days.");
        if (PageSize is < 1 or > 10_000)
            throw new ArgumentOutOfRangeException(nameof(PageSize), PageSize, "1 to 10,000.");
        if (MaxBills is < 1 or > 1_000)
            throw new ArgumentOutOfRangeException(nameof(MaxBills), MaxBills, "1 to 1,000.");
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
    private readonly int _pageSize, _maxBills;
    private readonly long _window;

    /// <param name="readVersion">Reads the prices of a published version.</param>
    /// <param name="catchUp">Completes when all that the journals held at the call has been drained.</param>
    public BillingRun(
        Database database, Func<PlanVersionRow, PlanVersion> readVersion, Func<Task> catchUp, BillingOptions options)
    {
        options.Validate();
        (_database, _readVersion, _catchUp) = (database, readVersion, catchUp);
        _invoices = new InvoiceStore(database);
        (_pageSize, _maxBills) = (options.PageSize, options.MaxBills);
        _window = options.CollectionWindow.Ticks / TimeSpan.TicksPerMicrosecond;
    }

    /// <summary>Issues what is due and not issued yet, each invoice in a transaction of its own.</summary>
    /// <param name="now">Business time, microseconds UTC.</param>
    public async Task<BillingReport> RunAsync(long now, CancellationToken cancel = default)
    {
        await _catchUp();
        await _invoices.LookAgainAsync(now);
        var versions = new Dictionary<(string, int), PlanVersion>();
        var parked = new List<Problem>();
        // billed in part, so they are due further on in the walk once more
        var held = new HashSet<long>();
        var (issued, parkedCount) = (0, 0);
        for (var cursor = DueCursor.Start; ;)
        {
            var page = await _invoices.DueAsync(cursor, now, _window, _pageSize);
            if (page.Count == 0) return new BillingReport(issued, parkedCount, parked);
            cursor = DueCursor.After(page[^1]);
            var empty = new List<Advance>();
            foreach (var billed in page.Where(b => !held.Contains(b.Subscription.Key)))
            {
                cancel.ThrowIfCancellationRequested();
                var result = await TryBillAsync(billed, now, versions);
                issued += result.Issued;
                if (result.Empty is { } advance) empty.Add(advance);
                if (result.Problem is null) continue;
                if (result.Issued > 0) held.Add(billed.Subscription.Key);
                parkedCount++;
                if (parked.Count < BillingReport.MaxParked) parked.Add(result.Problem);
            }

            if (empty.Count > 0) await AdvanceAsync(empty);
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
                var terms = await TermsAsync(db, billed.Subscription, []);
                var bills = ToCome(terms, billed)
                    .TakeWhile(b => Micros.Of(b.Period.Start) <= until).Where(b => b.Period.Start >= period.Start);
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

    /// <summary>Issues what is due of one subscription at once, as when its terms have just changed.</summary>
    public async Task BillAsync(string subscriptionId, long now)
    {
        await _catchUp();
        if (await _database.ReadAsync(db => InvoiceStore.OfSubscriptionAsync(db, subscriptionId)) is not { } billed)
            return;
        var result = await TryBillAsync(billed, now, []);
        if (result.Empty is { } advance) await AdvanceAsync([advance]);
    }

    /// <summary>The bill of an instant as it would be issued, as JSON; null when nothing is billed then.</summary>
    public async Task<Result<string?>> DraftAtAsync(DbConnection db, string subscriptionId, long at, long now)
    {
        var billed = await InvoiceStore.OfSubscriptionAsync(db, subscriptionId)
            ?? throw new InvalidOperationException($"There is no subscription {subscriptionId}.");
        var terms = await TermsAsync(db, billed.Subscription, []);
        var bill = ToCome(terms, billed with { Sofar = billed.Sofar with { Next = at } })
            .TakeWhile(b => b.BillAt <= at).LastOrDefault();
        if (bill is null) return Result<string?>.Of(null);
        var draft = await DraftAsync(db, terms, bill);
        if (!draft.Ok) return Result<string?>.Refused(draft.Problems);
        return draft.Value.Lines.Count == 0
            ? Result<string?>.Of(null)
            : (await DocumentAsync(db, draft.Value, now)).ToJson();
    }

    /// <summary>The end of the longest period that is paid in advance now, else of the billing period.</summary>
    internal async Task<long> PaidPeriodEndAsync(DbConnection db, SubscriptionRow subscription, long now)
    {
        var terms = await TermsAsync(db, subscription, []);
        var at = Micros.ToInstant(Math.Max(now, subscription.StartAt));
        var era = Era.Of(terms).FirstOrDefault(e => e.Whole.Contains(at));
        if (era is null) return Micros.Of(at);
        var fees = terms.InForceAt(Micros.Of(at))?.Fees.Where(f => f.In == BillingTiming.Advance) ?? [];
        return Micros.Of(fees.Select(f => f.Every).Prepend(era.Calendar.Interval)
            .Select(every => era.FullAt(every, at).End).Max());
    }

    /// <summary>What the fees of these terms come to in a year: tells an upgrade from a downgrade.</summary>
    internal async Task<decimal> YearlyAsync(
        DbConnection db, SubscriptionRow subscription, Entitlement entitlement, StretchTerms own)
    {
        var customer = await CustomerStore.FindAsync(db, subscription.CustomerKey);
        var stretch = await StretchAsync(
            db, entitlement, own with { Phase = Phase.Active }, Currency.Of(customer!.Currency), []);
        return stretch.Fees.Sum(f => f.UnitAmount * f.Quantity * f.Every switch
        {
            Interval.Day => 365,
            Interval.Week => 52,
            Interval.Month => 12,
            Interval.Quarter => 4,
            _ => 1,
        });
    }

    /// <summary>Bills one subscription; whatever is wrong with it is its own problem, and the others are billed. What
    /// is wrong with the store is everybody's, and ends the run.</summary>
    private async Task<Billed> TryBillAsync(
        BilledSubscription billed, long now, Dictionary<(string, int), PlanVersion> versions)
    {
        try
        {
            return await BillAsync(billed, now, versions);
        }
        catch (Exception e) when (e is not (OperationCanceledException or StorageException or DbException))
        {
            return new Billed(0, Problem: new Problem("billing_failed",
                $"{billed.Subscription.Id} cannot be billed: {e.GetType().Name}: {e.Message}"));
        }
    }

    /// <summary>Bills one subscription, period by period; the first that cannot be billed holds back the later ones,
    /// since invoices are issued in order.</summary>
    private async Task<Billed> BillAsync(
        BilledSubscription billed, long now, Dictionary<(string, int), PlanVersion> versions)
    {
        var terms = await _database.ReadAsync(db => TermsAsync(db, billed.Subscription, versions));
        if (terms.Stretches.All(s => s.Prices.Prices.Count == 0 && s.AddOns.Count == 0))
            return new Billed(0, Reached(billed, ToCome(terms, billed).FirstOrDefault(b => b.DueAt(_window) > now)));
        var (due, next) = DueOf(terms, billed, now);
        if (due.Count > _maxBills)
            return new Billed(0, Problem: new Problem("too_many_bills",
                $"{billed.Subscription.Id}: more than {_maxBills} bills are due at once, the first at " +
                $"{Micros.ToText(due[0].BillAt)}. None is issued. Is the clock right?"));
        var issued = 0;
        for (var i = 0; i < due.Count; i++)
        {
            var following = i + 1 < due.Count ? due[i + 1] : next;
            var (draft, document) = await ProposeAsync(terms, due[i], now);
            if (!draft.Ok) return new Billed(issued, Problem: draft.Problems[0]);
            if (document is null) continue;
            var (expected, proposal) = (billed, new Proposal(draft.Value, document, following));
            if (!await _database.WriteAsync(db => InvoiceStore.TryIssueAsync(db, expected, proposal, now)))
                return new Billed(issued);
            issued++;
            billed = billed with
            {
                Subscription = billed.Subscription with { Revision = billed.Subscription.Revision + 1 },
                Sofar = billed.Sofar with { Next = following?.BillAt },
            };
        }

        return new Billed(issued, Reached(billed, next));
    }

    /// <summary>The bills that are due, one more than the bound at most, and the first that is not.</summary>
    private (List<Bill> Due, Bill? Next) DueOf(SubscriptionTerms terms, BilledSubscription billed, long now)
    {
        var due = new List<Bill>();
        foreach (var bill in ToCome(terms, billed))
        {
            // an opening bill is due before its period ends, and the end of a period is due after it
            if (bill.DueAt(_window) > now || due.Count > _maxBills) return (due, bill);
            due.Add(bill);
        }

        return (due, null);
    }

    /// <summary>The bills that are still to come, in order of time. Endless while it runs on.</summary>
    private static IEnumerable<Bill> ToCome(SubscriptionTerms terms, BilledSubscription billed) =>
        billed.Sofar.Next is null ? [] : Bills.Of(terms, billed.Sofar);

    private static Advance? Reached(BilledSubscription billed, Bill? next) =>
        billed.Sofar.Next == next?.BillAt ? null : new Advance(billed, next);

    /// <summary>Together, since there are many at once: most of those that owe nothing.</summary>
    private Task AdvanceAsync(List<Advance> empty) => _database.WriteAsync(async db =>
    {
        foreach (var (expected, next) in empty)
            await InvoiceStore.TryAdvanceAsync(db, expected, next?.BillAt, next is not { Waits: false });
    });

    private Task<(Result<InvoiceDraft> Draft, InvoiceDocument? Document)> ProposeAsync(
        SubscriptionTerms terms, Bill bill, long now) => _database.ReadAsync(async db =>
    {
        var draft = await DraftAsync(db, terms, bill);
        return (draft, draft is { Ok: true, Value.Lines.Count: > 0 }
            ? await DocumentAsync(db, draft.Value, now)
            : null);
    });

    private async Task<SubscriptionTerms> TermsAsync(
        DbConnection db, SubscriptionRow subscription, Dictionary<(string, int), PlanVersion> versions)
    {
        var customer = await CustomerStore.FindAsync(db, subscription.CustomerKey)
            ?? throw new InvalidOperationException($"{subscription.Id} has no customer.");
        var currency = Currency.Of(customer.Currency);
        var own = await StretchStore.OfSubscriptionAsync(db, subscription.Id);
        var stretches = new List<Stretch>();
        foreach (var terms in await EntitlementStore.OfSubscriptionAsync(db, subscription.Id))
            stretches.Add(await StretchAsync(
                db, terms, own.GetValueOrDefault(terms.Key, StretchTerms.Plain), currency, versions));
        return new SubscriptionTerms(subscription, currency, stretches);
    }

    private async Task<Stretch> StretchAsync(
        DbConnection db, Entitlement terms, StretchTerms own, Currency currency,
        Dictionary<(string, int), PlanVersion> versions)
    {
        var key = (terms.PlanId, terms.PlanVersion);
        if (!versions.TryGetValue(key, out var prices))
        {
            var row = await ConfigStore.FindVersionAsync(db, terms.PlanId, terms.PlanVersion);
            if (row is not null) versions[key] = prices = _readVersion(row);
        }

        // a plan that was never priced has no version: it costs nothing
        return new Stretch(terms, prices ?? new PlanVersion(terms.PlanId, terms.PlanVersion, currency, []))
        {
            Phase = own.Phase,
            Quantity = own.Quantity,
            AddOns = own.AddOns.Count == 0 ? [] : await AddOnsAsync(db, own.AddOns),
        };
    }

    private async Task<IReadOnlyList<StretchAddOn>> AddOnsAsync(DbConnection db, IReadOnlyList<AddOnTerms> terms)
    {
        var addOns = new List<StretchAddOn>();
        foreach (var (id, quantity) in terms)
        {
            var row = await AddOnStore.FindAsync(db, id)
                ?? throw new InvalidOperationException($"There is no add-on {id}.");
            var prices = _readVersion(
                new PlanVersionRow(row.Id, 0, row.Currency, row.Prices, QuotaWriter.None, row.CreatedAt));
            addOns.Add(new StretchAddOn(row.Id, row.Name, quantity, prices.Prices));
        }

        return addOns;
    }

    private static async Task<Result<InvoiceDraft>> DraftAsync(DbConnection db, SubscriptionTerms terms, Bill bill)
    {
        var usage = new Dictionary<int, IReadOnlyList<OperationUsage>>();
        // all stretches: the stamp of a call decides, not whether its stretch touches the period
        foreach (var (stretch, period) in Bills.Settled(terms, bill))
            usage[stretch.Terms.Key] = await UsageStore.OfEntitlementAsync(db, stretch.Terms.Key, period);
        var billed = Fees.Compares(terms, bill)
            ? await InvoiceStore.FeesAsync(db, terms.Subscription.Key, bill.BillAt)
            : [];
        return Drafting.Draft(terms, bill, usage, billed);
    }

    private static async Task<InvoiceDocument> DocumentAsync(DbConnection db, InvoiceDraft draft, long now)
    {
        var subscription = draft.Subscription;
        var customer = await CustomerStore.FindAsync(db, subscription.CustomerKey)
            ?? throw new InvalidOperationException($"{subscription.Id} has no customer.");
        var plan = await ConfigStore.FindAsync(db, ConfigKind.Plan, draft.PlanId);
        return InvoiceDocument.Of(
            draft, new InvoiceCustomer(customer.Id, customer.Name), plan?.Name ?? draft.PlanId, now);
    }

    /// <param name="Empty">Up to where it owes nothing.</param>
    private sealed record Billed(int Issued, Advance? Empty = null, Problem? Problem = null);

    private sealed record Advance(BilledSubscription Expected, Bill? Next);
}
