namespace Tollgate.Catalog;

/// <summary>A quantity of an operation within the stretch that is rated.</summary>
/// <param name="Quantity">Billable units, exact; zero or more.</param>
public readonly record struct Usage(string Meter, string Operation, decimal Quantity)
{
    /// <summary>The path template that the line shows; two APIs may have an operation of one name.</summary>
    public string Endpoint { get; init; } = Operation;

    /// <summary>When it was used, microseconds UTC, as exactly as sums by the quarter of an hour tell; included units
    /// are consumed in this order.</summary>
    public long At { get; init; }
}

/// <summary>What a line is: usage, a base fee, or what keeps the usage of a price between its bounds.</summary>
public enum LineKind : byte { Usage, Fee, Maximum, Minimum }

/// <summary>A line before it is rounded and stands on an invoice.</summary>
public sealed record RatedLine
{
    /// <summary>The price that asks for it.</summary>
    public required string PriceName { get; init; }

    public required LineKind Kind { get; init; }

    /// <summary>None for a fee.</summary>
    public string? Meter { get; init; }

    /// <summary>None for a fee, and for the usage of several operations that is priced together.</summary>
    public string? Operation { get; init; }

    /// <summary>The path template of the operation.</summary>
    public string? Endpoint { get; init; }

    /// <summary>Counted units; a fee is for one.</summary>
    public decimal Quantity { get; init; } = 1;

    /// <summary>Of the units, converted if the price converts, how many the plan includes.</summary>
    public decimal Included { get; init; }

    /// <summary>None when its parts have several.</summary>
    public decimal? UnitAmount { get; init; }

    /// <summary>Before rounding. The line is rounded once, whatever it consists of.</summary>
    public required decimal PreciseAmount { get; init; }

    /// <summary>The part of the period that the terms cover, for prorated lines; else 1.</summary>
    public Proration Factor { get; init; } = Proration.Whole;

    /// <summary>How the amount comes about; empty when quantity × unit amount says it all.</summary>
    public IReadOnlyList<LinePart> Parts { get; init; } = [];

    public Money Amount(Currency currency) => Money.Round(PreciseAmount, currency);
}

/// <summary>Days used of days in the period; printed on the line, never above 1 (money.md 9).</summary>
public readonly record struct Proration(int Days, int OfDays)
{
    public static Proration Whole => new(1, 1);

    public bool IsWhole => Days >= OfDays;

    /// <summary>Multiplies before it divides, so that no digit is lost on the way.</summary>
    public decimal Of(decimal amount) => IsWhole ? amount : amount * Days / OfDays;
}

/// <summary>What prices ask for usage. Pure: the same plan version, period and usage always give the same lines.</summary>
public static class Rating
{
    /// <summary>The metered lines of a plan version, in the order of the prices and then of the operations' names: what
    /// was used, and what keeps it between the bounds of its price.</summary>
    public static IEnumerable<RatedLine> RateUsage(PlanVersion plan, IEnumerable<Usage> usage)
    {
        var used = usage as IReadOnlyCollection<Usage> ?? usage.ToArray();
        return PeriodRating.Rate([new UsedStretch(plan, Proration.Whole, used)]).Select(line => line.Rated);
    }

    /// <summary>
    /// The lines of one price for the usage that it covers; the rest is left alone. Usage per unit has a line for each
    /// operation; with tiers and packages all operations fill them together, in one line.
    /// </summary>
    /// <param name="included">Units of the period that cost nothing, as the price or the plan's quota has them.</param>
    public static IReadOnlyList<RatedLine> Rate(PriceComponent price, IEnumerable<Usage> usage, decimal included)
    {
        var used = usage.Where(u => u.Quantity != 0 && u.Meter == price.Meter && price.Covers(u.Operation))
            .OrderBy(u => u.At).ThenBy(u => u.Operation, StringComparer.Ordinal)
            .ThenBy(u => u.Endpoint, StringComparer.Ordinal).ToArray();
        return price.Price is Price.PerUnit { Convert: null } perUnit
            ? [.. OfEachOperation(price, perUnit, used, included)]
            : Together(price, used, included) is { } line ? [line] : [];
    }

    /// <summary>
    /// What a price asks for a quantity, exactly, included units and conversion considered, minimum and maximum not.
    /// Keeps nothing, for the gate's balances.
    /// </summary>
    /// <exception cref="OverflowException">The amount needs more than 28 digits.</exception>
    public static decimal Exactly(Price price, decimal quantity, decimal included)
    {
        var sum = new PartSum(null);
        Pricing.Rate(price, Pricing.Billable(price, quantity, included), null, ref sum);
        return sum.Sum;
    }

    /// <summary>
    /// The line that brings the rounded and discounted lines of a price down to its maximum or up to its minimum; null
    /// when they are in between (money.md 6 and 12).
    /// </summary>
    /// <param name="charged">The sum of the price's lines.</param>
    /// <param name="part">The part of the period: a minimum is for a whole one, a maximum is not prorated.</param>
    public static RatedLine? Bound(PriceComponent price, Money charged, Proration part)
    {
        if (price.Price.Maximum is { } most && Money.Round(most, charged.Currency) is var top && charged.MinorUnits > top.MinorUnits)
            return BoundLine(price, LineKind.Maximum, top - charged);
        if (price.Price.Minimum is { } least && Money.Round(part.Of(least), charged.Currency) is var floor
            && charged.MinorUnits < floor.MinorUnits)
            return BoundLine(price, LineKind.Minimum, floor - charged) with { Factor = part };
        return null;
    }

    /// <summary>The base fees of a plan version that fall due in this way, for the given part of a period.</summary>
    public static IEnumerable<RatedLine> RateFlat(PlanVersion plan, BillingTiming timing, Proration part)
    {
        foreach (var price in plan.Prices)
        {
            if (price.Price is not Price.Flat flat || flat.In != timing) continue;
            yield return new RatedLine
            {
                PriceName = price.Name,
                Kind = LineKind.Fee,
                UnitAmount = flat.Amount,
                PreciseAmount = part.Of(flat.Amount),
                Factor = part,
            };
        }
    }

    private static IEnumerable<RatedLine> OfEachOperation(
        PriceComponent component, Price.PerUnit price, Usage[] used, decimal included)
    {
        var lines = new SortedDictionary<(string, string), (Usage First, decimal Quantity, decimal Included)>(s_byName);
        foreach (var u in used)
        {
            var free = Math.Min(u.Quantity, included);
            included -= free;
            var (first, quantity, before) = lines.GetValueOrDefault((u.Operation, u.Endpoint), (u, 0, 0));
            lines[(u.Operation, u.Endpoint)] = (first, Exact.Add(quantity, u.Quantity), Exact.Add(before, free));
        }

        return lines.Values.Select(line => new RatedLine
        {
            PriceName = component.Name,
            Kind = LineKind.Usage,
            Meter = component.Meter,
            Operation = line.First.Operation,
            Endpoint = line.First.Endpoint,
            Quantity = line.Quantity,
            Included = line.Included,
            UnitAmount = price.UnitAmount,
            PreciseAmount = Exact.Multiply(line.Quantity - line.Included, price.UnitAmount),
        });
    }

    private static RatedLine? Together(PriceComponent component, Usage[] used, decimal included)
    {
        var price = component.Price;
        var quantity = used.Aggregate(0m, (sum, u) => Exact.Add(sum, u.Quantity));
        var kept = new List<LinePart>();
        var parts = new PartSum(kept);
        Pricing.Rate(price, Pricing.Billable(price, quantity, included), null, ref parts);
        if (kept.Count == 0 && quantity == 0) return null;
        var converted = Pricing.Converted(price.Convert, quantity);
        var operation = used.Length > 0 && used.All(u => (u.Operation, u.Endpoint) == (used[0].Operation, used[0].Endpoint))
            ? used[0] : (Usage?)null;
        return new RatedLine
        {
            PriceName = component.Name,
            Kind = LineKind.Usage,
            Meter = component.Meter,
            Operation = operation?.Operation,
            Endpoint = operation?.Endpoint,
            Quantity = quantity,
            Included = Math.Min(included, converted.Quantity),
            UnitAmount = kept.Count == 1 ? kept[0].UnitAmount : null,
            PreciseAmount = parts.Sum,
            Parts = kept,
        };
    }

    private static RatedLine BoundLine(PriceComponent price, LineKind kind, Money difference) => new()
    {
        PriceName = price.Name,
        Kind = kind,
        Meter = price.Meter,
        UnitAmount = difference.Amount,
        PreciseAmount = difference.Amount,
    };

    private static readonly Comparer<(string, string)> s_byName = Comparer<(string Operation, string Endpoint)>.Create(
        (a, b) => string.CompareOrdinal(a.Operation, b.Operation) is not 0 and var order
            ? order : string.CompareOrdinal(a.Endpoint, b.Endpoint));
}
