using System.Data.Common;
using System.Text.Json;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Config;

/// <summary>Credit in units as the gate reads it; Billing writes it, and burns it with each invoice.</summary>
public static class UnitGrantStore
{
    /// <summary>Usage is known by quarters of an hour: one in which a grant begins is paid by it. Microseconds.</summary>
    private const long Bucket = 15 * 60 * Micros.PerSecond;

    /// <summary>What is left of a customer's, in the order in which it is burnt.</summary>
    public static async Task<IReadOnlyList<UnitGrant>> OfCustomerAsync(DbConnection db, long customerKey) =>
        (await db.QueryAsync<Row>(
            "select g.key, g.meter, g.amount, g.burnt, m.scale, g.prices, g.effective_at, g.expires_at from grants g " +
            "join meter_keys m on m.name = g.meter where g.customer_key = @customerKey and g.voided_at is null " +
            "and g.burnt < g.amount order by g.priority, case when g.expires_at is null then 1 else 0 end, g.expires_at, g.key",
            new { customerKey }))
        .Select(r => new UnitGrant(r.Key, r.Meter, (r.Amount - r.Burnt) / Meter.PowerOfTen((int)r.Scale))
        {
            Prices = r.Prices is null ? null : JsonSerializer.Deserialize<string[]>(r.Prices),
            From = r.EffectiveAt - r.EffectiveAt % Bucket,
            To = r.ExpiresAt ?? long.MaxValue,
        }).ToArray();

    /// <summary>Customers who have any.</summary>
    public static async Task<IReadOnlyList<int>> CustomersAsync(DbConnection db) =>
        [.. (await db.QueryAsync<long>("select distinct customer_key from grants where meter is not null and voided_at is null " +
            "and burnt < amount order by customer_key")).Select(k => (int)k)];

    private sealed record Row(
        long Key, string Meter, long Amount, long Burnt, long Scale, string? Prices, long EffectiveAt, long? ExpiresAt);
}
