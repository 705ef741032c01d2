using Tollgate.Catalog;
using Interval = Tollgate.Catalog.Interval;

namespace Tollgate.Billing;

/// <summary>
/// An allowance is one number: what the gate admits in a window and what the invoice includes in a period. So a price
/// that includes it needs a window as long as the period, and a subscription to such a plan is billed by that.
/// </summary>
internal static class QuotaPeriods
{
    /// <summary>What keeps a subscription of this interval from these terms; null when nothing does.</summary>
    public static Problem? Refuse(PlanVersion plan, Interval interval) => Refuse(plan.Prices, plan.Quotas, interval);

    /// <summary>The same of a version that is not published yet.</summary>
    public static Problem? Refuse(IReadOnlyList<PriceComponent> prices, IReadOnlyList<Quota> quotas, Interval interval)
    {
        foreach (var price in prices)
        {
            if (!price.Price.IncludedFromQuota
                || quotas.FirstOrDefault(q => q.IsOn(price)) is not { Per.Unit: { } unit } quota) continue;
            if (unit == interval) continue;
            return new Problem("quota_period_differs", $"The price '{price.Name}' includes what the quota '{quota.Name}' " +
                $"allows per {unit.ToText()}, and this subscription is billed by the {interval.ToText()}: bill it by the " +
                $"{unit.ToText()}, write 'per: period' at the quota, or a number at the price.", "interval");
        }

        return null;
    }
}
