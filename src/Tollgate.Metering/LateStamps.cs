using System.Data.Common;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>
/// Stamps of usage that was drained a day and more after it was used, in the transaction that counts it: no billing period is
/// shorter, so whatever may have come after its invoice is among them, and a billing run need not look through the past for it.
/// </summary>
public static class LateStamps
{
    private const long Soon = 86_400L * Micros.PerSecond;

    private const int AtOnce = 500;

    internal static async Task NoteAsync(DbConnection db, RollupBatch batch, long now)
    {
        var late = batch.Sums.Keys.Where(k => k.Bucket < now - Soon && k.Entitlement != 0)
            .Select(k => (k.Entitlement, k.Period)).Distinct().Order();
        foreach (var some in late.Chunk(AtOnce))
            await db.ExecuteAsync("insert into late_stamps (entitlement_key, period) values " +
                string.Join(", ", some.Select(s => $"({s.Entitlement}, {s.Period})")) + " on conflict do nothing");
    }

    /// <summary>Some that nobody has looked at yet.</summary>
    public static async Task<IReadOnlyList<(int Entitlement, int Period)>> NextAsync(DbConnection db) =>
        [.. (await db.QueryAsync<(long Entitlement, long Period)>(
            "select entitlement_key, period from late_stamps order by entitlement_key, period limit @AtOnce", new { AtOnce }))
            .Select(s => ((int)s.Entitlement, (int)s.Period))];

    /// <summary>Takes one away, before its usage is read: what is drained meanwhile puts it there again.</summary>
    public static Task TakeAsync(DbConnection db, int entitlement, int period) => db.ExecuteAsync(
        "delete from late_stamps where entitlement_key = @entitlement and period = @period", new { entitlement, period });
}
