using NodaTime;
using Tollgate.Catalog;
using Tollgate.Metering;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>A stretch of constant terms with the prices that hold in it.</summary>
public sealed record Stretch(Entitlement Terms, PlanVersion Prices);

/// <summary>A subscription with all that it was agreed on, in order of time.</summary>
public sealed record SubscriptionTerms(
    SubscriptionRow Subscription, Currency CustomerCurrency, IReadOnlyList<Stretch> Stretches);

/// <summary>An instant at which a subscription is billed, and what for. At most one invoice each.</summary>
/// <param name="BillAt">Microseconds UTC: the start of the subscription, the end of a period, or its own end.</param>
/// <param name="Period">The part of the billing period that the subscription ran in; names the invoice.</param>
/// <param name="Settles">Index of the period whose usage and fees in arrears are due; none at the start.</param>
/// <param name="Opens">Index of the period whose fees in advance are due; none at the end.</param>
public sealed record Bill(long BillAt, Period Period, int? Settles, int? Opens)
{
    /// <summary>From when on it may be issued: usage is waited for, a fee in advance is not.</summary>
    public long DueAt(long collectionWindow) => Settles is null ? BillAt : BillAt + collectionWindow;
}

/// <summary>A line with its rounded amount.</summary>
/// <param name="Period">What it is for: a billing period, or the part of it under one version of the prices.</param>
public sealed record DraftLine(RatedLine Rated, Money Amount, int PlanVersion, string? Meter, Period Period)
{
    /// <summary>Charged before its period.</summary>
    public bool InAdvance { get; init; }
}

/// <summary>What an invoice would say.</summary>
/// <param name="Total">The sum of the rounded lines.</param>
/// <param name="Unpriced">Usage that no price asks for, so that an invoice accounts for each call.</param>
public sealed record InvoiceDraft(
    SubscriptionRow Subscription, Bill Bill, IReadOnlyList<DraftLine> Lines, Money Total,
    IReadOnlyList<OperationUsage> Unpriced)
{
    /// <summary>The versions of the prices in force, in order of time.</summary>
    public required IReadOnlyList<int> PlanVersions { get; init; }
}

/// <summary>
/// What is billed when. Pure: the same terms, bill and usage always give the same draft, whenever it is asked for.
/// </summary>
public static class Drafting
{
    /// <summary>
    /// The bills of a subscription that have no invoice yet, in order of time. Endless while it runs on.
    /// </summary>
    /// <param name="newestBillAt">Of its newest invoice. What lies before is settled: invoices are issued in order,
    /// and a period is billed once, even if the subscription's end is moved afterwards.</param>
    public static IEnumerable<Bill> Bills(SubscriptionRow subscription, long? newestBillAt)
    {
        var calendar = subscription.Calendar;
        var whole = WholeOf(subscription);
        var first = calendar.IndexAt(whole.Start);
        if (newestBillAt is null && !whole.IsEmpty)
            yield return new Bill(subscription.StartAt, calendar.PeriodOf(first).Intersect(whole), null, first);
        var newest = newestBillAt is { } at ? Micros.ToInstant(at) : (Instant?)null;
        for (var index = Math.Max(first, calendar.IndexAt(newest ?? whole.Start)); ; index++)
        {
            var full = calendar.PeriodOf(index);
            if (index > first && full.Start >= whole.End) yield break;
            var period = full.Intersect(whole);
            var last = full.End >= whole.End;
            if (!(newest > period.Start || newest >= period.End))
                yield return new Bill(Micros.Of(period.End), period, index, last ? null : index + 1);
            if (last) yield break;
        }
    }

    /// <summary>Drafts the invoice of a bill, or says why these terms cannot stand on one invoice.</summary>
    /// <param name="usage">By key of the entitlement, as stamped with the bill's period.</param>
    public static Result<InvoiceDraft> Draft(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage)
    {
        var subscription = terms.Subscription;
        try
        {
            var lines = WithoutSeams(Settled(terms, bill, usage)).Concat(Advance(terms, bill)).ToArray();
            var currencies = lines.Select(l => l.Amount.Currency).Distinct().ToArray();
            if (currencies.Length > 1)
                return new Problem("currency_mixed", $"{subscription.Id} has prices in {currencies[0]} and in " +
                    $"{currencies[1]} within one bill: an invoice has one currency, and nothing converts.");
            var currency = currencies.FirstOrDefault() ?? terms.CustomerCurrency;
            return new InvoiceDraft(subscription, bill, lines,
                lines.Aggregate(Money.Zero(currency), (sum, line) => sum + line.Amount), Unpriced(terms, bill, usage))
            {
                PlanVersions = InForce(terms, bill).Select(s => s.Prices.Version).Distinct().ToArray(),
            };
        }
        catch (OverflowException)
        {
            return new Problem("amount_too_large", $"{subscription.Id}: an amount of the bill at " +
                $"{Micros.ToText(bill.BillAt)} is beyond 9.2 × 10^18 minor units, or 28 digits.");
        }
    }

    /// <summary>Usage and fees in arrears of the period that ended, stretch by stretch.</summary>
    private static IEnumerable<DraftLine> Settled(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage)
    {
        if (bill.Settles is not { } index) yield break;
        var calendar = terms.Subscription.Calendar;
        var ofDays = calendar.Days(calendar.PeriodOf(index));
        foreach (var (stretch, prices) in terms.Stretches)
        {
            var part = PartOf(stretch, bill.Period);
            var days = part.IsEmpty ? 0 : calendar.Days(part);
            var flat = days == 0 ? [] : Rating.RateFlat(prices, BillingTiming.Arrears, new Proration(days, ofDays));
            var used = Of(usage, stretch);
            // terms that came and went without time or usage enter no tier
            var metered = part.IsEmpty && used.All(u => u.Quantity == 0)
                ? [] : Rating.RateUsage(prices, used.Select(UsageOf));
            foreach (var line in InOrderOf(prices, flat.Concat(metered)))
                yield return Line(line, prices, part.IsEmpty ? bill.Period : part);
        }
    }

    /// <summary>
    /// Fees in advance of the period that begins. The terms in force at its start hold for all of it: a version that
    /// comes later in the period neither gives back nor charges again.
    /// </summary>
    private static IEnumerable<DraftLine> Advance(SubscriptionTerms terms, Bill bill)
    {
        if (bill.Opens is not { } index || InForceAt(terms, bill.BillAt) is not { Prices: var prices }) yield break;
        var calendar = terms.Subscription.Calendar;
        var full = calendar.PeriodOf(index);
        var part = full.Intersect(WholeOf(terms.Subscription));
        var days = part.IsEmpty ? 0 : calendar.Days(part);
        if (days == 0) yield break;
        foreach (var line in Rating.RateFlat(prices, BillingTiming.Advance, new Proration(days, calendar.Days(full))))
            yield return Line(line, prices, part) with { InAdvance = true };
    }

    /// <summary>A fee that a new version left as it was is one line over both stretches: cut in two and rounded twice it
    /// could come to a cent more.</summary>
    private static List<DraftLine> WithoutSeams(IEnumerable<DraftLine> lines)
    {
        var whole = new List<DraftLine>();
        foreach (var line in lines)
        {
            var before = line.Rated.Kind != LineKind.Fee ? -1 : whole.FindLastIndex(l => l.Rated.Kind == LineKind.Fee
                && (l.Rated.PriceName, l.Rated.UnitAmount, l.Amount.Currency, l.Period.End)
                    == (line.Rated.PriceName, line.Rated.UnitAmount, line.Amount.Currency, line.Period.Start));
            if (before < 0) whole.Add(line);
            else whole[before] = Joined(whole[before], line);
        }

        return whole;
    }

    private static DraftLine Joined(DraftLine first, DraftLine second)
    {
        var factor = first.Rated.Factor with { Days = first.Rated.Factor.Days + second.Rated.Factor.Days };
        var precise = factor.Of(first.Rated.UnitAmount!.Value);
        return first with
        {
            Rated = first.Rated with { Factor = factor, PreciseAmount = precise },
            Amount = Money.Round(precise, first.Amount.Currency),
            Period = new Period(first.Period.Start, second.Period.End),
        };
    }

    private static OperationUsage[] Unpriced(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage) =>
        bill.Settles is null ? [] : terms.Stretches
            .SelectMany(s => Of(usage, s.Terms).Where(u => u.Quantity != 0 && !IsPriced(s.Prices, u.Operation)))
            .GroupBy(u => (u.Operation, u.Api, u.Endpoint))
            .Select(g => new OperationUsage(g.Key.Api, g.Key.Operation, g.Key.Endpoint,
                g.Sum(u => u.Admitted), g.Sum(u => u.Quantity), g.Sum(u => u.Unknown)))
            .OrderBy(u => u.Operation, StringComparer.Ordinal).ThenBy(u => u.Endpoint, StringComparer.Ordinal)
            .ToArray();

    private static bool IsPriced(PlanVersion prices, string operation) =>
        prices.Prices.Any(p => p.Meter == UsageStore.Calls && p.Covers(operation));

    private static DraftLine Line(RatedLine rated, PlanVersion prices, Period part) =>
        new(rated, rated.Amount(prices.Currency), prices.Version, rated.Meter, part);

    private static IEnumerable<RatedLine> InOrderOf(PlanVersion prices, IEnumerable<RatedLine> lines)
    {
        var order = prices.Prices.Select((price, at) => (price.Name, at)).ToDictionary(p => p.Name, p => p.at);
        return lines.OrderBy(line => order[line.PriceName]);
    }

    private static Usage UsageOf(OperationUsage used) =>
        new(UsageStore.Calls, used.Operation, used.Quantity) { Endpoint = used.Endpoint };

    private static IReadOnlyList<OperationUsage> Of(
        IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage, Entitlement stretch) =>
        usage.TryGetValue(stretch.Key, out var found) ? found : [];

    private static IEnumerable<Stretch> InForce(SubscriptionTerms terms, Bill bill) => bill.Settles is null
        ? InForceAt(terms, bill.BillAt) is { } stretch ? [stretch] : []
        : terms.Stretches.Where(s => !PartOf(s.Terms, bill.Period).IsEmpty);

    /// <summary>The stretch that holds an instant; of several that begin at one instant, the one that stayed.</summary>
    private static Stretch? InForceAt(SubscriptionTerms terms, long at) => terms.Stretches.LastOrDefault(
        s => s.Terms.StartAt <= at && (s.Terms.EndAt is null || s.Terms.EndAt > at));

    private static Period PartOf(Entitlement stretch, Period period) => period.Intersect(new Period(
        Micros.ToInstant(stretch.StartAt), stretch.EndAt is { } end ? Micros.ToInstant(end) : Instant.MaxValue));

    private static Period WholeOf(SubscriptionRow subscription) => new(
        Micros.ToInstant(subscription.StartAt),
        subscription.EndAt is { } end ? Micros.ToInstant(end) : Instant.MaxValue);
}
