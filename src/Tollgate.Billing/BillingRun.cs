using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Config;
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

    /// <summary>How many settled periods usage that comes late is still billed for, as an adjustment on the next
    /// invoice; what is older is kept, marked and never billed (money.md 13). 0 to 12.</summary>
    public int LookBack { get; init; } = 2;

    /// <summary>An invoice of more than so many times the largest of the last <see cref="InvoiceStore.History"/> parks its
    /// subscription until somebody has looked (money.md 16). 0 for no bound, else 2 to 1,000,000.</summary>
    public int MaxGrowth { get; init; } = 50;

    /// <summary>Up to this an invoice may grow from nothing; major units of its currency.</summary>
    public decimal GrowthFloor { get; init; } = 10_000;

    /// <summary>An invoice of more lines than this for each day of its period parks its subscription, too (money.md 16).
    /// 1 to 100,000.</summary>
    public int MaxLinesPerDay { get; init; } = 1_000;

    /// <exception cref="ArgumentOutOfRangeException">Names the setting and its range.</exception>
    public void Validate()
    {
        if (LookBack is < 0 or > 12)
            throw new ArgumentOutOfRangeException(nameof(LookBack), LookBack, "0 to 12.");
        if (CollectionWindow < TimeSpan.Zero || CollectionWindow > TimeSpan.FromDays(31))
            throw new ArgumentOutOfRangeException(nameof(CollectionWindow), CollectionWindow, "Zero to 31 days.");
        if (PageSize is < 1 or > 10_000)
            throw new ArgumentOutOfRangeException(nameof(PageSize), PageSize, "1 to 10,000.");
        if (MaxGrowth is not 0 and (< 2 or > 1_000_000))
            throw new ArgumentOutOfRangeException(nameof(MaxGrowth), MaxGrowth, "0, or 2 to 1,000,000.");
        if (MaxLinesPerDay is < 1 or > 100_000)
            throw new ArgumentOutOfRangeException(nameof(MaxLinesPerDay), MaxLinesPerDay, "1 to 100,000.");
        if (GrowthFloor < 0)
            throw new ArgumentOutOfRangeException(nameof(GrowthFloor), GrowthFloor, "Zero or more.");
        if (MaxBills is < 1 or > 1_000)
            throw new ArgumentOutOfRangeException(nameof(MaxBills), MaxBills, "1 to 1,000.");
    }
}

/// <summary>A journal of another node that may still hold usage.</summary>
/// <param name="CompleteTo">Everything admitted before is in the store; microseconds.</param>
public sealed record JournalBehind(string Name, string Node, long CompleteTo)
{
    public override string ToString() => $"{Name} of {Node}, in the store up to {Micros.ToText(CompleteTo)}";
}

/// <summary>What a run did.</summary>
/// <param name="Parked">Subscriptions that could not be billed, and why; the first <see cref="MaxParked"/>.</param>
public sealed record BillingReport(int Issued, int ParkedCount, IReadOnlyList<Problem> Parked)
{
    /// <summary>The others are counted, and are there again in the next run.</summary>
    public const int MaxParked = 100;

    /// <summary>Stretches and periods with usage that came too late for any invoice; it is stored, and never billed.
    /// </summary>
    public long Late { get; init; }
}

/// <summary>
/// Turns usage into invoices: proposes everything that is due, compares with what exists, appends the difference.
/// Running it twice, or twice at once, changes nothing; stopping it anywhere loses nothing.
/// </summary>
public sealed partial class BillingRun
{
    private readonly Database _database;
    private readonly InvoiceStore _invoices;
    private readonly DraftReader _reader;
    private readonly Func<Task> _catchUp;
    /// <summary>Invoices in one transaction: a commit waits for the disk.</summary>
    private const int IssuedTogether = 250;

    private readonly int _pageSize, _maxBills, _maxGrowth, _maxLines, _lookBack;
    private readonly decimal _growthFloor;
    private readonly long _window;

    /// <summary>Reads the prices of a published version.</summary>
    internal Func<PlanVersionRow, PlanVersion> ReadVersion { get; }

    /// <param name="readVersion">Reads the prices of a published version.</param>
    /// <param name="catchUp">Completes when all that the journals held at the call has been drained.</param>
    public BillingRun(
        Database database, Func<PlanVersionRow, PlanVersion> readVersion, Func<Task> catchUp, BillingOptions options)
    {
        options.Validate();
        (_database, _catchUp) = (database, catchUp);
        ReadVersion = readVersion;
        _reader = new DraftReader(readVersion, _lookBack = options.LookBack);
        _invoices = new InvoiceStore(database);
        (_pageSize, _maxBills) = (options.PageSize, options.MaxBills);
        (_maxGrowth, _growthFloor, _maxLines) = (options.MaxGrowth, options.GrowthFloor, options.MaxLinesPerDay);
        _window = options.CollectionWindow.Ticks / TimeSpan.TicksPerMicrosecond;
    }

    /// <summary>The journals of other nodes that may still hold usage, and how far they are in the store.</summary>
    public Func<Task<IReadOnlyList<JournalBehind>>> Others { get; init; } =
        () => Task.FromResult<IReadOnlyList<JournalBehind>>([]);

    /// <summary>What the last run did; null before the first.</summary>
    public BillingReport? Last { get; private set; }

    /// <summary>Issues what is due and not issued yet, each invoice in a transaction of its own.</summary>
    /// <param name="now">Business time, microseconds UTC.</param>
    public async Task<BillingReport> RunAsync(long now, CancellationToken cancel = default)
    {
        await _catchUp();
        await GrantStore.RecurAsync(_database, now);
        await _invoices.LookAgainAsync(now);
        var done = new Tally();
        // billed in part, so they are due further on in the walk once more
        var held = new HashSet<long>();
        var versions = new Dictionary<(string, int), PlanVersion>();
        var ahead = NextAsync(DueCursor.Start, now, versions, cancel);
        try
        {
            while (await ahead is { Count: > 0 } looked)
            {
                // the next page is read and drafted while this one is issued
                ahead = NextAsync(DueCursor.After(looked[^1].Billed), now, versions, cancel);
                await IssueAsync([.. looked.Where(l => !held.Contains(l.Billed.Subscription.Key))], now, done, held, cancel);
            }
        }
        finally
        {
            await Task.WhenAny(ahead);
        }

        await MarkLateAsync(now, cancel);
        return Last = done.Report with { Late = await _database.ReadAsync(ToldUsageStore.CountLateAsync, cancel) };
    }

    /// <summary>A page of what is due, in its order, and what there is to be done; empty at the end.</summary>
    private async Task<List<Looked>> NextAsync(
        DueCursor cursor, long now, Dictionary<(string, int), PlanVersion> versions, CancellationToken cancel)
    {
        var page = await _invoices.DueAsync(cursor, now, _window, _pageSize);
        cancel.ThrowIfCancellationRequested();
        if (page.Count == 0) return [];
        // halves side by side, each with versions of its own
        var parts = page.Chunk((page.Count + 1) / 2)
            .Select(part => (Page: part, Versions: new Dictionary<(string, int), PlanVersion>(versions))).ToArray();
        var looked = await Task.WhenAll(parts.Select(p => LookTogetherAsync(p.Page, now, p.Versions)));
        foreach (var (key, version) in parts.SelectMany(p => p.Versions)) versions[key] = version;
        var of = looked.SelectMany(l => l).ToDictionary(l => l.Billed.Subscription.Key);
        return [.. page.Select(b => of[b.Subscription.Key])];
    }

    /// <summary>In one state of the store.</summary>
    private Task<List<Looked>> LookTogetherAsync(
        IReadOnlyList<BilledSubscription> page, long now, Dictionary<(string, int), PlanVersion> versions) =>
        Task.Run(() => _database.ReadAsync(async shared =>
        {
            await using var db = new RepeatingConnection(shared);
            var reads = await PageReads.ReadAsync(db, [.. page.Select(b => b.Subscription)]);
            var looked = new List<Looked>();
            var due = new List<(BilledSubscription Billed, SubscriptionTerms Terms, Bill Bill, Bill? Next)>();
            foreach (var billed in page)
                await TryAsync(billed, async () =>
                {
                    var terms = await _reader.TermsAsync(db, billed.Subscription, versions, reads);
                    if (Quick(terms, billed, now, reads) is { } quick) return quick;
                    var (bills, next) = DueOf(terms, billed, now);
                    due.Add((billed, terms, bills[0], next));
                    return null;
                });
            await reads.ReadUsageAsync(db, [.. due.SelectMany(d => _reader.Stamps(d.Terms, d.Bill)).Distinct()]);
            foreach (var (billed, terms, bill, next) in due)
                await TryAsync(billed, async () =>
                {
                    var draft = await _reader.DraftAsync(db, terms, bill, now, reads);
                    return !draft.Ok ? new Looked(billed) { Problem = draft.Problems[0] }
                        : draft.Value.Draft.Lines.Count == 0 ? new Looked(billed) { Empty = Reached(billed, next, draft.Value.Late) }
                        : await GrownAsync(db, draft.Value) is { } grown ? new Looked(billed) { Problem = grown }
                        : new Looked(billed) { Proposal = new Proposal(draft.Value, next) };
                });
            return looked;

            async Task TryAsync(BilledSubscription billed, Func<Task<Looked?>> look)
            {
                try
                {
                    if (await look() is { } seen) looked.Add(seen);
                }
                catch (Exception e) when (IsItsOwn(e))
                {
                    looked.Add(new Looked(billed) { Problem = Failed(billed, e) });
                }
            }
        }));

    /// <summary>What needs no draft: nothing is due, or it costs nothing, or several bills are due.</summary>
    private Looked? Quick(SubscriptionTerms terms, BilledSubscription billed, long now, PageReads reads)
    {
        if (CostsNothing(terms) && !reads.HaveGrants.Contains(billed.Subscription.CustomerKey))
            return new Looked(billed)
            {
                Empty = Reached(billed, ToCome(terms, billed).FirstOrDefault(b => b.DueAt(_window) > now)),
            };
        var (due, next) = DueOf(terms, billed, now);
        return due.Count == 0 ? new Looked(billed) { Empty = Reached(billed, next) }
            : due.Count > 1 || reads.Shares(billed.Subscription.CustomerKey) ? new Looked(billed) { IsSeveral = true } : null;
    }

    private static bool CostsNothing(SubscriptionTerms terms) =>
        terms.Stretches.All(s => s.Prices.Prices.Count == 0 && s.AddOns.Count == 0);

    /// <summary>Issues the invoices of a page in a few transactions, notes those that owe nothing, and bills those of which
    /// several bills are due, each made from the one before.</summary>
    private async Task IssueAsync(
        IReadOnlyList<Looked> looked, long now, Tally done, HashSet<long> held, CancellationToken cancel)
    {
        foreach (var problem in looked.Select(l => l.Problem).OfType<Problem>()) done.Park(problem);
        var singly = looked.Where(l => l.IsSeveral).Select(l => l.Billed).ToList();
        foreach (var some in looked.Where(l => l.Proposal is not null).Chunk(IssuedTogether))
            try
            {
                done.Issued += await IssueTogetherAsync(some, now, cancel);
            }
            catch (Exception e) when (IsItsOwn(e))
            {
                // credit of one of them was voided or burnt since it was drafted: nothing of it is written, and each is
                // drafted anew
                singly.AddRange(some.Select(l => l.Billed));
            }

        var empty = looked.Select(l => l.Empty).OfType<Advance>().ToList();
        if (empty.Count > 0) await AdvanceAsync(empty, now);
        var versions = new Dictionary<(string, int), PlanVersion>();
        foreach (var several in singly)
        {
            cancel.ThrowIfCancellationRequested();
            var result = await TryBillAsync(several, now, versions);
            done.Issued += result.Issued;
            if (result.Empty is { } advance) await AdvanceAsync([advance], now);
            if (result.Problem is null) continue;
            if (result.Issued > 0 || result.Empty is not null) held.Add(several.Subscription.Key);
            done.Park(result.Problem);
        }
    }

    private Task<int> IssueTogetherAsync(IReadOnlyList<Looked> some, long now, CancellationToken cancel) =>
        _database.WriteAsync(async shared =>
        {
            await Sql.WidenAsync(shared, mebibytes: 16);
            await using var db = new RepeatingConnection(shared);
            var issued = 0;
            foreach (var l in some)
                if (await InvoiceStore.TryIssueAsync(db, l.Billed, l.Proposal!, now)) issued++;
            return issued;
        }, cancel);

    /// <summary>Issues what is due of one subscription at once, as when its terms have just changed.</summary>
    public async Task BillAsync(string subscriptionId, long now)
    {
        await _catchUp();
        // usage of other nodes is waited for as in a run
        foreach (var other in await Others()) now = Math.Min(now, other.CompleteTo + _window);
        if (await _database.ReadAsync(db => InvoiceStore.OfSubscriptionAsync(db, subscriptionId)) is not { } billed)
            return;
        var result = await TryBillAsync(billed, now, []);
        if (result.Empty is { } advance) await AdvanceAsync([advance], now);
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
        catch (Exception e) when (IsItsOwn(e))
        {
            return new Billed(0, Problem: Failed(billed, e));
        }
    }

    private static bool IsItsOwn(Exception e) => e is not (OperationCanceledException or StorageException or DbException);

    private static Problem Failed(BilledSubscription billed, Exception e) => new("billing_failed",
        $"{billed.Subscription.Id} cannot be billed: {e.GetType().Name}: {e.Message}");

    /// <summary>Bills one subscription, period by period; the first that cannot be billed holds back the later ones,
    /// since invoices are issued in order.</summary>
    private async Task<Billed> BillAsync(
        BilledSubscription billed, long now, Dictionary<(string, int), PlanVersion> versions)
    {
        var terms = await _database.ReadAsync(db => _reader.TermsAsync(db, billed.Subscription, versions));
        if (CostsNothing(terms) && (await _database.ReadAsync(
            db => GrantStore.InUnitsAsync(db, billed.Subscription.CustomerKey))).Count == 0)
            return new Billed(0, Reached(billed, ToCome(terms, billed).FirstOrDefault(b => b.DueAt(_window) > now)));
        var (due, next) = DueOf(terms, billed, now);
        if (due.Count > _maxBills)
            return new Billed(0, Problem: new Problem("too_many_bills",
                $"{billed.Subscription.Id}: more than {_maxBills} bills are due at once, the first at " +
                $"{Micros.ToText(due[0].BillAt)}. None is issued. Is the clock right?"));
        var issued = 0;
        var late = new List<ToldUsage>();
        for (var i = 0; i < due.Count; i++)
        {
            var following = i + 1 < due.Count ? due[i + 1] : next;
            var bill = due[i];
            var draft = await _database.ReadAsync(db => _reader.DraftAsync(db, terms, bill, now));
            if (!draft.Ok) return new Billed(issued, Problem: draft.Problems[0]);
            if (draft.Value.Draft.Lines.Count == 0)
            {
                late.AddRange(draft.Value.Late);
                continue;
            }

            if (await _database.ReadAsync(db => GrownAsync(db, draft.Value)) is { } grown)
                // past what was empty before, so that its draft can be finalized
                return new Billed(issued, Reached(billed, bill, late), grown);
            var (expected, proposal) = (billed, new Proposal(draft.Value, following));
            if (!await _database.WriteAsync(db => InvoiceStore.TryIssueAsync(db, expected, proposal, now)))
                return new Billed(issued);
            issued++;
            billed = billed with
            {
                Subscription = billed.Subscription with { Revision = billed.Subscription.Revision + 1 },
                Sofar = billed.Sofar with { Next = following?.BillAt },
            };
        }

        return new Billed(issued, Reached(billed, next, late));
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
    private IEnumerable<Bill> ToCome(SubscriptionTerms terms, BilledSubscription billed) =>
        billed.Sofar.Next is null ? [] : Bills.Of(terms, billed.Sofar, _lookBack + 1);

    private static Advance? Reached(BilledSubscription billed, Bill? next, IReadOnlyList<ToldUsage>? late = null) =>
        billed.Sofar.Next == next?.BillAt ? null : new Advance(billed, next) { Late = late ?? [] };

    /// <summary>Together, since there are many at once: most of those that owe nothing.</summary>
    private Task AdvanceAsync(List<Advance> empty, long now) => _database.WriteAsync(async db =>
    {
        foreach (var advance in empty)
        {
            var next = advance.Next;
            if (await InvoiceStore.TryAdvanceAsync(db, advance.Expected, next?.BillAt, next is not { Waits: false }))
                await InvoiceStore.MarkAsync(db, advance.Late, now);
        }
    });
}
