using NodaTime;

namespace Tollgate.Catalog;

/// <summary>What was used under one stretch of terms within a billing period.</summary>
/// <param name="Prices">With the quotas as the subscription has them.</param>
/// <param name="Part">The part of the period that the stretch is in force; none when it came and went.</param>
public sealed record UsedStretch(PlanVersion Prices, Proration Part, IReadOnlyCollection<Usage> Usage)
{
    /// <summary>Whose local time tells bands of the week.</summary>
    public DateTimeZone Zone { get; init; } = DateTimeZone.Utc;
}

/// <summary>A line of a period, and the stretches that it is over.</summary>
/// <param name="First">Index of the stretch whose price it is.</param>
/// <param name="Last">Index of the last stretch that left that price as it was.</param>
public sealed record PeriodLine(RatedLine Rated, PriceComponent Price, int First, int Last);

/// <summary>A price, and the stretches in which it stands as it is; their usage is priced together.</summary>
/// <param name="Stretches">Indices, rising.</param>
public sealed record PriceRun(PriceComponent Price, IReadOnlyList<int> Stretches);

/// <summary>What a price asks for the usage of its stretches, before its bounds.</summary>
/// <param name="Part">Of the period, in which it is in force.</param>
public sealed record PeriodPrice(PriceRun Run, IReadOnlyList<RatedLine> Lines, Proration Part, Currency Currency)
{
    /// <summary>The line that brings it down to its maximum or up to its minimum; null in between.</summary>
    /// <param name="charged">The sum of its lines, without what coupons of the price take off.</param>
    public RatedLine? Bound(Money charged) => Rating.Bound(Run.Price, charged, Part);
}

/// <summary>
/// Rates a billing period whose terms may have changed in it. A price that a new stretch leaves as it was goes on over
/// both: their usage fills its tiers together, and no flat amount is asked for twice. What is included is for the
/// period: a price that changed has left of it what the usage before did not consume.
/// </summary>
public static class PeriodRating
{
    /// <summary>Each price with its lines, and what keeps them between its bounds: without any discount.</summary>
    /// <param name="stretches">In order of time.</param>
    /// <param name="credit">Grants in units, in the order in which they are burnt; null for none.</param>
    public static IReadOnlyList<PeriodLine> Rate(
        IReadOnlyList<UsedStretch> stretches, IReadOnlyList<UnitGrant>? credit = null)
    {
        var lines = new List<PeriodLine>();
        foreach (var price in Prices(stretches, credit))
        {
            var bound = price.Bound(price.Lines.Aggregate(
                Money.Zero(price.Currency), (sum, line) => sum + line.Amount(price.Currency)));
            lines.AddRange((bound is null ? price.Lines : price.Lines.Append(bound))
                .Select(line => new PeriodLine(line, price.Run.Price, price.Run.Stretches[0], price.Run.Stretches[^1])));
        }

        return lines;
    }

    /// <summary>What each price asks for its usage. Its bounds come after the discounts of its lines.</summary>
    /// <param name="stretches">In order of time.</param>
    /// <param name="credit">Grants in units, in the order in which they are burnt; null for none.</param>
    public static IReadOnlyList<PeriodPrice> Prices(
        IReadOnlyList<UsedStretch> stretches, IReadOnlyList<UnitGrant>? credit = null)
    {
        var consumed = new Dictionary<string, decimal>(StringComparer.Ordinal);
        // a plan of many prices looks at the usage of each meter once
        var usage = stretches.Select(s => s.Usage.ToLookup(u => u.Meter, StringComparer.Ordinal)).ToArray();
        var asked = Runs([.. stretches.Select(s => s.Prices)])
            .Select(run => Ask(run, stretches, [.. run.Stretches.SelectMany(i => usage[i][run.Price.Meter!])], consumed))
            .OfType<Asked>().ToArray();
        if (credit is { Count: > 0 })
        {
            UnitCredit.Burn(Array.ConvertAll(asked, a => a.Of), credit);
            for (var i = 0; i < asked.Length; i++)
                asked[i] = asked[i] with { Lines = Rating.Rate(asked[i].Of, stretches[asked[i].Run.Stretches[0]].Zone) };
        }

        return Array.ConvertAll(asked, a => new PeriodPrice(a.Run, a.Lines, a.Part, a.Currency));
    }

    /// <summary>The metered prices of stretches that follow each other, each with those in which it stands unchanged.
    /// </summary>
    public static IEnumerable<PriceRun> Runs(IReadOnlyList<PlanVersion> stretches)
    {
        var done = new HashSet<(int Stretch, string Price)>();
        for (var first = 0; first < stretches.Count; first++)
            foreach (var price in stretches[first].Prices)
            {
                if (price.Meter is null || done.Contains((first, price.Name))) continue;
                int[] with = [.. Enumerable.Range(first, stretches.Count - first)
                    .Where(i => i == first || Continues(stretches[first], price, stretches[i]))];
                foreach (var i in with) done.Add((i, price.Name));
                yield return new PriceRun(price, with);
            }
    }

    private static bool Continues(PlanVersion plan, PriceComponent price, PlanVersion later) =>
        plan.Currency == later.Currency && later.Prices.Any(p => p.Equals(price));

    /// <summary>What a price asks for all of its stretches, before any credit; null when it is not asked at all.</summary>
    private static Asked? Ask(
        PriceRun run, IReadOnlyList<UsedStretch> all, Usage[] used, Dictionary<string, decimal> consumed)
    {
        var price = run.Price;
        UsedStretch[] stretches = [.. run.Stretches.Select(i => all[i])];
        UsedStretch[] inForce = [.. stretches.Where(s => s.Part.Days > 0)];
        var usage = UsageOf(run, used);
        // terms that came and went without time enter no tier, unless a call was stamped with them
        if (inForce.Length == 0
            && !usage.Any(u => u.Quantity != 0 && price.Covers(u, stretches[0].Zone)))
            return null;
        var part = inForce.Length == 0 ? stretches[0].Part
            : inForce[0].Part with { Days = inForce.Sum(s => s.Part.Days) };
        var plan = (inForce.Length > 0 ? inForce[^1] : stretches[^1]).Prices;
        var (key, allowance) = price.Price.IncludedFromQuota
            ? plan.QuotaOf(price) is { } quota ? ("quota " + quota.Name, quota.Allowance) : ("", 0)
            : ("price " + price.Name, price.Price.Included);
        // a part of the allowance belongs to its part of the period
        if (price.Price.ProratesAllowance) (key, allowance) = ($"{key} {run.Stretches[0]}", part.Of(allowance));
        var before = consumed.GetValueOrDefault(key);
        var zone = stretches[0].Zone;
        var of = new Beyond(price, UsageGroups.InOrder(price, usage, zone), Math.Max(0, allowance - before));
        var lines = Rating.Rate(of, zone);
        consumed[key] = before + lines.Sum(l => l.Included);
        return new Asked(run, of, lines, part, plan.Currency);
    }

    private sealed record Asked(
        PriceRun Run, Beyond Of, IReadOnlyList<RatedLine> Lines, Proration Part, Currency Currency);

    /// <summary>What was used of its meter in all stretches of a price. Of a meter that does not add up it is the one number
    /// over them; numbers of single stretches tell nothing then.</summary>
    private static IEnumerable<Usage> UsageOf(PriceRun run, Usage[] usage)
    {
        Usage[] whole = [.. usage.Where(u => u.Over is not null)];
        if (whole.Length == 0) return usage;
        var over = whole.Where(u => u.Over!.SequenceEqual(run.Stretches)).ToArray();
        // one stretch has used it, or nobody put the numbers together: the largest is asked for, and nothing twice
        return over.Length > 0 ? over[..1] : [whole.MaxBy(u => u.Quantity)];
    }
}
