using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>What the terms of a plan mean together. Checked whenever a version is published, whoever publishes it.
/// </summary>
public static class PlanChecks
{
    /// <summary>What would bill something that nobody means; each names the field below the plan.</summary>
    public static IEnumerable<Problem> Faults(IReadOnlyList<PriceComponent> prices, IReadOnlyList<Quota> quotas)
    {
        foreach (var price in prices.Where(p => p.Price.IncludedFromQuota))
        {
            Quota[] on = [.. quotas.Where(q => q.IsOn(price))];
            var field = $"prices.{price.Name}.included";
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

    /// <summary>What is allowed, and may not be meant.</summary>
    public static IEnumerable<Problem> Warnings(IReadOnlyList<PriceComponent> prices) =>
        from price in prices
        from cliff in PriceCliff.Of(price.Price)
        select new Problem(Code.PriceCliff, cliff.ToString(), $"prices.{price.Name}");
}
