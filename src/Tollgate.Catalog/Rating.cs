namespace Tollgate.Catalog;

/// <summary>A quantity of an operation within the stretch that is rated.</summary>
/// <param name="Quantity">Billable units, exact.</param>
public readonly record struct Usage(string Meter, string Operation, decimal Quantity)
{
    /// <summary>The path template that the line shows; two APIs may have an operation of one name.</summary>
    public string Endpoint { get; init; } = Operation;
}

/// <summary>A line before it is rounded and stands on an invoice.</summary>
/// <param name="PriceName">The price that asks for it.</param>
/// <param name="Usage">What was used; none for a flat price.</param>
/// <param name="PreciseAmount">Before rounding.</param>
/// <param name="Factor">The part of the period that the terms cover, for prorated lines; else 1.</param>
public sealed record RatedLine(
    string PriceName, Usage? Usage, decimal UnitAmount, decimal PreciseAmount, Proration Factor)
{
    /// <summary>Units used; a flat price is for one.</summary>
    public decimal Quantity => Usage?.Quantity ?? 1;
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
    /// <summary>The metered lines of a plan version: one for each price and operation with usage, in the order of the
    /// prices and then of the operations' names.</summary>
    public static IEnumerable<RatedLine> RateUsage(PlanVersion plan, IEnumerable<Usage> usage)
    {
        var used = usage.Where(u => u.Quantity != 0).OrderBy(u => u.Operation, StringComparer.Ordinal)
            .ThenBy(u => u.Endpoint, StringComparer.Ordinal).ToArray();
        foreach (var price in plan.Prices)
        {
            if (price.Price is not Price.PerUnit perUnit) continue;
            foreach (var u in used)
            {
                if (u.Meter != price.Meter || !price.Covers(u.Operation)) continue;
                yield return new RatedLine(
                    price.Name, u, perUnit.UnitAmount, u.Quantity * perUnit.UnitAmount, Proration.Whole);
            }
        }
    }

    /// <summary>The base fees of a plan version that fall due in this way, for the given part of a period.</summary>
    public static IEnumerable<RatedLine> RateFlat(PlanVersion plan, BillingTiming timing, Proration part)
    {
        foreach (var price in plan.Prices)
        {
            if (price.Price is Price.Flat flat && flat.In == timing)
                yield return new RatedLine(price.Name, null, flat.Amount, part.Of(flat.Amount), part);
        }
    }
}
