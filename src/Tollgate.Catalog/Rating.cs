using NodaTime;

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

    /// <summary>By what events tell it apart; null for nothing.</summary>
    public IReadOnlyDictionary<string, string>? Dimensions { get; init; }

    /// <summary>How many single events of this quantity each; 0 when the quantity is a sum of unknown ones.</summary>
    public long Events { get; init; }

    /// <summary>The quantity of a meter whose measurements do not add up: the stretches that it is one number over, by
    /// index. Null for what adds up.</summary>
    public IReadOnlyList<int>? Over { get; init; }

    /// <summary>Of all its events.</summary>
    public decimal Total => Events > 1 ? Exact.Multiply(Quantity, Events) : Quantity;
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

    /// <summary>What tells it from other lines of its price, as <c>region eu</c>; null for nothing.</summary>
    public string? Label { get; init; }

    /// <summary>Counted units; a fee is for one.</summary>
    public decimal Quantity { get; init; } = 1;

    /// <summary>Of the units, converted if the price converts, how many the plan includes.</summary>
    public decimal Included { get; init; }

    /// <summary>Counted units, beyond those included, that credit in units pays, by grant.</summary>
    public IReadOnlyList<UnitBurn> Burns { get; init; } = [];

    /// <summary>All of <see cref="Burns"/>.</summary>
    public decimal Credited => Burns.Sum(b => b.Units);

    /// <summary>When something that costs nothing was used up, microseconds UTC: until then, and after it, the order of
    /// its usage does not matter.</summary>
    public IReadOnlyList<long> FreeUntil { get; init; } = [];

    /// <summary>None when its parts have several.</summary>
    public decimal? UnitAmount { get; init; }

    /// <summary>Before rounding. The line is rounded once, whatever it consists of.</summary>
    public required decimal PreciseAmount { get; init; }

    /// <summary>Whether <see cref="PreciseAmount"/> is all of it: thirds of units are cut after 28 digits.</summary>
    public bool IsExact { get; init; } = true;

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
    /// <param name="zone">Whose local time bands of the week are told by; null for UTC.</param>
    public static IReadOnlyList<RatedLine> Rate(
        PriceComponent price, IEnumerable<Usage> usage, decimal included, DateTimeZone? zone = null)
    {
        var local = zone ?? DateTimeZone.Utc;
        return Lines(price, UsageGroups.Of(price, UsageGroups.InOrder(price, usage, local), included, local));
    }

    /// <summary>The same, with what credit in units pays of it.</summary>
    internal static IReadOnlyList<RatedLine> Rate(Beyond of, DateTimeZone zone) =>
        Lines(of.Price, UsageGroups.Of(of.Price, of.Used, of.Included, zone, of.Burns));

    private static RatedLine[] Lines(PriceComponent price, IEnumerable<Group> groups) =>
        [.. groups.Select(g => g.Price is Price.PerUnit { Convert: null } unit
                ? OfUnits(price, unit, g)
                : Together(price, g))
            .Where(line => line.Quantity != 0 || line.Parts.Count > 0)];

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

    /// <summary>How much of what is included a quantity consumes, as priced.</summary>
    public static decimal Consumed(Price price, decimal quantity, decimal included) =>
        price.Convert is null ? Math.Min(included, quantity) : Math.Min(included, Pricing.Converted(price.Convert, quantity).Quantity);

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

    private static RatedLine OfUnits(PriceComponent component, Price.PerUnit price, Group group) => new()
    {
        PriceName = component.Name,
        Kind = LineKind.Usage,
        Meter = component.Meter,
        Operation = group.Single?.Operation,
        Endpoint = group.Single?.Endpoint,
        Label = group.Label,
        Quantity = group.Quantity,
        Included = group.Included,
        FreeUntil = group.FreeUntil,
        Burns = Summed(group.Burns),
        UnitAmount = price.UnitAmount,
        PreciseAmount = Exact.Multiply(group.Quantity - group.Included - group.Credited, price.UnitAmount),
    };

    private static RatedLine Together(PriceComponent component, Group group)
    {
        var price = group.Price;
        var kept = new List<LinePart>();
        var parts = new PartSum(kept);
        decimal included;
        IReadOnlyList<long> freeUntil = group.FreeUntil;
        if (price is Price.Percentage { LooksAtEvents: true } share)
        {
            var left = group.Included;
            var billable = Pricing.BillableEvents(share, [.. group.Events.Select(e => e.Value)], ref left, out var taken);
            var free = Pricing.Events(share, billable, ref parts);
            included = group.Included - left;
            freeUntil = [.. freeUntil, .. group.TimesOf(
                left == 0 ? taken : 0, free == 0 ? 0 : group.Events.Count - billable.Count + free)];
        }
        else
        {
            var asked = Exact.Subtract(group.Quantity, group.Credited);
            Pricing.Rate(price, Pricing.Billable(price, asked, group.Included), null, ref parts);
            included = Math.Min(group.Included, Pricing.Converted(price.Convert, group.Quantity).Quantity);
        }

        return new RatedLine
        {
            PriceName = component.Name,
            Kind = LineKind.Usage,
            Meter = component.Meter,
            Operation = group.Single?.Operation,
            Endpoint = group.Single?.Endpoint,
            Label = group.Label,
            Quantity = group.Quantity,
            Included = included,
            FreeUntil = freeUntil,
            Burns = Summed(group.Burns),
            UnitAmount = kept.Count == 1 ? kept[0].UnitAmount : null,
            PreciseAmount = parts.Sum,
            IsExact = parts.IsExact,
            Parts = kept,
        };
    }

    private static UnitBurn[] Summed(List<UnitBurn> burns) => [.. burns.GroupBy(b => b.Grant)
        .Select(g => new UnitBurn(g.Key, g.Sum(b => b.Units))).Where(b => b.Units != 0)];

    private static RatedLine BoundLine(PriceComponent price, LineKind kind, Money difference) => new()
    {
        PriceName = price.Name,
        Kind = kind,
        Meter = price.Meter,
        UnitAmount = difference.Amount,
        PreciseAmount = difference.Amount,
    };
}
