using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Metering;

namespace Tollgate.Billing;

/// <summary>A draft, its document, and what its issue notes beside.</summary>
/// <param name="Late">Usage that is too old to be billed with it.</param>
public sealed record ReadDraft(
    InvoiceDraft Draft, InvoiceDocument Document, IReadOnlyList<ToldUsage> Told, IReadOnlyList<ToldUsage> Late)
{
    /// <summary>Lines of which publishers have a share.</summary>
    public IReadOnlyList<SharedLine> Shared { get; init; } = [];

    /// <summary>What it burns of credit in units, as it is stored.</summary>
    public IReadOnlyList<((long Grant, long Stored) Burn, long SettlesAt)> UnitBurns { get; init; } = [];
}

/// <summary>Reads everything that a draft is made from, on the connection of the caller: one state of the store.</summary>
/// <param name="readVersion">Reads the prices of a published version.</param>
/// <param name="lookBack">How many settled periods late usage is still billed for.</param>
internal sealed class DraftReader(Func<PlanVersionRow, PlanVersion> readVersion, int lookBack)
{
    public async Task<SubscriptionTerms> TermsAsync(
        DbConnection db, SubscriptionRow subscription, Dictionary<(string, int), PlanVersion> versions, PageReads? page = null)
    {
        var customer = (page is null
            ? await CustomerStore.FindAsync(db, subscription.CustomerKey)
            : page.Customers.GetValueOrDefault(subscription.CustomerKey))
            ?? throw new InvalidOperationException($"{subscription.Id} has no customer.");
        var currency = Currency.Of(customer.Currency);
        var own = page?.Own ?? await StretchStore.OfSubscriptionAsync(db, subscription.Id);
        var stretches = new List<Stretch>();
        foreach (var terms in page?.Entitlements[subscription.Id]
            ?? await EntitlementStore.OfSubscriptionAsync(db, subscription.Id))
            stretches.Add(await StretchAsync(
                db, terms, own.GetValueOrDefault(terms.Key, StretchTerms.Plain), currency, versions));
        return new SubscriptionTerms(subscription, currency, stretches) { Customer = customer };
    }

    public async Task<Stretch> StretchAsync(
        DbConnection db, Entitlement terms, StretchTerms own, Currency currency,
        Dictionary<(string, int), PlanVersion> versions)
    {
        var key = (terms.PlanId, terms.PlanVersion);
        if (!versions.TryGetValue(key, out var prices))
        {
            var row = await ConfigStore.FindVersionAsync(db, terms.PlanId, terms.PlanVersion);
            if (row is not null) versions[key] = prices = readVersion(row);
        }

        // a plan that was never priced has no version: it costs nothing
        prices ??= new PlanVersion(terms.PlanId, terms.PlanVersion, currency, []);
        return new Stretch(terms, prices.In(currency).For(terms.PlanPhase, terms.Overrides))
        {
            Phase = own.Phase,
            Quantity = own.Quantity,
            AddOns = own.AddOns.Count == 0 ? [] : await AddOnsAsync(db, own.AddOns),
        };
    }

    /// <summary>Drafts a bill, or says why it cannot be.</summary>
    /// <param name="page">What was read for many of them together; null for none.</param>
    public async Task<Result<ReadDraft>> DraftAsync(
        DbConnection db, SubscriptionTerms terms, Bill bill, long now, PageReads? page = null)
    {
        try
        {
            return await ReadAsync(db, terms, bill, now, page);
        }
        catch (TooManyValuesException e)
        {
            return new Problem("too_many_values", $"{terms.Subscription.Id}: {e.Message}");
        }
    }

    private async Task<Result<ReadDraft>> ReadAsync(
        DbConnection db, SubscriptionTerms terms, Bill bill, long now, PageReads? page)
    {
        var credit = bill is { Settles: null, LateBefore: null }
            || page?.HaveGrants.Contains(terms.Subscription.CustomerKey) == false
            ? UnitCredits.None
            : await UnitCredits.OfAsync(db, terms.Subscription);
        terms = credit.In(terms);
        var usage = await UsageAsync(db, terms, bill, page: page);
        var (late, tooLate) = await LateAsync(db, terms, bill, page);
        late = [.. late.Select(l => credit.For(terms, l))];
        var billed = Fees.Compares(terms, bill)
            ? await InvoiceStore.FeesAsync(db, terms.Subscription.Key, bill.BillAt)
            : [];
        var commitments = page?.HaveCommitments.Contains(terms.Subscription.Key) == false ? []
            : await CommitmentStore.OfAsync(db, terms.Subscription.Key);
        var inputs = new DraftInputs
        {
            Billed = billed,
            Charged = commitments.Count > 0 && bill.Settles is not null
                ? await InvoiceStore.FeesAsync(db, terms.Subscription.Key, bill.BillAt) : [],
            Late = late,
            Units = credit.For(bill),
            Agreed = InvoiceTerms.Plain with { Commitments = commitments },
        };
        var agreed = await AgreedAsync(db, terms, bill, (usage, inputs), page);
        var draft = Drafting.Draft(terms, bill, usage, inputs with { Agreed = agreed });
        if (!draft.Ok) return Result<ReadDraft>.Refused(draft.Problems);
        var plan = page is null ? (await ConfigStore.FindAsync(db, ConfigKind.Plan, draft.Value.PlanId))?.Name
            : await page.PlanNameAsync(db, draft.Value.PlanId);
        var customer = terms.Customer!;
        var document = InvoiceDocument.Of(
            draft.Value, new InvoiceCustomer(customer.Id, customer.Name), plan ?? draft.Value.PlanId, now);
        var told = late.SelectMany(l => Compact.Told(terms, l.Bill, l.Used)).Concat(Compact.Told(terms, bill, usage)).ToArray();
        return new ReadDraft(draft.Value, document, told, tooLate)
        {
            UnitBurns = credit.Stored(draft.Value.UnitBurns),
            Shared = SharedRevenue.Of(terms, draft.Value, page?.RevenueShares ?? await PublisherStore.AllSharesAsync(db)),
        };
    }

    /// <summary>What calls cost that were admitted between two instants, exact and net, of those that a bill settles.
    /// </summary>
    public static async Task<decimal> UsedAsync(
        DbConnection db, SubscriptionTerms terms, Bill bill, (long Since, long Until) time)
    {
        var credit = await UnitCredits.OfAsync(db, terms.Subscription);
        terms = credit.In(terms);
        var until = Cost(await UsageAsync(db, terms, bill, time.Until));
        return time.Since <= Micros.Of(bill.Period.Start)
            ? until
            : Math.Max(0, until - Cost(await UsageAsync(db, terms, bill, time.Since)));

        // exactly what the gate counts: usage that adds up, and prices that do not look at single events
        decimal Cost(IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage)
        {
            var whole = usage.Values.SelectMany(u => u).Where(u => !u.Adds).Select(u => u.Meter).ToHashSet(StringComparer.Ordinal);
            var apart = Bills.Settled(terms, bill).SelectMany(s => s.Stretch.Metered.Prices).Where(p => !p.IsHeldAtGate)
                .Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
            return Drafting.Used(terms, bill, usage, credit.For(bill))
                .Where(l => l.Meter is { } meter && !whole.Contains(meter) && !apart.Contains(l.Rated.PriceName))
                .Sum(l => l.Rated.PreciseAmount);
        }
    }

    internal static async Task<Dictionary<int, IReadOnlyList<OperationUsage>>> UsageAsync(
        DbConnection db, SubscriptionTerms terms, Bill bill, long? before = null, PageReads? page = null)
    {
        var usage = new Dictionary<int, IReadOnlyList<OperationUsage>>();
        // all stretches: the stamp of a call decides, not whether its stretch touches the period
        (Stretch Stretch, int Period)[] settled = [.. Bills.Settled(terms, bill)];
        PriceComponent[] prices = [.. settled.SelectMany(s => s.Stretch.Metered.Prices)];
        var detail = new UsageDetail(prices.Any(p => p.LooksAtTime) || settled.Any(s => s.Stretch.Credited.Count > 0),
            prices.Where(p => p.LooksAtEvents).Select(p => p.Meter!).ToHashSet(StringComparer.Ordinal));
        foreach (var (stretch, period) in settled)
            usage[stretch.Terms.Key] = (before is null && !detail.ByTime && detail.Singly.Count == 0
                    ? page?.UsageOf(stretch.Terms.Key, period) : null)
                ?? await UsageStore.OfEntitlementAsync(db, stretch.Terms.Key, period, before, detail);
        if (settled.Length > 1) await AddTogetherAsync(db, settled, usage);
        return usage;
    }

    /// <summary>What does not add up is one number over all stretches that leave its price as it is.</summary>
    private static async Task AddTogetherAsync(
        DbConnection db, (Stretch Stretch, int Period)[] settled, Dictionary<int, IReadOnlyList<OperationUsage>> usage)
    {
        var whole = usage.Values.SelectMany(u => u).Where(u => !u.Adds).Select(u => u.Meter).ToHashSet(StringComparer.Ordinal);
        if (whole.Count == 0) return;
        var runs = PeriodRating.Runs([.. settled.Select(s => s.Stretch.Metered)])
            .Where(r => r.Stretches.Count > 1 && whole.Contains(r.Price.Meter!))
            .Select(r => (Meter: r.Price.Meter!, r.Stretches))
            .DistinctBy(r => (r.Meter, string.Join(',', r.Stretches)));
        foreach (var (meter, stretches) in runs)
        {
            var key = settled[stretches[0]].Stretch.Terms.Key;
            usage[key] = [.. usage[key], await UsageStore.TogetherAsync(
                db, meter, [.. stretches.Select(i => (settled[i].Stretch.Terms.Key, settled[i].Period))])];
        }
    }

    /// <summary>The periods before this bill of which usage came late, those that can be adjusted and the one that just
    /// cannot any more.</summary>
    private async Task<(IReadOnlyList<LatePeriod> Late, IReadOnlyList<ToldUsage> TooLate)> LateAsync(
        DbConnection db, SubscriptionTerms terms, Bill bill, PageReads? page)
    {
        var late = new List<LatePeriod>();
        var tooLate = new List<ToldUsage>();
        foreach (var (back, settled) in Before(terms, bill))
        {
            var used = await UsageAsync(db, terms, settled, page: page);
            var told = await ToldAsync(db, terms, settled, (used, page));
            if (told is null || (used.Values.All(u => u.Count == 0) && told.Values.All(t => t.Count == 0))) continue;
            var (before, after) = (Compact.Compared(terms, settled, told), Compact.Compared(terms, settled, used));
            if (before.SequenceEqual(after)) continue;
            if (back <= lookBack) late.Add(new LatePeriod(settled, told, used));
            // what no price asks about, as in a trial, is late for nothing
            else tooLate.AddRange(after.Except(before).Where(t => t.Read().Any(u => terms.Stretches.Any(
                s => s.Terms.Key == t.Entitlement && Drafting.Asks(s, u)))));
        }

        return (late, tooLate);
    }

    /// <summary>The usage that a draft reads, those of the periods before included.</summary>
    public IEnumerable<(int Entitlement, int Period)> Stamps(SubscriptionTerms terms, Bill bill) =>
        Before(terms, bill).Select(b => b.Bill).Append(bill).SelectMany(b => Bills.Settled(terms, b))
            .Select(s => (s.Stretch.Terms.Key, s.Period));

    /// <summary>The periods before a bill that are looked at again, as they were settled.</summary>
    private IEnumerable<(int Back, Bill Bill)> Before(SubscriptionTerms terms, Bill bill) =>
        Bills.Before(terms, bill, lookBack + 1).Reverse();

    /// <returns>Null when an invoice settled it before it was noted what invoices tell.</returns>
    private static async Task<IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>>?> ToldAsync(
        DbConnection db, SubscriptionTerms terms, Bill settled,
        (IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> Used, PageReads? Page) so)
    {
        var told = new Dictionary<int, IReadOnlyList<OperationUsage>>();
        var known = false;
        foreach (var (stretch, period) in Bills.Settled(terms, settled))
        {
            var usage = so.Page?.Knows(stretch.Terms.Key, period) == true
                ? so.Page.ToldOf(stretch.Terms.Key, period)
                : await ToldUsageStore.FindAsync(db, stretch.Terms.Key, period);
            told[stretch.Terms.Key] = usage?.Read() ?? [];
            known |= usage is not null;
        }

        // nothing told and nothing used: nothing came late
        return known || so.Used.Values.All(u => u.Count == 0)
            || !await InvoiceStore.ExistsAsync(db, terms.Subscription.Key, settled.BillAt) ? told : null;
    }

    private static async Task<InvoiceTerms> AgreedAsync(
        DbConnection db, SubscriptionTerms terms, Bill bill,
        (IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> Usage, DraftInputs Inputs) so, PageReads? page)
    {
        var customer = terms.Customer!;
        var agreed = new InvoiceTerms(page?.HaveTerms.Contains(customer.Key) == false ? CustomerTerms.Plain
            : await CustomerTerms.OfAsync(db, customer.Key))
        {
            Coupons = page?.HaveCoupons.Contains(customer.Key) == false ? []
                : await CouponStore.OfAsync(db, customer.Key, terms.Subscription.Key),
            Commitments = so.Inputs.Agreed.Commitments,
        };
        if (page?.HaveGrants.Contains(customer.Key) == false) return agreed;
        var time = (bill.Settles is null ? bill.BillAt : Micros.Of(bill.Period.Start), bill.BillAt);
        var grants = await GrantStore.ValidAsync(db, customer.Key, customer.Currency, time);
        if (grants.Count == 0) return agreed;
        var usable = new List<UsableGrant>();
        foreach (var grant in grants)
            usable.Add(new UsableGrant(grant, await AvailableAsync(
                db, terms, bill, (grant, so.Usage, so.Inputs, agreed.Customer))));
        return agreed with { Grants = usable };
    }

    /// <summary>What is left of a grant, and no more than what was used while it was valid: late usage burns the grant
    /// that was valid when it was used, and one that has expired since pays for what came before.</summary>
    private static async Task<Money> AvailableAsync(
        DbConnection db, SubscriptionTerms terms, Bill bill,
        (GrantRow Grant, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> Usage, DraftInputs Inputs,
            CustomerTerms Customer) so)
    {
        var (grant, usage, inputs, customer) = so;
        var left = new Money(grant.Left, Currency.Of(grant.Currency));
        var start = Micros.Of(bill.Period.Start);
        var (from, to) = (Math.Max(grant.EffectiveAt - grant.EffectiveAt % UsageStore.Bucket, start), grant.ExpiresAt ?? long.MaxValue);
        if (bill.Settles is null || (from <= start && to > bill.BillAt)) return left;
        var until = to >= bill.BillAt ? Sum(usage) : Sum(await UsageAsync(db, terms, bill, to));
        var before = from <= start ? Money.Zero(left.Currency) : Sum(await UsageAsync(db, terms, bill, from));
        var used = until - before;
        // fees are due at the instant of the bill
        if (grant.EffectiveAt <= bill.BillAt && to > bill.BillAt)
            used += Drafting.Time(terms, bill, inputs).Where(l => l.Amount.Currency == left.Currency)
                .Aggregate(Money.Zero(left.Currency), (sum, l) => sum + Taken(l.Amount));
        return used.MinorUnits < left.MinorUnits ? used.MinorUnits < 0 ? Money.Zero(left.Currency) : used : left;

        Money Sum(IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> of) =>
            Drafting.Used(terms, bill, of, inputs.Units).Where(l => l.Amount.Currency == left.Currency)
                .Aggregate(Money.Zero(left.Currency), (sum, l) => sum + Taken(l.Amount));

        // prepaid credit pays gross, as the gate reserves it
        Money Taken(Money net) => grant.Kind == GrantRow.Prepaid
            ? Money.Round(Exact.Multiply(net.Amount, 1 + CreditAtGate.Added(customer) / 100), net.Currency)
            : net;
    }

    private async Task<IReadOnlyList<StretchAddOn>> AddOnsAsync(DbConnection db, IReadOnlyList<AddOnTerms> terms)
    {
        var addOns = new List<StretchAddOn>();
        foreach (var (id, quantity) in terms)
        {
            var row = await AddOnStore.FindAsync(db, id)
                ?? throw new InvalidOperationException($"There is no add-on {id}.");
            var prices = readVersion(
                new PlanVersionRow(row.Id, 0, row.Currency, row.Prices, QuotaWriter.None, PlanTermsWriter.None, row.CreatedAt));
            addOns.Add(new StretchAddOn(row.Id, row.Name, quantity, prices.Prices));
        }

        return addOns;
    }
}
