using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>What the terms of a plan mean together. Checked whenever a version is published, whoever publishes it.
/// </summary>
public static class PlanChecks
{
    /// <summary>What would bill something that nobody means; each names the field below the plan.</summary>
    /// <param name="currency">Code of the currency of <paramref name="prices"/>.</param>
    public static IEnumerable<Problem> Faults(
        IReadOnlyList<PriceComponent> prices, IReadOnlyList<Quota> quotas, PlanTerms terms, string currency)
    {
        foreach (var fault in Conversions(prices, terms)) yield return fault;
        foreach (var fault in Included(prices, quotas, "prices")) yield return fault;
        foreach (var (code, others) in terms.Currencies)
        {
            var at = $"currencies.{code}";
            if (code == currency)
                yield return new Problem(Code.BadValue, $"{code} is the currency of the plan's own prices: they stand under " +
                    "'prices'.", at);
            foreach (var fault in SameNames(prices, others, at)) yield return fault;
            foreach (var fault in Included(others, quotas, at)) yield return fault;
        }

        foreach (var fault in Phases(prices, quotas, terms)) yield return fault;
        foreach (var (name, feature) in terms.Features)
            if (feature.Quota is { } quota && quotas.All(q => q.Name != quota))
                yield return new Problem(Code.NoQuota, NoSuchQuota(quota, quotas), $"features.{name}.quota");
    }

    /// <summary>What is allowed, and may not be meant.</summary>
    public static IEnumerable<Problem> Warnings(IReadOnlyList<PriceComponent> prices) =>
        Warnings(prices, PlanTerms.None);

    /// <summary>The same of all prices that the plan has, in its currencies and phases.</summary>
    public static IEnumerable<Problem> Warnings(IReadOnlyList<PriceComponent> prices, PlanTerms terms)
    {
        return from list in Lists(prices, terms, (_, phase) => $"phases.{phase.Name}")
               from price in list.Prices
               from cliff in PriceCliff.Of(price)
               select new Problem(Code.PriceCliff, cliff.ToString(), $"{list.At}.{price.Name}");
    }

    /// <summary>What an amount without a last digit would come of (money.md 1).</summary>
    /// <param name="divisor">Of the conversion.</param>
    public static string NoLastDigit(decimal divisor) => $"Units divided by {PriceWriter.Text(divisor)} may have no last digit, " +
        "and no amount is cut. Give 'round' as up, down or half, with 'decimals' for parts of a unit.";

    /// <summary>Conversions that may leave an amount without a last digit.</summary>
    public static IEnumerable<Problem> Conversions(IReadOnlyList<PriceComponent> prices, PlanTerms terms) =>
        from list in Lists(prices, terms, (at, _) => $"phases[{at}]")
        from price in list.Prices
        where price.Price.Convert is { ComesOutEven: false }
        select new Problem(Code.TooManyDigits, NoLastDigit(price.Price.Convert!.Factor), $"{list.At}.{price.Name}.convert");

    /// <summary>All prices of a plan, and the fields in which they stand.</summary>
    private static IEnumerable<(string At, IReadOnlyList<PriceComponent> Prices)> Lists(
        IReadOnlyList<PriceComponent> prices, PlanTerms terms, Func<int, PlanPhase, string> nameOf) =>
        terms.Currencies.Select(c => ($"currencies.{c.Key}", c.Value))
            .Concat(terms.Phases.Select((p, i) => (Phase: p, At: nameOf(i, p))).SelectMany(p => p.Phase.Currencies
                .Select(c => ($"{p.At}.currencies.{c.Key}", c.Value)).Prepend(($"{p.At}.prices", p.Phase.Prices))))
            .Prepend(("prices", prices));

    private static IEnumerable<Problem> Included(
        IReadOnlyList<PriceComponent> prices, IReadOnlyList<Quota> quotas, string at)
    {
        foreach (var price in prices.Where(p => p.Price.IncludedFromQuota))
        {
            Quota[] on = [.. quotas.Where(q => q.IsOn(price))];
            var field = $"{at}.{price.Name}.included";
            if (on.Length != 1)
                yield return new Problem(Code.NoQuota, on.Length == 0
                    ? "There is no quota to include from: the plan needs one with the same meter and the same 'where' " +
                        "as this price, in each billing period. Add it, or write a number."
                    : "There are several quotas on this usage, so which allowance is meant is open. Write a number.", field);
            else if (on[0].Per.Unit is Interval.Day or Interval.Week)
                yield return new Problem(Code.NoQuota, $"The quota is per {on[0].Per}, and what a price includes is for " +
                    "a billing period. Write 'per: period' there, or a number here.", field);
        }
    }

    private static IEnumerable<Problem> Phases(
        IReadOnlyList<PriceComponent> prices, IReadOnlyList<Quota> quotas, PlanTerms terms)
    {
        for (var i = 0; i < terms.Phases.Count; i++)
        {
            var (phase, at) = (terms.Phases[i], $"phases[{i}]");
            foreach (var fault in Included(phase.Prices, quotas, $"{at}.prices")) yield return fault;
            foreach (var name in phase.Allowances.Keys.Where(n => quotas.All(q => q.Name != n)))
                yield return new Problem(Code.NoQuota, NoSuchQuota(name, quotas), $"{at}.allowances.{name}");
            // a price of the ramp in one currency only would be free, or the full one, in the others
            foreach (var code in phase.Prices.Count == 0 ? [] : terms.Currencies.Keys)
                if (!phase.Currencies.ContainsKey(code))
                    yield return new Problem(Code.MissingField, $"The plan is sold in {code} too: this phase needs its " +
                        "prices in it.", $"{at}.currencies.{code}");
            foreach (var (code, others) in phase.Currencies)
            {
                if (!terms.Currencies.ContainsKey(code))
                    yield return new Problem(Code.BadValue, $"The plan is not sold in {code}.", $"{at}.currencies.{code}");
                foreach (var fault in SameNames(phase.Prices, others, $"{at}.currencies.{code}")) yield return fault;
                foreach (var fault in Included(others, quotas, $"{at}.currencies.{code}")) yield return fault;
            }
        }
    }

    private static IEnumerable<Problem> SameNames(
        IReadOnlyList<PriceComponent> prices, IReadOnlyList<PriceComponent> others, string at)
    {
        foreach (var price in prices.Where(p => others.All(o => o.Name != p.Name)))
            yield return new Problem(Code.MissingField, $"The price '{price.Name}' is missing here: a customer who pays in " +
                "this currency would have it for nothing. Add it.", at);
        foreach (var other in others.Where(o => prices.All(p => p.Name != o.Name)))
            yield return new Problem(Code.BadValue, $"There is no price '{other.Name}' in the plan's own currency.",
                $"{at}.{other.Name}");
        foreach (var other in others)
            if (prices.FirstOrDefault(p => p.Name == other.Name) is { } price
                && (price.Meter != other.Meter || !price.CoversLike(other)))
                yield return new Problem(Code.BadValue, $"The price '{other.Name}' is for other usage here than in the " +
                    "plan's own currency.", $"{at}.{other.Name}");
    }

    private static string NoSuchQuota(string name, IReadOnlyList<Quota> quotas) =>
        $"The plan has no quota {Quote.Of(name)}; " +
        (quotas.Count == 0 ? "it has none." : $"known are {Names.List([.. quotas.Select(q => q.Name)])}.");
}
