using System.Data.Common;
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
/// <param name="purses">Where nodes share balances.</param>
internal sealed partial class PurseLoading(
    Database database, Func<Task> catchUp, GateSnapshot snapshot, long now, SharedPurses? purses = null)
{
    private const int MostTries = 5;

    private readonly Dictionary<(string, int), PlanVersion?> _versions = [];

    /// <summary>Brings the purse of a customer in line with its balances; the entries are those that will be in force.
    /// </summary>
    public async Task LoadAsync(CustomerEntry customer, EntitlementEntry[] entries)
    {
        var terms = await TermsAsync(customer.Key);
        if (terms.IsNone)
        {
            customer.Purse = null;
            return;
        }

        await PriceAsync(customer, entries, terms);
        if (purses is not null)
        {
            try
            {
                await JoinAsync(customer, entries, terms);
            }
            catch (InvalidDataException)
            {
                // the cell is not of this version: what the store knows is all, and the plan says what happens
                await JoinNobodyAsync(customer, customer.Shared!, entries);
                customer.Shared!.Parted(isAdrift: true);
            }

            return;
        }

        if (customer.Purse is { } known && known.Terms.Equals(terms)) return;
        var before = customer.Purse ??= Purse.Counting();
        for (var tries = 1; ; tries++)
        {
            var settlements = before.Settlements;
            await catchUp();
            // an invoice may have been issued since
            var purse = before.With(terms = await TermsAsync(customer.Key));
            await RestoreAsync(purse, terms, entries);
            if (purse.TryReplace(before, settlements, tries == MostTries, () => customer.Purse = purse)) return;
        }
    }

    /// <summary>Also of the entries that calls under way go by.</summary>
    private async Task PriceAsync(CustomerEntry customer, EntitlementEntry[] entries, PurseTerms terms)
    {
        var meters = terms.Units.Select(u => u.Meter).ToHashSet(StringComparer.Ordinal);
        foreach (var entry in entries.Concat(customer.Entitlements))
            entry.Prices = await PricesOfAsync(entry.Source, terms, meters);
    }

    private Task<PurseTerms> TermsAsync(int customer) => database.ReadAsync(db => TermsAsync(db, customer));

    private static async Task<PurseTerms> TermsAsync(DbConnection db, int customer) => new(
        await BalanceStore.OfCustomerAsync(db, customer), await UnitGrantStore.OfCustomerAsync(db, customer),
        await EntitlementStore.SettledAsync(db, customer));

    private async Task RestoreAsync(Purse purse, PurseTerms terms, EntitlementEntry[] entries) =>
        Restore(purse, terms, await database.ReadAsync(db => PastAsync(db, entries, terms)));

    private async Task<List<(EntitlementEntry Entry, Past Past)>> PastAsync(
        DbConnection db, EntitlementEntry[] entries, PurseTerms terms)
    {
        var past = new List<(EntitlementEntry Entry, Past Past)>();
        foreach (var entry in entries)
            if (entry.Prices is { } prices) past.AddRange((await PastAsync(db, entry, prices, terms)).Select(p => (entry, p)));
        return past;
    }

    private void Restore(Purse purse, PurseTerms terms, IEnumerable<(EntitlementEntry Entry, Past Past)> past)
    {
        foreach (var (entry, p) in past.OrderBy(p => p.Past.At).ThenBy(p => p.Past.Operation ?? "", StringComparer.Ordinal)
            .ThenBy(p => p.Entry.Source.StartAt).ThenBy(p => p.Entry.Key))
        {
            var meter = snapshot.FindMeter((int)p.Meter)!.Meter;
            purse.Restore(
                new Charge(entry.Key, (int)p.Period, entry.Prices!, p.Operation ?? "", 0) { Era = entry.Era, At = p.At },
                new More(meter.Name, meter.Unscaled(p.Quantity)), entry.IsSettled((int)p.Period, terms));
        }
    }

    /// <summary>What was used of an entry in the periods that a balance still looks at; tiers and included units go on within
    /// each of them.</summary>
    private async Task<IEnumerable<Past>> PastAsync(
        DbConnection db, EntitlementEntry entry, PlanVersion prices, PurseTerms terms)
    {
        var meters = prices.Prices.Where(p => p.IsHeldAtGate).Select(p => snapshot.FindMeter(p.Meter!)!.Meter.Key).Distinct().ToArray();
        if (meters.Length == 0) return [];
        var settled = terms.Settled.GetValueOrDefault(entry.SubscriptionId, entry.Source.StartAt);
        var since = terms.Balances.Select(b => b.IsOfOpenUsage ? Math.Max(b.Since, settled) : b.Since)
            .Concat(terms.Units.Count > 0 ? [settled] : []).Append(now).Min();
        var (first, last) = (terms.Balances.Select(b => b.Since).DefaultIfEmpty(0).Min(),
            terms.Balances.Select(b => b.Since).DefaultIfEmpty(0).Max());
        // of what credit in units pays the time matters; else only what came before and after a balance began
        var at = terms.Units.Count > 0 ? "r.bucket"
            : "case when r.bucket < @first then @first - 1 when r.bucket < @last then @first else @last end";
        var rows = await db.QueryAsync<(long Period, string? Operation, long Meter, long At, long Quantity)>(
            $"select r.period, o.operation, r.meter, {at} as at, cast(sum(r.quantity) as bigint) as quantity " +
            "from rollups r left join operation_keys o on o.key = r.operation " +
            "where r.entitlement = @Key and r.period >= @period and r.meter in @meters and r.quantity <> 0 " +
            "group by r.period, o.operation, r.meter, 4",
            new { entry.Key, period = entry.PeriodAt(Math.Max(since, entry.Source.StartAt)), meters, first, last });
        return rows.Select(r => new Past(r.Period, r.Operation, r.Meter, r.At, r.Quantity));
    }

    private async Task<PlanVersion?> PricesOfAsync(Entitlement of, PurseTerms terms, IReadOnlySet<string> meters)
    {
        var key = (of.PlanId, of.PlanVersion);
        if (!_versions.TryGetValue(key, out var version))
        {
            var row = await database.ReadAsync(db => ConfigStore.FindVersionAsync(db, of.PlanId, of.PlanVersion));
            _versions[key] = version = row?.ToPlanVersion();
        }

        var currency = terms.Balances.Count > 0 ? terms.Balances[0].Currency : version?.Currency;
        var inForce = version is null ? null
            : UnitCredit.Measured(version.In(currency!).For(of.PlanPhase, of.Overrides), meters, of.Interval);
        // a meter whose measurements do not add up is only known when it is invoiced
        return inForce is null ? null : inForce with
        {
            Prices = [.. inForce.Prices.Where(p => p.IsHeldAtGate && snapshot.FindMeter(p.Meter!) is { Meter.IsAdditive: true })],
        };
    }

    private readonly record struct Past(long Period, string? Operation, long Meter, long At, long Quantity);
}
