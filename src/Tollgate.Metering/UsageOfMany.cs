using System.Data.Common;

namespace Tollgate.Metering;

/// <summary>The usage of many entitlements and periods, read together: a billing run asks for hundreds at once.</summary>
public static class UsageOfMany
{
    /// <summary>What <see cref="UsageStore.OfEntitlementAsync"/> says of each; those without usage are absent.</summary>
    public static async Task<IReadOnlyDictionary<(int Entitlement, int Period), IReadOnlyList<OperationUsage>>> ReadAsync(
        DbConnection db, IReadOnlyCollection<(int Entitlement, int Period)> stamps)
    {
        var found = new Dictionary<(int, int), IReadOnlyList<OperationUsage>>();
        var meters = (await UsageStore.MetersAsync(db)).Values.ToDictionary(m => m.Key);
        var sets = new Dictionary<int, IReadOnlyDictionary<int, IReadOnlyDictionary<string, string>>>();
        var sums = await SumsAsync(db, stamps);
        foreach (var meter in sums.Where(s => s.Dimensions != 0).Select(s => s.Meter).Distinct())
            sets.Add(meter, await DimensionSets.OfMeterAsync(db, meter));
        foreach (var of in sums.GroupBy(s => (s.Entitlement, s.Period)))
            // measurements that do not add up are one number over all of it
            found[of.Key] = of.Any(s => !meters[s.Meter].IsAdditive)
                ? await UsageStore.OfEntitlementAsync(db, of.Key.Entitlement, of.Key.Period)
                : [.. of.Select(s => new OperationUsage(
                    s.Api, s.Operation, s.Endpoint, s.Admitted, meters[s.Meter].Unscaled(s.Quantity), s.Unknown)
                {
                    Meter = meters[s.Meter].Name,
                    Dimensions = s.Dimensions == 0 ? DimensionSets.None
                        : sets[s.Meter].GetValueOrDefault(s.Dimensions) ?? DimensionSets.None,
                })];
        return found;
    }

    /// <summary>One prepared statement, run for each: over a list of pairs SQLite builds an index of the whole table.</summary>
    private static async Task<List<Sum>> SumsAsync(DbConnection db, IReadOnlyCollection<(int Entitlement, int Period)> stamps)
    {
        using var command = db.CreateCommand();
        command.CommandText =
            $"select r.meter, r.dimensions, {UsageSql.Names}, cast(sum(r.admitted) as bigint), " +
            "cast(sum(r.quantity) as bigint), cast(sum(r.unknown) as bigint) from rollups r " +
            "left join operation_keys o on o.key = r.operation where r.entitlement = @entitlement and r.period = @period " +
            "group by r.meter, r.dimensions, r.operation, o.api, o.operation, o.endpoint order by 1, 4, 3, 2";
        var (entitlement, period) = (Add(command, "@entitlement"), Add(command, "@period"));
        var sums = new List<Sum>();
        foreach (var stamp in stamps)
        {
            (entitlement.Value, period.Value) = ((long)stamp.Entitlement, (long)stamp.Period);
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
                sums.Add(new Sum(stamp.Entitlement, stamp.Period, (int)reader.GetInt64(0), (int)reader.GetInt64(1),
                    reader.GetString(2), reader.GetString(3), reader.GetString(4), reader.GetInt64(5), reader.GetInt64(6),
                    reader.GetInt64(7)));
        }

        return sums;
    }

    private static DbParameter Add(DbCommand command, string name)
    {
        var parameter = command.CreateParameter();
        (parameter.ParameterName, parameter.DbType) = (name, System.Data.DbType.Int64);
        command.Parameters.Add(parameter);
        return parameter;
    }

    private sealed record Sum(
        int Entitlement, int Period, int Meter, int Dimensions, string Api, string Operation, string Endpoint, long Admitted,
        long Quantity, long Unknown);
}
