using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>
/// Begins to count a quota in the middle of its window: an upgrade to a plan with another quota, or a new override. What
/// the subscription used before is asked of the store, so nobody gets a second allowance by changing the plan. The
/// quota is counted from its first moment on; it is in force when the entitlement is.
/// </summary>
internal sealed class QuotaSeeding(Database database, Func<Task> catchUp, GateSnapshot snapshot, long now)
{
    /// <summary>Then the last answer counts: at most what ended while it was asked is counted twice.</summary>
    private const int MostTries = 5;

    private readonly List<(Pool Pool, BoundTerms Bound)> _seeded = [];

    /// <summary>Each in its pool.</summary>
    public async Task SeedAsync(IReadOnlyList<EntitlementEntry> entries)
    {
        foreach (var entry in entries)
            if (await SeedAsync(entry) is { } bound) _seeded.Add((entry.Holder.Pool, bound));
    }

    /// <summary>The pools forget what is long past. Not before the entitlements are in force: calls go by those before until
    /// then, and a quota that is forgotten while they do would count none of them.</summary>
    public void Forget()
    {
        foreach (var of in _seeded.GroupBy(b => b.Pool)) of.Key.Forget([.. of.Select(b => b.Bound)]);
    }

    private async Task<BoundTerms?> SeedAsync(EntitlementEntry entry)
    {
        if (entry.Source.EndAt <= now || snapshot.FindPlan(entry.PlanId) is not { } plan) return null;
        var terms = snapshot.TermsOf(plan, entry.Source);
        if (terms.Quotas.Length == 0) return null;
        var pool = entry.Holder.Pool;
        var fresh = Array.FindAll(terms.Quotas, q => !pool.Counts(q));
        var bound = pool.Bind(terms, entry.Source, now);
        for (var tries = 1; fresh.Length > 0; tries++)
        {
            var settlements = pool.Settlements;
            await catchUp();
            var known = new List<(CompiledQuota Quota, long Start, long Units)>();
            foreach (var quota in fresh)
            {
                var (start, end) = pool.WindowOf(quota);
                var units = await database.ReadAsync(
                    db => LimitHistory.UnitsAsync(db, start, end, [quota.MeterKey], entry.SubscriptionId));
                known.Add((quota, start, units.Where(u => quota.Covers(u.Meter, u.Operation)).Sum(u => u.Units)));
            }

            if (pool.TryRestore(known, settlements, force: tries == MostTries)) break;
        }

        return bound;
    }
}
