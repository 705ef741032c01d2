using System.Text.Json.Serialization;
using NodaTime;
using NodaTime.Text;
using Tollgate.Catalog;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>Days used of days in the period, or seconds of seconds.</summary>
public sealed record InvoiceProration
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Days { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? OfDays { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Seconds { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? OfSeconds { get; init; }

    /// <summary>The one by the other, to twelve digits; never above 1.</summary>
    public required string Factor { get; init; }

    [JsonIgnore]
    public int Of => OfDays ?? OfSeconds ?? 0;

    public static InvoiceProration? From(Proration part, bool bySecond)
    {
        if (part.IsWhole) return null;
        // for the eye: the amount is computed from the whole numbers
        var factor = DecimalText.Of(decimal.Round((decimal)part.Days / part.OfDays, 12, MidpointRounding.AwayFromZero));
        return bySecond
            ? new InvoiceProration { Seconds = part.Days, OfSeconds = part.OfDays, Factor = factor }
            : new InvoiceProration { Days = part.Days, OfDays = part.OfDays, Factor = factor };
    }
}

/// <summary>What one price asks for one operation, or for a period.</summary>
public sealed record InvoiceLine
{
    public const string Usage = "usage", Fee = "fee", Credit = "credit", Maximum = "maximum", Minimum = "minimum",
        Adjustment = "adjustment";

    /// <summary>For people: <c>/api/v1/data, 1,234 calls</c>.</summary>
    public required string Description { get; init; }

    /// <summary><see cref="Usage"/>, <see cref="Fee"/>, <see cref="Credit"/> of what was not used of a fee, or what keeps
    /// the usage of a price between its <see cref="Maximum"/> and <see cref="Minimum"/>.</summary>
    public string Kind { get; init; } = Usage;

    /// <summary>A fee that is charged before its period, or a credit of one.</summary>
    public bool InAdvance { get; init; }

    /// <summary>Name of the price in the plan.</summary>
    public required string Price { get; init; }

    public required int PlanVersion { get; init; }

    /// <summary>None for a flat price; so are the next two.</summary>
    public required string? Meter { get; init; }

    public required string? Operation { get; init; }

    public required string? Endpoint { get; init; }

    /// <summary>What tells it from other lines of its price, as <c>region eu</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Label { get; init; }

    public required string Quantity { get; init; }

    /// <summary>Of the quantity, converted if the price converts, what costs nothing as the plan includes it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? IncludedUnits { get; init; }

    /// <summary>Of the quantity, what credit in units paid.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? CreditedUnits { get; init; }

    /// <summary>For each unit that is neither included nor paid with credit; none when that does not say it all, and there are
    /// <see cref="Parts"/>.</summary>
    public required string? UnitAmount { get; init; }

    /// <summary>How the amount comes about where there are tiers, packages, shares or converted units.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<InvoiceLinePart>? Parts { get; init; }

    /// <summary>Before rounding.</summary>
    public required string PreciseAmount { get; init; }

    /// <summary>Rounded once, half away from zero, to the minor unit of the currency.</summary>
    public required string Amount { get; init; }

    /// <summary>Its share of coupons and promotional credit; none when nothing is taken off.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Discount { get; init; }

    /// <summary>Of the discount, what coupons of its price took off before minimum and maximum.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? LineDiscount { get; init; }

    /// <summary>Of what is left then; rounded once. The tax of the invoice is the sum. None without a rate.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Tax { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public InvoiceTaxRate? TaxRate { get; init; }

    /// <summary>Of an adjustment: what an invoice before told.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? OldQuantity { get; init; }

    /// <summary>Of an adjustment: what there is now.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? NewQuantity { get; init; }

    /// <summary>None when the terms cover the whole period, and for usage, which is never prorated.</summary>
    public required InvoiceProration? Proration { get; init; }

    public required string PeriodStart { get; init; }

    public required string PeriodEnd { get; init; }

    public static InvoiceLine Of(DraftLine line, DateTimeZone zone, bool bySecond, SummedLine summed)
    {
        var rated = line.Rated;
        var parts = InvoiceLinePart.Of(rated);
        return new InvoiceLine
        {
            Description = Describe(line, zone, bySecond),
            Kind = line.Adjusts is not null ? Adjustment : line.IsCredit ? Credit : rated.Kind.ToString().ToLowerInvariant(),
            InAdvance = line.InAdvance,
            Price = rated.PriceName,
            PlanVersion = line.PlanVersion,
            Meter = line.Meter,
            Operation = rated.Operation,
            Endpoint = rated.Endpoint,
            Label = rated.Label,
            Quantity = DecimalText.Of(rated.Quantity),
            IncludedUnits = rated.Included == 0 ? null : DecimalText.Of(rated.Included),
            CreditedUnits = rated.Credited == 0 ? null : DecimalText.Of(rated.Credited),
            UnitAmount = rated.UnitAmount is { } unit && parts is null ? DecimalText.Of(unit) : null,
            Parts = parts,
            PreciseAmount = DecimalText.Of(rated.PreciseAmount),
            Amount = line.Amount.ToString(),
            Discount = summed.Off.MinorUnits == 0 ? null : summed.Off.ToString(),
            LineDiscount = summed.Discount.MinorUnits == 0 ? null : summed.Discount.ToString(),
            Tax = summed.Tax == Catalog.Tax.None ? null : summed.TaxAmount.ToString(),
            TaxRate = InvoiceTaxRate.Of(summed.Tax),
            OldQuantity = line.Adjusts is { } a ? DecimalText.Of(a.Old) : null,
            NewQuantity = line.Adjusts is { } b ? DecimalText.Of(b.New) : null,
            Proration = InvoiceProration.From(rated.Factor, bySecond),
            PeriodStart = Micros.ToText(Micros.Of(line.Period.Start)),
            PeriodEnd = Micros.ToText(Micros.Of(line.Period.End)),
        };
    }

    private static string Named(RatedLine rated) =>
        (string.IsNullOrEmpty(rated.Endpoint) ? rated.PriceName : rated.Endpoint)
        + (rated.Label is null ? "" : $", {rated.Label}");

    private static string Describe(DraftLine line, DateTimeZone zone, bool bySecond)
    {
        var rated = line.Rated;
        if (line.Adjusts is var (old, now))
            return $"{Named(rated)}, adjustment for {LocalDays.Of(line.Period, zone)}: " +
                $"{DecimalText.Of(old)} → {DecimalText.Counted(now, rated.Meter ?? "")}".TrimEnd();
        if (rated.Kind is LineKind.Maximum or LineKind.Minimum)
            return $"{rated.PriceName}, {(rated.Kind == LineKind.Maximum ? "down to the maximum" : "up to the minimum")}";
        if (rated.Meter is { } meter)
        {
            var included = rated.Included == 0 ? "" : $", {DecimalText.Of(rated.Included)} of them included";
            var credited = rated.Credited == 0 ? "" : $", {DecimalText.Of(rated.Credited)} paid with credit";
            return $"{Named(rated)}, {DecimalText.Counted(rated.Quantity, meter)}{included}{credited}";
        }

        var count = rated.Quantity == 1 ? "" : $" × {DecimalText.Of(rated.Quantity)}";
        var advance = line.IsCredit ? $", not used from {LocalDays.Of(line.Period, zone)}"
            : line.InAdvance ? $", in advance for {LocalDays.Of(line.Period, zone)}" : "";
        var part = rated.Factor.IsWhole ? ""
            : $", {rated.Factor.Days} of {rated.Factor.OfDays} {(bySecond ? "seconds" : "days")}";
        return rated.PriceName + count + advance + part;
    }
}

/// <summary>A part of a line, as a tier of it: what a customer can check by hand. Only the line is rounded.</summary>
/// <param name="Description">As <c>20 calls above 100 up to 200</c>.</param>
/// <param name="UnitAmount">None where the part is an amount of its own.</param>
public sealed record InvoiceLinePart(
    string Description, string Quantity,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? UnitAmount, string PreciseAmount)
{
    /// <summary>Null where quantity and unit amount of the line say it all.</summary>
    public static IReadOnlyList<InvoiceLinePart>? Of(RatedLine line)
    {
        if (line.Parts.Count == 0) return null;
        if (line.Parts is [{ Kind: PartKind.Units or PartKind.TierUnits } all] && all.PreciseAmount == line.PreciseAmount
            && all.Quantity == line.Quantity - line.Included - line.Credited) return null;
        return [.. line.Parts.Select(p => new InvoiceLinePart(p.Describe(line.Meter ?? ""), DecimalText.Of(p.Quantity),
            p.Kind is PartKind.Units or PartKind.TierUnits or PartKind.Packages or PartKind.Events
                ? DecimalText.Of(p.UnitAmount) : null,
            DecimalText.Of(p.PreciseAmount)))];
    }
}

/// <summary>Periods as people write them: the first and the last local day, both included.</summary>
internal static class LocalDays
{
    public static string Of(Period period, DateTimeZone zone)
    {
        var last = period.IsEmpty ? period.Start : period.End - Duration.Epsilon;
        return $"{Day(period.Start, zone)} to {Day(last, zone)}";
    }

    private static string Day(Instant at, DateTimeZone zone) => LocalDatePattern.Iso.Format(at.InZone(zone).Date);
}
