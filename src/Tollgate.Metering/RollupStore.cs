using System.Buffers;
using System.Data;
using System.Data.Common;
using Dapper;
using Microsoft.Data.Sqlite;
using Tollgate.Catalog;
using Tollgate.Storage;

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

    /// <summary>So many rows change more pages than SQLite keeps in memory by itself.</summary>
    private const int ManyRows = 8_192;

    /// <summary>Rows of one statement for a server, which answers once for all of them; PostgreSQL takes 65,535
    /// parameters.</summary>
    private const int RowsAtOnce = 64;

    private static readonly string s_insert = $"insert into rollups ({string.Join(", ", s_columns)}) values ";

    private const string OnConflict =
        " on conflict (entitlement, period, consumer, meter, operation, method, dimensions, bucket) do update set " +
        "admitted = rollups.admitted + excluded.admitted, unknown = rollups.unknown + excluded.unknown, " +
        "items = rollups.items + excluded.items, latest_at = case when excluded.latest_at > rollups.latest_at then " +
        "excluded.latest_at else rollups.latest_at end, quantity = ";

    // whole numbers that would overflow become floating point in SQLite, silently: they stop before
    private const string Sum =
        $"case when excluded.quantity > 0 and rollups.quantity > {Most} - excluded.quantity then {Most} " +
        $"when excluded.quantity < 0 and rollups.quantity < -{Most} - excluded.quantity then -{Most} " +
        "else rollups.quantity + excluded.quantity end";

    /// <summary>An empty batch that knows how the meters that exist put their measurements together.</summary>
    /// <param name="journal">Whose calls are added.</param>
    /// <param name="sums">Of the batch before, whose memory this one takes over.</param>
    public static async Task<RollupBatch> BatchAsync(
        DbConnection db, uint journal, Dictionary<RollupKey, RollupSum>? sums = null)
    {
        sums?.Clear();
        var meters = (await db.QueryAsync<(long Key, string Aggregation, long Keeps)>(
            "select key, aggregation, keeps_values from meter_keys")).AsList();
        return new RollupBatch(
            meters.ToDictionary(m => (int)m.Key, m => Meter.FindAggregation(m.Aggregation) ?? Aggregation.Sum),
            meters.Where(m => m.Keeps != 0).Select(m => (int)m.Key).ToHashSet(), journal, sums ?? []);
    }

    /// <param name="db">In its transaction.</param>
    /// <param name="batch">What is added.</param>
    /// <param name="now">Business time: what was used long before is noted.</param>
    public static async Task AddAsync(DbConnection db, RollupBatch batch, long now)
    {
        if (batch.Sums.Count > ManyRows) await Sql.WidenAsync(db, mebibytes: 32);
        await AddSumsAsync(db, batch);
        if (batch.Uniques.Count > 0) await AddAsync(db, batch.Uniques);
        if (batch.Singles.Count > 0) await SingleValues.AddAsync(db, batch.Singles);
        await LateStamps.NoteAsync(db, batch, now);
    }

    /// <summary>In one order on every node, so that two drains never wait for each other's rows.</summary>
    private static async Task AddSumsAsync(DbConnection db, RollupBatch batch)
    {
        var count = batch.Sums.Count;
        var sums = ArrayPool<KeyValuePair<RollupKey, RollupSum>>.Shared.Rent(count);
        try
        {
            ((ICollection<KeyValuePair<RollupKey, RollupSum>>)batch.Sums).CopyTo(sums, 0);
            var all = new ArraySegment<KeyValuePair<RollupKey, RollupSum>>(sums, 0, count);
            // neighbours change the same pages
            all.AsSpan().Sort(static (a, b) => a.Key.CompareTo(b.Key));
            string[] kinds = [.. all.Select(s => s.Key.Meter).Distinct().Select(m => QuantityOf(batch.AggregationOf(m)))
                .Distinct().Order(StringComparer.Ordinal)];
            foreach (var kind in kinds)
                await UpsertAsync(db, kind, kinds.Length == 1 ? all
                    : all.Where(s => QuantityOf(batch.AggregationOf(s.Key.Meter)) == kind).ToArray());
        }
        finally
        {
            ArrayPool<KeyValuePair<RollupKey, RollupSum>>.Shared.Return(sums);
        }
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

    private static async Task UpsertAsync(DbConnection db, string quantity, ArraySegment<KeyValuePair<RollupKey, RollupSum>> sums)
    {
        if (db is SqliteConnection sqlite)
        {
            SqliteRollups.Run(sqlite, Statement(1, quantity), sums.Count,
                (row, values) => Fill(sums[row], values), s_columns.Length);
            return;
        }

        var rest = sums.Count % RowsAtOnce;
        if (sums.Count > rest)
        {
            await using var command = Command(db, Statement(RowsAtOnce, quantity), RowsAtOnce * s_columns.Length);
            await command.PrepareAsync();
            for (var at = 0; at + RowsAtOnce <= sums.Count; at += RowsAtOnce)
                await UpsertAsync(command, sums, at, RowsAtOnce);
        }

        if (rest == 0) return;
        await using var last = Command(db, Statement(rest, quantity), rest * s_columns.Length);
        await UpsertAsync(last, sums, sums.Count - rest, rest);
    }

    private static Task UpsertAsync(
        DbCommand command, ArraySegment<KeyValuePair<RollupKey, RollupSum>> sums, int at, int rows)
    {
        var values = new long[s_columns.Length];
        for (var row = 0; row < rows; row++)
        {
            Fill(sums[at + row], values);
            Fill(command, row * values.Length, values);
        }

        return command.ExecuteNonQueryAsync();
    }

    /// <summary>A row, in the order of the columns.</summary>
    private static void Fill(in KeyValuePair<RollupKey, RollupSum> row, Span<long> values)
    {
        var (key, sum) = row;
        ReadOnlySpan<long> all =
        [
            key.Entitlement, key.Period, key.Consumer, key.Meter, key.Operation, key.Method, key.Dimensions,
            key.Bucket, sum.Admitted, sum.Quantity, sum.Unknown, sum.Items, sum.LatestAt,
        ];
        all.CopyTo(values);
    }

    private static string Statement(int rows, string quantity) => s_insert + string.Join(", ", Enumerable.Range(0, rows)
        .Select(row => $"({string.Join(", ", s_columns.Select((_, i) => Name(row * s_columns.Length + i)))})")) +
        OnConflict + quantity;

    private static async Task AddAsync(DbConnection db, IEnumerable<UniqueValue> values)
    {
        string[] columns =
        [
            "entitlement", "period", "consumer", "meter", "operation", "method", "dimensions", "bucket", "value_hash",
        ];
        await using var command = Command(db,
            $"insert into unique_values ({string.Join(", ", columns)}) values " +
            $"({string.Join(", ", columns.Select((_, i) => Name(i)))}) on conflict do nothing", columns.Length);
        await command.PrepareAsync();
        foreach (var (row, hash) in values)
        {
            Fill(command, 0,
            [
                row.Entitlement, row.Period, row.Consumer, row.Meter, row.Operation, row.Method, row.Dimensions,
                row.Bucket, hash,
            ]);
            await command.ExecuteNonQueryAsync();
        }
    }

    private static DbCommand Command(DbConnection db, string sql, int parameters)
    {
        var command = db.CreateCommand();
        command.CommandText = sql;
        for (var i = 0; i < parameters; i++)
        {
            var parameter = command.CreateParameter();
            parameter.ParameterName = Name(i);
            parameter.DbType = DbType.Int64;
            command.Parameters.Add(parameter);
        }

        return command;
    }

    private static string Name(int number) => $"@p{number}";

    private static void Fill(DbCommand command, int from, ReadOnlySpan<long> values)
    {
        for (var i = 0; i < values.Length; i++) command.Parameters[from + i].Value = values[i];
    }
}
