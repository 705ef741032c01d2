using System.Data.Common;
using Dapper;
using Microsoft.Data.Sqlite;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>A measurement of a meter that keeps its values: what one call or one event used.</summary>
/// <param name="Sequence">Of the call's admission, so that parts of one call come together; of the event otherwise.
/// </param>
internal readonly record struct SingleKey(
    int Entitlement, int Period, int Meter, long At, uint Journal, ulong Sequence, int Operation, int Dimensions)
{
    public static SingleKey Of(in RollupKey row, long at, uint journal, ulong sequence) =>
        new(row.Entitlement, row.Period, row.Meter, at, journal, sequence, row.Operation, row.Dimensions);
}

/// <summary>The SQL of single values. They are written in the transaction of the sums, and say the same.</summary>
internal static class SingleValues
{
    /// <summary>Of one meter in one period of one subscription: prices that look at single events hold them all.</summary>
    public const int Most = 1_000_000;

    public static async Task AddAsync(DbConnection db, Dictionary<SingleKey, long> values)
    {
        await using var command = db.CreateCommand();
        command.CommandText =
            "insert into single_values (entitlement, period, meter, at, journal, sequence, operation, dimensions, quantity) " +
            "values (@p0, @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8) on conflict (entitlement, period, meter, at, journal, sequence) " +
            "do update set quantity = single_values.quantity + excluded.quantity";
        for (var i = 0; i < 9; i++)
        {
            var parameter = command.CreateParameter();
            (parameter.ParameterName, parameter.DbType) = ($"@p{i}", System.Data.DbType.Int64);
            command.Parameters.Add(parameter);
        }

        if (db is not SqliteConnection) await command.PrepareAsync();
        // in one order on every node, so that two drains never wait for each other's rows
        foreach (var (key, quantity) in values.OrderBy(v => (v.Key.Entitlement, v.Key.Period, v.Key.Meter, v.Key.At))
            .ThenBy(v => (v.Key.Journal, v.Key.Sequence)))
        {
            ReadOnlySpan<long> row =
            [
                key.Entitlement, key.Period, key.Meter, key.At, key.Journal, (long)key.Sequence, key.Operation,
                key.Dimensions, quantity,
            ];
            for (var i = 0; i < row.Length; i++) command.Parameters[i].Value = row[i];
            await command.ExecuteNonQueryAsync();
        }
    }

    /// <summary>In order of time.</summary>
    /// <exception cref="TooManyValuesException">There are more than <see cref="Most"/>.</exception>
    public static async Task<IReadOnlyList<OperationUsage>> ReadAsync(
        DbConnection db, Meter meter, (int Entitlement, int Period, long? Before) of)
    {
        var sets = await DimensionSets.OfMeterAsync(db, meter.Key);
        var usage = new List<OperationUsage>();
        await foreach (var row in db.QueryUnbufferedAsync<UsageSum>(
            $"select r.at as bucket, r.dimensions, {UsageSql.Names}, r.quantity from single_values r " +
            "left join operation_keys o on o.key = r.operation where r.entitlement = @Entitlement and r.period = @Period " +
            "and r.meter = @Key" + (of.Before is null ? "" : " and r.at < @Before") + " order by r.at, r.journal, r.sequence",
            new { of.Entitlement, of.Period, meter.Key, of.Before }))
        {
            if (usage.Count == Most) throw new TooManyValuesException(meter.Name);
            usage.Add(new OperationUsage(row.Api!, row.Operation!, row.Endpoint!, 0, meter.Unscaled(row.Quantity), 0)
            {
                Meter = meter.Name,
                At = row.Bucket,
                Events = 1,
                Dimensions = sets.GetValueOrDefault((int)row.Dimensions) ?? DimensionSets.None,
            });
        }

        return usage;
    }
}

/// <summary>A period has more single values than are priced one by one.</summary>
public sealed class TooManyValuesException(string meter) : Exception(
    $"The meter '{meter}' has more than {SingleValues.Most:N0} single values in one period, and they are not priced one by " +
    "one. Bill it by shorter periods, or leave out of its prices what looks at single events.");
