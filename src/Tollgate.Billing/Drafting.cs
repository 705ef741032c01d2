using NodaTime;
using Tollgate.Catalog;
using Tollgate.Config.File;
using Tollgate.Metering;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>A line with its rounded amount.</summary>
/// <param name="Period">What it is for: a billing period, or the part of it under one version of the prices.</param>
public sealed record DraftLine(RatedLine Rated, Money Amount, int PlanVersion, string? Meter, Period Period)
{
    /// <summary>Charged before its period.</summary>
    public bool InAdvance { get; init; }

    /// <summary>Gives back the unused part of a fee that was charged in advance.</summary>
    public bool IsCredit { get; init; }

    /// <summary>It corrects what an invoice before told: the quantity then and now.</summary>
    public (decimal Old, decimal New)? Adjusts { get; init; }
}

/// <summary>What a draft takes beside terms and usage.</summary>
public sealed record DraftInputs
{
    public static DraftInputs None { get; } = new();

    /// <summary>The fees in advance on the invoices before; needed where terms change.</summary>
    public IReadOnlyList<BilledFee> Billed { get; init; } = [];

    /// <summary>Periods of which usage came after their invoice.</summary>
    public IReadOnlyList<LatePeriod> Late { get; init; } = [];

    public InvoiceTerms Agreed { get; init; } = InvoiceTerms.Plain;
}

/// <summary>What an invoice would say.</summary>
/// <param name="Total">With tax: the sum of the rounded lines, what is taken off and what is added.</param>
/// <param name="Unpriced">Usage that no price asks for, so that an invoice accounts for each call.</param>
public sealed record InvoiceDraft(
    SubscriptionRow Subscription, Bill Bill, IReadOnlyList<DraftLine> Lines, Money Total,
    IReadOnlyList<OperationUsage> Unpriced)
{
    /// <summary>The versions of the prices in force, in order of time.</summary>
    public required IReadOnlyList<int> PlanVersions { get; init; }

    /// <summary>The plan in force, the last of several.</summary>
    public required string PlanId { get; init; }

    /// <summary>How the total comes about; its first lines are those of the draft.</summary>
    public required InvoiceSum Sum { get; init; }

    public required IReadOnlyList<Burn> Burns { get; init; }

    public required IReadOnlyList<TakenCoupon> Coupons { get; init; }

    public required CustomerTerms Terms { get; init; }
}

/// <summary>
/// What is billed. Pure: the same terms, bill, usage and earlier fees always give the same draft, whenever it is asked
/// for.
/// </summary>
public static class Drafting
{
    /// <summary>Drafts the invoice of a bill, or says why these terms cannot stand on one invoice.</summary>
    /// <param name="usage">By key of the entitlement, as <see cref="Bills.Settled"/> asks for it.</param>
    /// <param name="inputs">Null for none.</param>
    public static Result<InvoiceDraft> Draft(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage,
        DraftInputs? inputs = null)
    {
        var subscription = terms.Subscription;
        inputs ??= DraftInputs.None;
        try
        {
            DraftLine[] settled = [.. InOrderOf(terms, Fees.Arrears(terms, bill).Concat(Used(terms, bill, usage)))];
            DraftLine[] lines =
            [
                .. settled,
                .. Commitments.Of(terms, bill, settled, inputs.Agreed.Commitments),
                .. inputs.Late.SelectMany(late => LateUsage.Adjustments(terms, late)),
                .. Fees.Advance(terms, bill, inputs.Billed),
            ];
            var currencies = lines.Select(l => l.Amount.Currency).Distinct().ToArray();
            if (currencies.Length > 1)
                return new Problem("currency_mixed", $"{subscription.Id} has prices in {currencies[0]} and in " +
                    $"{currencies[1]} within one bill: an invoice has one currency, and nothing converts.");
            var currency = currencies.FirstOrDefault() ?? terms.CustomerCurrency;
            var inForce = InForce(terms, bill).ToArray();
            var (sum, burns, coupons) = inputs.Agreed.Sum(currency, lines);
            return new InvoiceDraft(subscription, bill, lines, sum.Total, Unpriced(terms, bill, usage))
            {
                PlanVersions = inForce.Select(s => s.Prices.Version).Distinct().ToArray(),
                PlanId = inForce.LastOrDefault()?.Terms.PlanId ?? subscription.PlanId,
                Sum = sum,
                Burns = burns,
                Coupons = coupons,
                Terms = inputs.Agreed.Customer,
            };
        }
        catch (OverflowException)
        {
            return new Problem("amount_too_large", $"{subscription.Id}: an amount of the bill at " +
                $"{Micros.ToText(bill.BillAt)} is beyond 9.2 × 10^18 minor units, or 28 digits.");
        }
    }

    /// <summary>The fees of a bill.</summary>
    internal static IEnumerable<DraftLine> Time(SubscriptionTerms terms, Bill bill, DraftInputs inputs) =>
        Fees.Arrears(terms, bill).Concat(Fees.Advance(terms, bill, inputs.Billed));

    /// <summary>
    /// The usage of the period that ended, stretch by stretch. A price that a new stretch left as it was goes on over
    /// both: their usage fills its tiers together.
    /// </summary>
    internal static IEnumerable<DraftLine> Used(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage)
    {
        var settled = Bills.Settled(terms, bill).Select(s => s.Stretch).ToArray();
        var done = new HashSet<(int, string)>();
        var consumed = new Dictionary<string, decimal>(StringComparer.Ordinal);
        for (var i = 0; i < settled.Length; i++)
        {
            var metered = settled[i].Metered;
            foreach (var price in metered.Prices.Where(p => p.Price is not Price.Flat))
            {
                if (done.Contains((i, price.Name))) continue;
                // what does not add up is one number for each stretch
                var adds = settled.SelectMany(s => Of(usage, s.Terms)).All(u => u.Meter != price.Meter || u.Adds);
                var with = Enumerable.Range(i, settled.Length - i)
                    .Where(j => j == i || adds && settled[j].Metered.Prices.Any(p => IsSame(p, price))
                        && settled[j].Prices.Currency == settled[i].Prices.Currency).ToArray();
                foreach (var j in with) done.Add((j, price.Name));
                var used = Summed(with.SelectMany(j => Of(usage, settled[j].Terms))).Select(UsageOf).ToArray();
                var last = settled[with[^1]].Terms;
                var part = Part(settled[i].Terms.StartAt, last.EndAt, bill.Period);
                // terms that came and went without time or usage enter no tier
                if (part.IsEmpty && used.All(u => u.Quantity == 0)) continue;
                var (allowance, left) = Left(metered, price, consumed);
                foreach (var line in Rating.RateUsage(metered with { Prices = [left] }, used))
                {
                    consumed[allowance] = consumed.GetValueOrDefault(allowance) + line.Included;
                    yield return new DraftLine(line, line.Amount(metered.Currency), metered.Version, line.Meter,
                        part.IsEmpty ? bill.Period : part);
                }
            }
        }
    }

    /// <summary>The price with what is left of its allowance: it is for the period, so a price that changed in it, or a
    /// second one on the same quota, finds consumed what the usage before had of it.</summary>
    private static (string Allowance, PriceComponent Left) Left(
        PlanVersion plan, PriceComponent price, Dictionary<string, decimal> consumed)
    {
        var quota = price.Price.IncludedFromQuota ? plan.QuotaOf(price) : null;
        var (allowance, units) = quota is null
            ? ("price " + price.Name, price.Price.Included)
            : ("quota " + quota.Name, quota.Allowance);
        var left = Math.Max(0, units - consumed.GetValueOrDefault(allowance));
        return (allowance, price with { Price = price.Price with { Included = left, IncludedFromQuota = false } });
    }

    /// <summary>Stretch by stretch, and in each in the order of the plan's prices.</summary>
    private static IEnumerable<DraftLine> InOrderOf(SubscriptionTerms terms, IEnumerable<DraftLine> lines)
    {
        var order = new Dictionary<(int, string), int>();
        foreach (var (stretch, at) in terms.Stretches.Select((s, at) => (s, at)))
            foreach (var (name, price) in stretch.Prices.Prices.Select((p, price) => (p.Name, price)))
                order.TryAdd((stretch.Prices.Version, name), at * 10_000 + price);
        return lines.OrderBy(l => l.Period.Start)
            .ThenBy(l => order.GetValueOrDefault((l.PlanVersion, l.Rated.PriceName), int.MaxValue));
    }

    private static bool IsSame(PriceComponent one, PriceComponent other) =>
        one.Name == other.Name && (ReferenceEquals(one, other)
            || one == other || PriceWriter.Write([one]) == PriceWriter.Write([other]));

    private static OperationUsage[] Unpriced(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage) =>
        Summed(Bills.Settled(terms, bill).Select(s => s.Stretch)
            .SelectMany(s => Of(usage, s.Terms).Where(
                u => u.Meter == UsageStore.Calls && u.Quantity != 0 && !IsPriced(s.Metered, u.Operation))))
            .OrderBy(u => u.Operation, StringComparer.Ordinal).ThenBy(u => u.Endpoint, StringComparer.Ordinal)
            .ToArray();

    private static IEnumerable<OperationUsage> Summed(IEnumerable<OperationUsage> usage) =>
        usage.GroupBy(u => (u.Meter, u.Operation, u.Api, u.Endpoint))
            .Select(g => new OperationUsage(g.Key.Api, g.Key.Operation, g.Key.Endpoint,
                g.Sum(u => u.Admitted), g.Sum(u => u.Quantity), g.Sum(u => u.Unknown)) { Meter = g.Key.Meter });

    private static bool IsPriced(PlanVersion prices, string operation) =>
        prices.Prices.Any(p => p.Meter == UsageStore.Calls && p.Covers(operation));

    private static Usage UsageOf(OperationUsage used) =>
        new(used.Meter, used.Operation, used.Quantity) { Endpoint = used.Endpoint };

    private static IReadOnlyList<OperationUsage> Of(
        IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage, Entitlement stretch) =>
        usage.TryGetValue(stretch.Key, out var found) ? found : [];

    private static IEnumerable<Stretch> InForce(SubscriptionTerms terms, Bill bill) => bill.Settles is null
        ? terms.InForceAt(bill.BillAt) is { } stretch ? [stretch] : []
        : terms.Stretches.Where(s => !Part(s.Terms.StartAt, s.Terms.EndAt, bill.Period).IsEmpty);

    private static Period Part(long startAt, long? endAt, Period period) => period.Intersect(new Period(
        Micros.ToInstant(startAt), endAt is { } end ? Micros.ToInstant(end) : Instant.MaxValue));
}
