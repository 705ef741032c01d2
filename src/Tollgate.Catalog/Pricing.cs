using System.Globalization;

namespace Tollgate.Catalog;

/// <summary>What a part of a line asks for.</summary>
public enum PartKind : byte
{
    Included, Units, TierUnits, TierFlat, Fee, Packages, Share, Events, EventBounds, BilledBefore, Rounding, Maximum, Minimum,
}

/// <summary>A part of a line, as a tier of it: what a customer can check by hand.</summary>
/// <param name="PreciseAmount">Before rounding; the line is rounded, its parts are not.</param>
public readonly record struct LinePart(PartKind Kind, decimal Quantity, decimal UnitAmount, decimal PreciseAmount)
{
    /// <summary>The tier, exclusive; or the size of a package.</summary>
    public decimal Above { get; init; }

    /// <summary>The tier, inclusive; null when it is open.</summary>
    public decimal? UpTo { get; init; }

    /// <summary>For people, as "20 calls above 100 up to 200".</summary>
    /// <param name="unit">What is counted, in the plural.</param>
    public string Describe(string unit) => Kind switch
    {
        PartKind.Units => $"{Text(Quantity)} {unit}",
        PartKind.TierUnits => $"{Text(Quantity)} {unit}{Tier}",
        PartKind.TierFlat => $"flat amount{Tier}",
        PartKind.Fee => "fee",
        PartKind.Packages => $"{Text(Quantity)} {(Quantity == 1 ? "package" : "packages")} of {Text(Above)}",
        PartKind.Share => $"{Text(UnitAmount * 100)} % of {Text(Quantity)}",
        PartKind.Events => $"{Text(Quantity)} {(Quantity == 1 ? "event" : "events")}",
        PartKind.EventBounds => "minimum and maximum of an event",
        PartKind.Included => $"{Text(Quantity)} {unit} included",
        PartKind.Rounding => "rounded once over all parts",
        PartKind.Maximum => "down to the maximum",
        PartKind.Minimum => "up to the minimum",
        _ => "billed before",
    };

    private string Tier => (Above, UpTo) switch
    {
        (0, null) => "",
        (0, { } upTo) => $" up to {Text(upTo)}",
        (var above, null) => $" above {Text(above)}",
        (var above, { } upTo) => $" above {Text(above)} up to {Text(upTo)}",
    };

    private static string Text(decimal number) =>
        number.ToString("0.############################", CultureInfo.InvariantCulture);
}

/// <summary>A quantity as a fraction, so that a conversion by thirds loses nothing before the amount is there.</summary>
internal readonly record struct Measure(decimal Numerator, decimal Divisor)
{
    public static Measure Of(decimal quantity) => new(quantity, 1);

    /// <summary>A bound of the price document in the unit of the numerator.</summary>
    public decimal Scaled(decimal bound) => Divisor == 1 ? bound : Exact.Multiply(bound, Divisor);

    /// <summary>To 28 digits when it has no last one.</summary>
    public decimal Quantity => Divisor == 1 ? Numerator : Numerator / Divisor;

    /// <summary>Whether <see cref="Quantity"/> is all of it.</summary>
    public bool IsExact => Exact.IsQuotient(Quantity, Numerator, Divisor);
}

/// <summary>
/// Parts as they come: summed, and kept when somebody wants to see them. Amounts of divided units are summed before they
/// are divided: three thirds are one.
/// </summary>
internal struct PartSum(List<LinePart>? kept)
{
    private decimal _whole, _numerator, _divisor = 1;

    /// <summary>Exact, unless units were divided into parts that have no last digit: then to 28 digits.</summary>
    public readonly decimal Sum => _divisor == 1
        ? _whole
        : Numerator / _divisor;

    /// <summary>Whether <see cref="Sum"/> is all of it.</summary>
    public readonly bool IsExact => _divisor == 1 || Exact.IsQuotient(Sum, Numerator, _divisor);

    private readonly decimal Numerator => Exact.Add(Exact.Multiply(_whole, _divisor), _numerator);

    public void Add(LinePart part)
    {
        _whole = Exact.Add(_whole, part.PreciseAmount);
        kept?.Add(part);
    }

    /// <summary>Units at an amount for each.</summary>
    public void Add(PartKind kind, Measure units, decimal unitAmount, decimal above = 0, decimal? upTo = null)
    {
        var numerator = Exact.Multiply(units.Numerator, unitAmount);
        if (units.Divisor == 1) _whole = Exact.Add(_whole, numerator);
        else (_numerator, _divisor) = (Exact.Add(_numerator, numerator), units.Divisor);
        kept?.Add(new LinePart(kind, units.Quantity, unitAmount, numerator / units.Divisor) { Above = above, UpTo = upTo });
    }

    public void TakeOff(PartSum earlier)
    {
        _whole = Exact.Subtract(_whole, earlier._whole);
        if (earlier._divisor != 1)
            (_numerator, _divisor) = (Exact.Subtract(_numerator, earlier._numerator), earlier._divisor);
        if (earlier.Sum is not 0m and var sum) kept?.Add(new LinePart(PartKind.BilledBefore, 1, -sum, -sum));
    }
}

/// <summary>
/// The arithmetic of the price models (money.md 3 and 4), exact. A quantity comes converted and without what is
/// included. With a quantity that was billed before, the price continues where it left off: the slices of a period
/// sum to the whole, and no flat amount is asked for twice.
/// </summary>
internal static class Pricing
{
    private static readonly decimal[] s_steps =
        [.. Enumerable.Range(0, Conversion.MostDecimals + 1).Select(digits => new decimal(1, 0, 0, false, (byte)digits))];

    /// <summary>Counted units as the model prices them: converted, and what is included taken off.</summary>
    public static Measure Billable(Price price, decimal quantity, decimal included)
    {
        var measure = Converted(price.Convert, quantity);
        if (included == 0) return measure;
        var left = Exact.Subtract(measure.Numerator, measure.Scaled(included));
        return measure with { Numerator = Math.Max(0, left) };
    }

    /// <summary>Each event converted, and the first of their value taken as included.</summary>
    /// <param name="price">What is asked.</param>
    /// <param name="events">In order of time.</param>
    /// <param name="included">Then what is left of it.</param>
    /// <param name="taken">How many of the events there are up to the last that it was taken from.</param>
    public static List<decimal> BillableEvents(
        Price.Percentage price, IReadOnlyList<decimal> events, ref decimal included, out int taken)
    {
        var billable = new List<decimal>(events.Count);
        taken = 0;
        for (var i = 0; i < events.Count; i++)
        {
            var converted = Converted(price.Convert, events[i]);
            // an event without a last digit is as fine as the finest meter
            var whole = converted.IsExact ? converted.Quantity : decimal.Round(converted.Quantity, 9);
            var free = Math.Min(whole, included);
            included -= free;
            if (free > 0) taken = i + 1;
            if (free < whole || free == 0) billable.Add(whole - free);
        }

        return billable;
    }

    public static Measure Converted(Conversion? conversion, decimal quantity)
    {
        if (conversion is null) return Measure.Of(quantity);
        var measure = conversion.Divides
            ? new Measure(quantity, conversion.Factor)
            : Measure.Of(Exact.Multiply(quantity, conversion.Factor));
        if (conversion.Round == UnitRounding.None) return measure;
        // in steps of the last digit that stays
        var step = s_steps[conversion.Decimals];
        var divisor = Exact.Multiply(measure.Divisor, step);
        var whole = Exact.Divide(measure.Numerator, divisor, out var rest);
        var goesUp = conversion.Round switch
        {
            UnitRounding.Up => rest > 0,
            UnitRounding.Nearest => Exact.Multiply(rest, 2) >= divisor,
            _ => false,
        };
        return Measure.Of(Exact.Multiply(goesUp ? whole + 1 : whole, step));
    }

    /// <param name="before">What was billed before in this period; null when this is its first bill.</param>
    public static void Rate(Price price, Measure quantity, Measure? before, ref PartSum parts)
    {
        switch (price)
        {
            case Price.Flat flat:
                if (before is null && (quantity.Numerator > 0 || flat.BillsZeroUsage))
                    parts.Add(new LinePart(PartKind.Fee, 1, flat.Amount, flat.Amount));
                break;
            case Price.PerUnit perUnit:
                Units(perUnit.UnitAmount, quantity, before?.Numerator ?? 0, ref parts);
                break;
            case Price.Graduated graduated:
                Graduated(graduated, quantity, before, ref parts);
                break;
            case Price.Volume volume:
                Held(volume.Tiers, volume.BillsZeroUsage, quantity, before, ref parts);
                break;
            case Price.Stairstep stairstep:
                Held(stairstep.Tiers, stairstep.BillsZeroUsage, quantity, before, ref parts);
                break;
            case Price.Package package:
                var count = Packages(package, quantity) - (before is { } b ? Packages(package, b) : 0);
                if (count == 0) break;
                parts.Add(new LinePart(PartKind.Packages, count, package.Amount, Exact.Multiply(count, package.Amount))
                {
                    Above = package.Size,
                });
                break;
            case Price.Percentage percentage:
                Share(percentage, quantity, before, ref parts);
                break;
            default:
                throw new InvalidOperationException($"The price model {price.GetType().Name} has no arithmetic.");
        }
    }

    private static void Units(decimal unitAmount, Measure quantity, decimal before, ref PartSum parts)
    {
        var units = Exact.Subtract(quantity.Numerator, before);
        if (units == 0) return;
        parts.Add(PartKind.Units, quantity with { Numerator = units }, unitAmount);
    }

    private static void Graduated(Price.Graduated price, Measure quantity, Measure? before, ref PartSum parts)
    {
        decimal lower = 0, above = 0;
        foreach (var tier in price.Tiers)
        {
            var first = above == 0;
            if (!(quantity.Numerator > lower || (first && price.BillsZeroUsage))) return;
            var entered = before is { } b && (b.Numerator > lower || (first && price.BillsZeroUsage));
            var upper = tier.UpTo is { } bound ? quantity.Scaled(bound) : decimal.MaxValue;
            var from = Math.Max(lower, before?.Numerator ?? 0);
            var units = Math.Min(quantity.Numerator, upper) - from;
            if (units > 0 && tier.UnitAmount is { } unitAmount)
                parts.Add(PartKind.TierUnits, quantity with { Numerator = units }, unitAmount, above, tier.UpTo);
            if (!entered) TierFlat(tier, above, ref parts);
            (lower, above) = (upper, tier.UpTo ?? above);
        }
    }

    /// <summary>Volume and stairstep: the tier that holds the total decides for all of it.</summary>
    private static void Held(
        IReadOnlyList<Tier> tiers, bool billsZero, Measure quantity, Measure? before, ref PartSum parts)
    {
        var tier = HeldBy(tiers, quantity, out var above);
        if (quantity.Numerator > 0 && tier.UnitAmount is { } unitAmount)
            parts.Add(PartKind.TierUnits, quantity, unitAmount, above, tier.UpTo);
        if (quantity.Numerator > 0 || billsZero) TierFlat(tier, above, ref parts);
        if (before is not { } billed) return;
        var earlier = new PartSum(null);
        Held(tiers, billsZero, billed, null, ref earlier);
        parts.TakeOff(earlier);
    }

    private static Tier HeldBy(IReadOnlyList<Tier> tiers, Measure quantity, out decimal above)
    {
        above = 0;
        foreach (var tier in tiers)
        {
            if (tier.UpTo is not { } bound || quantity.Numerator <= quantity.Scaled(bound)) return tier;
            above = bound;
        }

        throw new InvalidOperationException("The last tier is closed: it was never read from a price document.");
    }

    private static void TierFlat(Tier tier, decimal above, ref PartSum parts)
    {
        if (tier.FlatAmount == 0) return;
        parts.Add(new LinePart(PartKind.TierFlat, 1, tier.FlatAmount, tier.FlatAmount)
        {
            Above = above,
            UpTo = tier.UpTo,
        });
    }

    private static decimal Packages(Price.Package price, Measure quantity)
    {
        var units = Math.Max(0, Exact.Subtract(quantity.Numerator, quantity.Scaled(price.Free)));
        var full = Exact.Divide(units, quantity.Scaled(price.Size), out var rest);
        return rest > 0 && !price.RoundsDown ? full + 1 : full;
    }

    /// <summary>A share of a value whose events are not known, or do not matter.</summary>
    private static void Share(Price.Percentage price, Measure value, Measure? before, ref PartSum parts)
    {
        if (price.LooksAtEvents)
        {
            if (before is not null)
                throw new InvalidOperationException("Prices that look at single events are not rated in slices.");
            if (value.Numerator > 0) Events(price, [value.Quantity], ref parts);
            return;
        }

        var free = price.FreeEvents == 0 ? 0 : value.Scaled(price.FreeAmount ?? 0);
        var charged = Exact.Subtract(
            Math.Max(0, Exact.Subtract(value.Numerator, free)),
            Math.Max(0, Exact.Subtract(before?.Numerator ?? 0, free)));
        if (charged == 0) return;
        parts.Add(PartKind.Share, value with { Numerator = charged }, Exact.Multiply(price.Rate, 0.01m));
    }

    /// <summary>
    /// Event by event, in their order: what is free is used up by the number of events or by their value, whichever
    /// comes first; the event in which the free value ends is charged for what is above it. An event that is free as
    /// a whole costs nothing, any other is held between the bounds after its fixed part is added.
    /// </summary>
    /// <returns>How many events took from what is free.</returns>
    public static int Events(Price.Percentage price, IEnumerable<decimal> values, ref PartSum parts)
    {
        var share = Exact.Multiply(price.Rate, 0.01m);
        var (freeEvents, freeAmount) = (price.FreeEvents, price.FreeAmount);
        var anyFree = (freeEvents ?? freeAmount) is not null && freeEvents is not 0 && freeAmount is not 0;
        decimal count = 0, charged = 0, moved = 0;
        var taken = 0;
        foreach (var value in values)
        {
            var free = !anyFree ? 0 : Math.Min(value, freeAmount ?? value);
            if (anyFree)
            {
                taken++;
                freeAmount -= free;
                freeEvents--;
                // an event that fits exactly uses the value up, and the next one is charged
                anyFree = freeAmount is not 0 && freeEvents is not 0;
                if (free == value) continue;
            }

            var charge = Exact.Add(Exact.Multiply(value - free, share), price.Fixed);
            var held = Math.Max(charge, price.MinimumPerEvent ?? charge);
            held = Math.Min(held, price.MaximumPerEvent ?? held);
            charged = Exact.Add(charged, value - free);
            moved = Exact.Add(moved, held - charge);
            count++;
        }

        if (charged > 0)
            parts.Add(new LinePart(PartKind.Share, charged, share, Exact.Multiply(charged, share)));
        if (count > 0 && price.Fixed > 0)
            parts.Add(new LinePart(PartKind.Events, count, price.Fixed, Exact.Multiply(count, price.Fixed)));
        if (moved != 0) parts.Add(new LinePart(PartKind.EventBounds, 1, moved, moved));
        return taken;
    }
}
