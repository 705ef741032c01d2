namespace Tollgate.Catalog;

/// <summary>A line of a preview: a part of the price, rounded for itself. What the rounded parts differ by from the price, that
/// is rounded once, is a line of its own.</summary>
public sealed record PreviewLine(
    string Description, decimal Quantity, decimal UnitAmount, decimal PreciseAmount, Money Amount);

/// <summary>What is rated without any state.</summary>
public sealed record PreviewQuestion(Price Price, Currency Currency)
{
    /// <summary>Zero or more; ignored when there are events.</summary>
    public decimal Quantity { get; init; }

    /// <summary>Values of single events, in their order; null when only their sum is known.</summary>
    public IReadOnlyList<decimal>? Events { get; init; }

    /// <summary>Of the same period; null when nothing was, so that this is its first bill.</summary>
    public decimal? AlreadyBilled { get; init; }

    /// <summary>What the plan's quota allows, for a price that takes its included units from there.</summary>
    public decimal? Quota { get; init; }

    /// <summary>What is counted, for descriptions.</summary>
    public string Unit { get; init; } = "units";
}

/// <summary>The answer of <c>POST /v1/prices/preview</c>: the same arithmetic as an invoice line, shown part by part.
/// </summary>
/// <param name="PreciseAmount">Before rounding, between the bounds of the price.</param>
public sealed record PricePreview(Money Amount, decimal PreciseAmount, IReadOnlyList<PreviewLine> Lines)
{
    /// <summary>Whether the conversion of the price leaves an amount without a last digit.</summary>
    public bool IsCut { get; private init; }

    /// <exception cref="OverflowException">Something needs more than 28 digits, or more minor units than there are.
    /// </exception>
    public static PricePreview Of(PreviewQuestion asked)
    {
        var parts = new List<LinePart>();
        var now = new PartSum(parts);
        decimal before = 0;
        if (asked is { Events: { } events, Price: Price.Percentage { LooksAtEvents: true } percentage })
        {
            var included = percentage.IncludedFromQuota ? asked.Quota ?? 0 : percentage.Included;
            Pricing.Events(percentage, Pricing.BillableEvents(percentage, events, ref included, out _), ref now);
        }
        else
        {
            var (quantity, already) = (QuantityOf(asked), asked.AlreadyBilled is > 0 and var a ? a : (decimal?)null);
            var included = asked.Price.IncludedFromQuota ? asked.Quota ?? 0 : asked.Price.Included;
            var measure = Pricing.Billable(asked.Price, Exact.Add(quantity, already ?? 0), included);
            Measure? earlier = already is { } billed ? Pricing.Billable(asked.Price, billed, included) : null;
            ShowIncluded(asked.Price, Exact.Add(quantity, already ?? 0), already ?? 0, included, ref now);
            Pricing.Rate(asked.Price, measure, earlier, ref now);
            if (already is { } was) before = Rating.Exactly(asked.Price, was, included);
        }

        var charged = Money.Round(now.Sum, asked.Currency);
        var lines = parts.Select(part => new PreviewLine(part.Describe(asked.Unit), part.Quantity, part.UnitAmount,
            part.PreciseAmount, Money.Round(part.PreciseAmount, asked.Currency))).ToList();
        var rounding = lines.Aggregate(charged, (left, line) => left - line.Amount);
        if (rounding.MinorUnits != 0) lines.Add(Line(PartKind.Rounding, rounding) with { PreciseAmount = 0 });
        lines.AddRange(Bounds(asked, charged, before).Select(b => Line(b.Kind, b.Moved)));
        return new PricePreview(
            lines.Aggregate(Money.Zero(asked.Currency), (sum, line) => sum + line.Amount),
            PreciseOf(asked, before, now.Sum),
            lines)
        {
            IsCut = !now.IsExact && asked.Price.Convert is { ComesOutEven: false },
        };
    }

    /// <summary>What usage with its times and dimensions costs in one whole period: the lines of its invoice, each rounded.
    /// </summary>
    /// <param name="price">As in a plan.</param>
    /// <param name="currency">Of its amounts.</param>
    /// <param name="usage">All of the price's meter.</param>
    /// <param name="zone">Whose local time tells bands of the week.</param>
    /// <param name="quota">What the plan's quota allows, for a price that includes it.</param>
    public static IReadOnlyList<(RatedLine Line, Money Amount)> OfUsage(
        PriceComponent price, Currency currency, IReadOnlyCollection<Usage> usage, NodaTime.DateTimeZone zone, decimal? quota)
    {
        var plan = new PlanVersion("preview", 1, currency, [price])
        {
            Quotas = quota is { } allowance
                ? [new Quota(price.Name, price.Meter!, allowance) { Operations = price.Operations }] : [],
        };
        return [.. PeriodRating.Rate([new UsedStretch(plan, Proration.Whole, usage) { Zone = zone }])
            .Select(line => (line.Rated, line.Rated.Amount(currency)))];
    }

    private static PreviewLine Line(PartKind kind, Money amount) => new(
        new LinePart(kind, 1, amount.Amount, amount.Amount).Describe(""), 1, amount.Amount, amount.Amount, amount);

    private static decimal QuantityOf(PreviewQuestion asked) =>
        asked.Events is { } events ? events.Aggregate(0m, Exact.Add) : asked.Quantity;

    private static void ShowIncluded(
        Price price, decimal total, decimal already, decimal included, ref PartSum parts)
    {
        if (included == 0) return;
        var used = Used(total) - Used(already);
        if (used > 0) parts.Add(new LinePart(PartKind.Included, used, 0, 0));

        decimal Used(decimal quantity)
        {
            var converted = Pricing.Converted(price.Convert, quantity);
            return Math.Min(included, converted.Quantity);
        }
    }

    /// <summary>A slice of a period is held by what the slices before it were held by already.</summary>
    private static IEnumerable<(PartKind Kind, Money Moved)> Bounds(PreviewQuestion asked, Money charged, decimal before)
    {
        var earlier = Money.Round(before, asked.Currency);
        var billed = asked.AlreadyBilled > 0;
        var all = new PriceComponent("", null, null, asked.Price);
        var total = Rating.Bound(all, earlier + charged, Proration.Whole);
        var past = billed ? Rating.Bound(all, earlier, Proration.Whole) : null;
        var moved = (total?.Amount(asked.Currency) ?? Money.Zero(asked.Currency))
            - (past?.Amount(asked.Currency) ?? Money.Zero(asked.Currency));
        if (moved.MinorUnits != 0)
            yield return ((total ?? past)!.Kind == LineKind.Maximum ? PartKind.Maximum : PartKind.Minimum, moved);
    }

    private static decimal PreciseOf(PreviewQuestion asked, decimal before, decimal amount)
    {
        // thirds have no last digit, and nothing is lost of all others
        var total = asked.Price.Convert is { Divides: true } ? before + amount : Exact.Add(before, amount);
        return Bounded(asked.Price, total) - (asked.AlreadyBilled > 0 ? Bounded(asked.Price, before) : 0);
    }

    private static decimal Bounded(Price price, decimal amount)
    {
        amount = Math.Min(amount, price.Maximum ?? amount);
        return Math.Max(amount, price.Minimum ?? amount);
    }
}
