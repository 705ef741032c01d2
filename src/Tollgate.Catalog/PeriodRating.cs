namespace Tollgate.Catalog;

/// <summary>What was used under one stretch of terms within a billing period.</summary>
/// <param name="Prices">With the quotas as the subscription has them.</param>
/// <param name="Part">The part of the period that the stretch is in force; none when it came and went.</param>
public sealed record UsedStretch(PlanVersion Prices, Proration Part, IReadOnlyCollection<Usage> Usage);

/// <summary>A line of a period, and the stretches that it is over.</summary>
/// <param name="First">Index of the stretch whose price it is.</param>
/// <param name="Last">Index of the last stretch that left that price as it was.</param>
public sealed record PeriodLine(RatedLine Rated, PriceComponent Price, int First, int Last);

/// <summary>
/// Rates a billing period whose terms may have changed in it. A price that a new stretch leaves as it was goes on over
/// both: their usage fills its tiers together, and no flat amount is asked for twice. What is included is for the
/// period: a price that changed has left of it what the usage before did not consume.
/// </summary>
public static class PeriodRating
{
    /// <param name="stretches">In order of time.</param>
    /// <param name="withBounds">False when discounts come before minimum and maximum: then <see cref="InvoiceSum"/>
    /// adds them.</param>
    public static IReadOnlyList<PeriodLine> Rate(IReadOnlyList<UsedStretch> stretches, bool withBounds = true)
    {
        var lines = new List<PeriodLine>();
        var consumed = new Dictionary<string, decimal>(StringComparer.Ordinal);
        var done = new HashSet<(int Stretch, string Price)>();
        for (var first = 0; first < stretches.Count; first++)
        {
            foreach (var price in stretches[first].Prices.Prices)
            {
                if (price.Meter is null || done.Contains((first, price.Name))) continue;
                int[] with = [.. Enumerable.Range(first, stretches.Count - first)
                    .Where(i => i == first || Continues(stretches[first].Prices, price, stretches[i].Prices))];
                foreach (var i in with) done.Add((i, price.Name));
                lines.AddRange(RateOne(price, [.. with.Select(i => stretches[i])], consumed, withBounds)
                    .Select(line => new PeriodLine(line, price, first, with[^1])));
            }
        }

        return lines;
    }

    private static bool Continues(PlanVersion plan, PriceComponent price, PlanVersion later) =>
        plan.Currency == later.Currency && later.Prices.Any(p => p.Equals(price));

    private static IEnumerable<RatedLine> RateOne(
        PriceComponent price, UsedStretch[] stretches, Dictionary<string, decimal> consumed, bool withBounds)
    {
        UsedStretch[] inForce = [.. stretches.Where(s => s.Part.Days > 0)];
        var usage = stretches.SelectMany(s => s.Usage);
        // terms that came and went without time enter no tier, unless a call was stamped with them
        if (inForce.Length == 0 && !usage.Any(u => u.Quantity != 0 && u.Meter == price.Meter && price.Covers(u.Operation)))
            return [];
        var part = inForce.Length == 0 ? stretches[0].Part
            : inForce[0].Part with { Days = inForce.Sum(s => s.Part.Days) };
        var plan = stretches[^1].Prices;
        var (key, allowance) = price.Price.IncludedFromQuota
            ? plan.QuotaOf(price) is { } quota ? ("quota " + quota.Name, quota.Allowance) : ("", 0)
            : ("price " + price.Name, price.Price.Included);
        if (price.Price.ProratesAllowance) allowance = part.Of(allowance);
        var before = consumed.GetValueOrDefault(key);
        var lines = Rating.Rate(price, usage, Math.Max(0, allowance - before)).ToList();
        consumed[key] = before + lines.Sum(l => l.Included);
        var charged = lines.Aggregate(Money.Zero(plan.Currency), (sum, line) => sum + line.Amount(plan.Currency));
        if (withBounds && Rating.Bound(price, charged, part) is { } bound) lines.Add(bound);
        return lines;
    }
}
