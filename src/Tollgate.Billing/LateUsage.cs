using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Billing;

/// <summary>A period that is settled, with the usage that invoices have told of it and the usage that there is.</summary>
/// <param name="Bill">As it was settled with.</param>
public sealed record LatePeriod(
    Bill Bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> Told,
    IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> Used)
{
    /// <summary>Credit in units that its usage has burnt already.</summary>
    public IReadOnlyList<UnitGrant> Burnt { get; init; } = [];

    /// <summary>The same, with what is left for more of it.</summary>
    public IReadOnlyList<UnitGrant> Credit { get; init; } = [];
}

/// <summary>Usage of a stretch in a period, as an invoice tells it.</summary>
public sealed record ToldUsage(int Entitlement, int Period, string Usage)
{
    public static ToldUsage Of(int entitlement, int period, IReadOnlyList<OperationUsage> usage) =>
        new(entitlement, period, JsonSerializer.Serialize(
            [.. usage.Where(u => u.Quantity != 0).OrderBy(u => u.Operation, StringComparer.Ordinal)
                .ThenBy(u => u.Api, StringComparer.Ordinal).ThenBy(u => u.Meter, StringComparer.Ordinal)
                .ThenBy(u => DimensionText.Of(u.Dimensions), StringComparer.Ordinal).ThenBy(u => u.At)],
            ToldJson.Default.OperationUsageArray));

    public IReadOnlyList<OperationUsage> Read() => JsonSerializer.Deserialize(Usage, ToldJson.Default.OperationUsageArray)!;
}

[JsonSerializable(typeof(OperationUsage[]))]
internal sealed partial class ToldJson : JsonSerializerContext;

/// <summary>
/// Usage that came after its period was invoiced: what the period costs with it, less what it cost without, price by
/// price; below zero when a cheaper tier was reached (money.md 13).
/// </summary>
internal static class LateUsage
{
    public static IEnumerable<DraftLine> Adjustments(SubscriptionTerms terms, LatePeriod late)
    {
        var before = Drafting.Used(terms, late.Bill, late.Told, late.Burnt).ToLookup(KeyOf);
        var after = Drafting.Used(terms, late.Bill, late.Used, late.Credit).ToLookup(KeyOf);
        foreach (var key in after.Select(g => g.Key).Union(before.Select(g => g.Key)))
        {
            var (old, now) = (before[key].FirstOrDefault(), after[key].FirstOrDefault());
            var line = (now ?? old)!;
            var zero = Money.Zero(line.Amount.Currency);
            var amount = (now?.Amount ?? zero) - (old?.Amount ?? zero);
            var (oldQuantity, newQuantity) = (old?.Rated.Quantity ?? 0, now?.Rated.Quantity ?? 0);
            if (amount.MinorUnits == 0 && oldQuantity == newQuantity) continue;
            yield return line with
            {
                Rated = line.Rated with
                {
                    Quantity = newQuantity - oldQuantity,
                    // of tiers and packages the difference has no unit amount
                    UnitAmount = (now ?? old)!.Rated is { Parts.Count: 0, UnitAmount: var unit } ? unit : null,
                    PreciseAmount = (now?.Rated.PreciseAmount ?? 0) - (old?.Rated.PreciseAmount ?? 0),
                    Included = 0,
                    Burns = [],
                    Parts = [],
                },
                Amount = amount,
                Period = late.Bill.Period,
                Adjusts = (oldQuantity, newQuantity),
            };
        }
    }

    /// <summary>What the usage burns of credit in units beyond what it has burnt; below zero when there is less of it.
    /// </summary>
    public static IEnumerable<(UnitBurn Burn, long SettlesAt)> Burns(SubscriptionTerms terms, LatePeriod late)
    {
        if (late.Credit.Count == 0) yield break;
        var before = Of(late.Told, late.Burnt);
        var after = Of(late.Used, late.Credit);
        foreach (var grant in late.Credit.Select(g => g.Key))
            if (after.GetValueOrDefault(grant) - before.GetValueOrDefault(grant) is not 0m and var more)
                yield return (new UnitBurn(grant, more), late.Bill.BillAt);

        Dictionary<long, decimal> Of(
            IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage, IReadOnlyList<UnitGrant> credit) =>
            Drafting.BurntBy(Drafting.Used(terms, late.Bill, usage, credit), late.Bill)
                .ToDictionary(b => b.Burn.Grant, b => b.Burn.Units);
    }

    private static (string, string?, string?, string?, LineKind, int, NodaTime.Instant) KeyOf(DraftLine line) => (
        line.Rated.PriceName, line.Rated.Operation, line.Rated.Endpoint, line.Rated.Label, line.Rated.Kind,
        line.PlanVersion, line.Period.Start);
}

/// <summary>Usage of a stretch in a period that came too late for any invoice.</summary>
/// <param name="Period">Index of the billing period.</param>
/// <param name="Quantity">Over all meters, whole units.</param>
public sealed record LateUsageRow(string Subscription, string Customer, long Entitlement, long Period, long Quantity, long FoundAt)
{
    private const long Periods = 1_000_000;

    public long Key => Entitlement * Periods + Period;

    /// <summary>In order of entitlement and period.</summary>
    public static async Task<IReadOnlyList<LateUsageRow>> ListAsync(DbConnection db, long after, int limit) =>
        (await db.QueryAsync<LateUsageRow>(
            "select e.subscription_id as subscription, c.id as customer, l.entitlement_key as entitlement, l.period, " +
            "l.quantity, l.found_at from late_usage l join entitlements e on e.key = l.entitlement_key " +
            "join customers c on c.key = e.customer_key where l.entitlement_key > @entitlement " +
            "or (l.entitlement_key = @entitlement and l.period > @period) order by l.entitlement_key, l.period limit @limit",
            new { entitlement = after / Periods, period = after % Periods, limit })).AsList();
}

/// <summary>The SQL of what invoices have told of usage.</summary>
internal static class ToldUsageStore
{
    public static async Task<ToldUsage?> FindAsync(DbConnection db, int entitlement, int period) =>
        await db.QueryFirstOrDefaultAsync<string?>(
            "select usage from settled_usage where entitlement_key = @entitlement and period = @period",
            new { entitlement, period }) is { } usage ? new ToldUsage(entitlement, period, usage) : null;

    /// <summary>Of several; nothing of those of which no invoice has told.</summary>
    public static async Task<IReadOnlyList<ToldUsage>> OfManyAsync(
        DbConnection db, IReadOnlyCollection<(int Entitlement, int Period)> stamps)
    {
        var found = new List<ToldUsage>();
        // on a connection that keeps its statements: see UsageOfMany
        foreach (var (entitlement, period) in stamps)
            if (await FindAsync(db, entitlement, period) is { } told) found.Add(told);
        return found;
    }

    public static async Task SetAsync(DbConnection db, IReadOnlyList<ToldUsage> told)
    {
        foreach (var t in told)
            await db.ExecuteAsync(
                "insert into settled_usage (entitlement_key, period, usage) values (@Entitlement, @Period, @Usage) " +
                "on conflict (entitlement_key, period) do update set usage = @Usage", t);
    }

    public static Task<long> CountLateAsync(DbConnection db) =>
        db.ExecuteScalarAsync<long>("select count(*) from late_usage");

    /// <summary>Marks usage that no invoice can tell any more.</summary>
    /// <returns>Whether it is news.</returns>
    public static async Task<bool> MarkAsync(DbConnection db, int entitlement, int period, long quantity, long now) =>
        await db.ExecuteAsync(
            "insert into late_usage (entitlement_key, period, quantity, found_at) values " +
            "(@entitlement, @period, @quantity, @now) on conflict (entitlement_key, period) do update " +
            "set quantity = @quantity, found_at = @now where late_usage.quantity <> @quantity",
            new { entitlement, period, quantity, now }) > 0;
}
