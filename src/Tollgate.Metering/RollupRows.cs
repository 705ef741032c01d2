using System.Data.Common;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>One row of the rollups, with the names that its keys stand for.</summary>
public sealed record RollupRow
{
    /// <summary>The beginning of its quarter of an hour, microseconds UTC.</summary>
    public long Bucket { get; init; }

    public string? Consumer { get; init; }

    public string Api { get; init; } = "";

    public string Operation { get; init; } = "";

    public string Endpoint { get; init; } = "";

    public long OperationKey { get; init; }

    public long Method { get; init; }

    public long Dimensions { get; init; }

    /// <summary>× 10^scale: the sum, the largest, the smallest or the latest; of a unique count 0.</summary>
    public long Quantity { get; init; }

    /// <summary>Measurements behind it.</summary>
    public long Items { get; init; }

    public long LatestAt { get; init; }

    public Tally Tally => new(Quantity, Items, LatestAt);
}

/// <summary>Reads the rows of the rollups that stand behind an amount.</summary>
public static class RollupRows
{
    /// <summary>Rows of a meter that are stamped so, in order of time within each stamp.</summary>
    public static async IAsyncEnumerable<RollupRow> ReadAsync(
        DbConnection db, int meter, IReadOnlyList<(int Entitlement, int Period)> stamps)
    {
        foreach (var (entitlement, period) in stamps)
            await foreach (var row in db.QueryUnbufferedAsync<RollupRow>(
                $"select r.bucket, c.username as consumer, {UsageSql.Names}, r.operation as operationkey, r.method, r.dimensions, " +
                "r.quantity, r.items, r.latest_at from rollups r left join operation_keys o on o.key = r.operation " +
                "left join consumers c on c.key = r.consumer where r.entitlement = @entitlement and r.period = @period " +
                "and r.meter = @meter and (r.items > 0 or r.quantity <> 0) order by r.bucket, r.consumer, r.operation, r.method",
                new { entitlement, period, meter }))
                yield return row;
    }
}
