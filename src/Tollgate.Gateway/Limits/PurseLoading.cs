using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>
/// Fills the purse of a customer with what its usage has cost since the balance began, out of the store. Calls go on
/// meanwhile: they are counted, and what is under way is taken over.
/// </summary>
internal sealed class PurseLoading(Database database, Func<Task> catchUp, GateSnapshot snapshot, long now)
{
    private const int MostTries = 5;

    private readonly Dictionary<(string, int), PlanVersion?> _versions = [];

    /// <summary>Brings the purse of a customer in line with its balances; the entries are those that will be in force.
    /// </summary>
    public async Task LoadAsync(CustomerEntry customer, EntitlementEntry[] entries)
    {
        var balances = await database.ReadAsync(db => BalanceStore.OfCustomerAsync(db, customer.Key));
        if (balances.Count == 0)
        {
            customer.Purse = null;
            return;
        }

        // also the entries that calls under way go by
        foreach (var entry in entries.Concat(customer.Entitlements)) 
            entry.Prices ??= await PricesOfAsync(entry.Source, balances[0].Currency);
        if (customer.Purse is { } known && known.Balances.SequenceEqual(balances)) return;
        var before = customer.Purse ??= Purse.Counting();
        for (var tries = 1; ; tries++)
        {
            var settlements = before.Settlements;
            await catchUp();
            var purse = before.With(balances);
            for (var i = 0; i < balances.Count; i++) await RestoreAsync(purse, i, customer.Key, entries);
            if (purse.TryReplace(before, settlements, tries == MostTries, () => customer.Purse = purse)) return;
        }
    }

    private async Task RestoreAsync(Purse purse, int balance, int customer, EntitlementEntry[] entries)
    {
        var since = purse.Balances[balance].Since;
        var meters = entries.SelectMany(e => e.Prices?.Prices ?? []).Where(p => p.IsHeldAtGate)
            .Select(p => snapshot.FindMeter(p.Meter!)!.Meter).DistinctBy(m => m.Key).ToDictionary(m => m.Key);
        var past = await database.ReadAsync(db => db.QueryAsync<(long Entitlement, long Period, string? Operation, long Meter,
            long Before, long Since)>(
            "select r.entitlement, r.period, o.operation, r.meter, " +
            "cast(sum(case when r.bucket < @since then r.quantity else 0 end) as bigint), " +
            "cast(sum(case when r.bucket >= @since then r.quantity else 0 end) as bigint) " +
            "from rollups r left join operation_keys o on o.key = r.operation " +
            "where r.meter in @meters and r.quantity <> 0 " +
            "and r.entitlement in (select key from entitlements where customer_key = @customer) " +
            "group by r.entitlement, r.period, o.operation, r.meter",
            new { since, customer, meters = meters.Keys.DefaultIfEmpty(-1).ToArray() }));
        foreach (var p in past)
        {
            if (Array.Find(entries, e => e.Key == p.Entitlement) is not { Prices: { } prices } entry) continue;
            // tiers and included units go on within a period; those that were over before the balance do not matter
            if (p.Since == 0 && p.Period != entry.PeriodAt(now)) continue;
            var meter = meters[(int)p.Meter];
            purse.Restore(balance, new Charge(entry.Key, (int)p.Period, prices, p.Operation ?? "", 0), meter.Name,
                meter.Unscaled(p.Before), meter.Unscaled(p.Since));
        }
    }

    private async Task<PlanVersion?> PricesOfAsync(Entitlement terms, Currency currency)
    {
        var key = (terms.PlanId, terms.PlanVersion);
        if (!_versions.TryGetValue(key, out var version))
        {
            var row = await database.ReadAsync(db => ConfigStore.FindVersionAsync(db, terms.PlanId, terms.PlanVersion));
            _versions[key] = version = row?.ToPlanVersion();
        }

        var inForce = version?.In(currency).For(terms.PlanPhase, terms.Overrides);
        // a meter whose measurements do not add up is only known when it is invoiced
        return inForce is null ? null : inForce with
        {
            Prices = [.. inForce.Prices.Where(p => p.IsHeldAtGate && snapshot.FindMeter(p.Meter!) is { Meter.IsAdditive: true })],
        };
    }
}
