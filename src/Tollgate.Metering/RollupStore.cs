using System.Data;
using System.Data.Common;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>The SQL that writes rollups, inside the drain's transaction.</summary>
internal static class RollupStore
{
    private const string Most = "9000000000000000000";

    private static readonly string[] s_columns =
    [
        "entitlement", "period", "consumer", "meter", "operation", "method", "dimensions", "bucket", "admitted",
        "quantity", "unknown", "items", "latest_at",
    ];

    private static readonly string s_values =
        $"insert into rollups ({string.Join(", ", s_columns)}) values ({string.Join(", ", s_columns.Select(c => "@" + c))}) " +
        "on conflict (entitlement, period, consumer, meter, operation, method, dimensions, bucket) do update set " +
        "admitted = rollups.admitted + excluded.admitted, unknown = rollups.unknown + excluded.unknown, " +
        "items = rollups.items + excluded.items, latest_at = case when excluded.latest_at > rollups.latest_at then " +
        "excluded.latest_at else rollups.latest_at end, quantity = ";

    // whole numbers that would overflow become floating point in SQLite, silently: they stop before
    private const string Sum =
        $"case when excluded.quantity > 0 and rollups.quantity > {Most} - excluded.quantity then {Most} " +
        $"when excluded.quantity < 0 and rollups.quantity < -{Most} - excluded.quantity then -{Most} " +
        "else rollups.quantity + excluded.quantity end";

    /// <summary>How the meters that exist put their measurements together.</summary>
    public static async Task<Dictionary<int, Aggregation>> AggregationsAsync(DbConnection db) =>
        (await db.QueryAsync<(long Key, string Aggregation)>("select key, aggregation from meter_keys"))
        .ToDictionary(m => (int)m.Key, m => Meter.FindAggregation(m.Aggregation) ?? Aggregation.Sum);

    public static async Task AddAsync(DbConnection db, RollupBatch batch)
    {
        // in one order on every node, so that two drains never wait for each other's rows
        var ordered = batch.Sums.OrderBy(s => s.Key);
        foreach (var sums in ordered.GroupBy(s => QuantityOf(batch.AggregationOf(s.Key.Meter)))
            .OrderBy(g => g.Key, StringComparer.Ordinal))
            await UpsertAsync(db, s_values + sums.Key, sums);
        if (batch.Uniques.Count > 0) await AddAsync(db, batch.Uniques);
    }

    private static string QuantityOf(Aggregation aggregation) => aggregation switch
    {
        Aggregation.Max => Pick("excluded.quantity > rollups.quantity"),
        Aggregation.Min => Pick("excluded.quantity < rollups.quantity"),
        Aggregation.Latest => Pick("excluded.latest_at >= rollups.latest_at"),
        _ => Sum,
    };

    private static string Pick(string condition) =>
        $"case when {condition} then excluded.quantity else rollups.quantity end";

    private static async Task UpsertAsync(
        DbConnection db, string sql, IEnumerable<KeyValuePair<RollupKey, RollupSum>> sums)
    {
        await using var command = Command(db, sql, s_columns);
        foreach (var (key, sum) in sums)
        {
            Fill(command,
            [
                key.Entitlement, key.Period, key.Consumer, key.Meter, key.Operation, key.Method, key.Dimensions,
                key.Bucket, sum.Admitted, sum.Quantity, sum.Unknown, sum.Items, sum.LatestAt,
            ]);
            await command.ExecuteNonQueryAsync();
        }
    }

    private static async Task AddAsync(DbConnection db, IEnumerable<UniqueValue> values)
    {
        string[] columns =
        [
            "entitlement", "period", "consumer", "meter", "operation", "method", "dimensions", "bucket", "value_hash",
        ];
        await using var command = Command(db,
            $"insert into unique_values ({string.Join(", ", columns)}) values " +
            $"({string.Join(", ", columns.Select(c => "@" + c))}) on conflict do nothing", columns);
        foreach (var (row, hash) in values)
        {
            Fill(command,
            [
                row.Entitlement, row.Period, row.Consumer, row.Meter, row.Operation, row.Method, row.Dimensions,
                row.Bucket, hash,
            ]);
            await command.ExecuteNonQueryAsync();
        }
    }

    private static DbCommand Command(DbConnection db, string sql, string[] columns)
    {
        var command = db.CreateCommand();
        command.CommandText = sql;
        foreach (var column in columns)
        {
            var parameter = command.CreateParameter();
            parameter.ParameterName = "@" + column;
            parameter.DbType = DbType.Int64;
            command.Parameters.Add(parameter);
        }

        return command;
    }

    private static void Fill(DbCommand command, ReadOnlySpan<long> values)
    {
        for (var i = 0; i < values.Length; i++) command.Parameters[i].Value = values[i];
    }
}
