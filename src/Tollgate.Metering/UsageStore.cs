using System.Data.Common;
using Dapper;
using NodaTime;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>The SQL that reads rollups. They are written by the drain alone.</summary>
public static class UsageStore
{
    /// <summary>The meter that always exists: every billable call.</summary>
    public const string Calls = Meter.CallsName;

    /// <summary>How <see cref="Calls"/> is numbered in rollups.</summary>
    public const int CallsKey = Meter.CallsKey;

    /// <summary>Length of a bucket, microseconds; buckets begin at multiples of it since 1970 UTC.</summary>
    public const long Bucket = 15 * 60 * Micros.PerSecond;

    /// <summary>An answer has no more rows than this; a question that would is refused.</summary>
    public const int MaxRows = 100_000;

    /// <summary>How many different values one window of a unique count may hold while it is counted.</summary>
    public const int MaxValues = 5_000_000;

    /// <summary>The meters that usage may be stored under, by name.</summary>
    public static async Task<IReadOnlyDictionary<string, Meter>> MetersAsync(DbConnection db) =>
        (await db.QueryAsync<(long Key, string Name, string Aggregation, long Scale, long KeepsValues)>(
            "select key, name, aggregation, scale, keeps_values from meter_keys order by key"))
        .ToDictionary(m => m.Name, m => new Meter((int)m.Key, m.Name,
            Meter.FindAggregation(m.Aggregation) ?? Aggregation.Sum, (int)m.Scale)
        {
            KeepsValues = m.KeepsValues != 0,
        }, StringComparer.Ordinal);

    /// <summary>
    /// The usage stamped with this entitlement and period, of every meter: per operation and set of dimensions where
    /// measurements add up, else one number over all of it. Its time is not looked at again: the stamp decides.
    /// </summary>
    /// <param name="period">Index in the subscription's calendar.</param>
    /// <param name="before">Microseconds: only what adds up, of quarters of an hour that began before; null for all.</param>
    /// <param name="detail">What more than sums is asked for; null for nothing.</param>
    public static async Task<IReadOnlyList<OperationUsage>> OfEntitlementAsync(
        DbConnection db, int entitlement, int period, long? before = null, UsageDetail? detail = null)
    {
        var byTime = detail?.ByTime == true;
        var meters = (await MetersAsync(db)).Values.ToDictionary(m => m.Key);
        const string additive = "(select key from meter_keys where aggregation in ('count', 'sum'))";
        const string whole = "(select key from meter_keys where aggregation not in ('count', 'sum'))";
        var sums = await db.QueryAsync<UsageSum>(
            $"select r.meter, r.dimensions, {UsageSql.Names}, {(byTime ? "r.bucket, " : "")}cast(sum(r.admitted) as bigint) as admitted, " +
            "cast(sum(r.quantity) as bigint) as quantity, cast(sum(r.unknown) as bigint) as unknown " +
            "from rollups r left join operation_keys o on o.key = r.operation " +
            $"where r.entitlement = @entitlement and r.period = @period and r.meter in {additive} " +
            (before is null ? "" : "and r.bucket < @before ") +
            "group by r.meter, r.dimensions, r.operation, o.api, o.operation, o.endpoint" +
            (byTime ? ", r.bucket" : "") + " order by 1, 4, 3, 2" + (byTime ? ", 6" : ""),
            new { entitlement, period, before });
        var usage = new List<OperationUsage>();
        foreach (var of in sums.GroupBy(r => meters[(int)r.Meter]))
            usage.AddRange(of.Key.KeepsValues && detail?.Singly.Contains(of.Key.Name) == true
                ? await SingleValues.ReadAsync(db, of.Key, (entitlement, period, before))
                : await NamedAsync(db, of.Key, of));
        var rows = await db.QueryAsync<UsageSum>(
            "select r.meter, r.quantity, r.items, r.latest_at from rollups r " +
            $"where r.entitlement = @entitlement and r.period = @period and r.meter in {whole} order by r.meter",
            new { entitlement, period });
        foreach (var of in rows.GroupBy(r => meters[(int)r.Meter]))
            usage.Add(await WholeAsync(db, of.Key, of, [(entitlement, period)]));
        return usage;
    }

    /// <summary>What a meter whose measurements do not add up comes to over several entitlements and periods.</summary>
    /// <param name="name">Of the meter.</param>
    /// <param name="stamps">Entitlement and period, as the usage is stamped.</param>
    public static async Task<OperationUsage> TogetherAsync(
        DbConnection db, string name, IReadOnlyList<(int Entitlement, int Period)> stamps)
    {
        var meter = (await MetersAsync(db))[name];
        var rows = new List<UsageSum>();
        foreach (var (entitlement, period) in stamps)
            rows.AddRange(await db.QueryAsync<UsageSum>(
                "select meter, quantity, items, latest_at from rollups where entitlement = @entitlement " +
                "and period = @period and meter = @Key", new { entitlement, period, meter.Key }));
        return await WholeAsync(db, meter, rows, stamps) with { Over = [.. stamps.Select(s => s.Entitlement)] };
    }

    /// <summary>Answers a question, rows ordered by window and then by the names of the groups.</summary>
    public static async Task<Result<IReadOnlyList<UsageRow>>> QueryAsync(DbConnection db, UsageQuery query)
    {
        var meters = await MetersAsync(db);
        var problems = UsageSql.Check(query, meters).ToArray();
        if (problems.Length > 0) return Result<IReadOnlyList<UsageRow>>.Refused(problems);
        var meter = meters[query.Meter];
        var windows = query.Window is { } unit
            ? new UsageWindows(unit, DateTimeZoneProviders.Tzdb[query.Timezone])
            : null;
        var sets = query.GroupByDimensions.Count + query.Where.Count > 0
            ? await DimensionSets.OfMeterAsync(db, meter.Key)
            : new Dictionary<int, IReadOnlyDictionary<string, string>>();
        var answer = new List<UsageRow>();
        var open = new UsageTallies(meter);
        var (start, end) = (query.From, query.To);
        await foreach (var row in db.QueryUnbufferedAsync<UsageSum>(
            UsageSql.Of(query, meter), UsageSql.Parameters(query, meter)))
        {
            var dimensions = sets.GetValueOrDefault((int)row.Dimensions) ?? DimensionSets.None;
            if (query.Where.Any(w => dimensions.GetValueOrDefault(w.Key) != w.Value)) continue;

            // buckets come in order of time, so one window is open at any moment
            if (windows is not null && (open.Count == 0 || row.Bucket >= end))
            {
                answer.AddRange(open.Close(start, end));
                (start, end) = windows.At(row.Bucket);
                start = Math.Max(start.Value, query.From ?? long.MinValue);
                end = Math.Min(end.Value, query.To ?? long.MaxValue);
            }

            open.Add(row, query.GroupByDimensions.Select(d => dimensions.GetValueOrDefault(d)));
            if (answer.Count + open.Count > MaxRows || open.Values > MaxValues) return UsageSql.TooMany;
        }

        answer.AddRange(open.Close(start, end));
        return answer;
    }

    private static async Task<IEnumerable<OperationUsage>> NamedAsync(
        DbConnection db, Meter meter, IEnumerable<UsageSum> rows)
    {
        var sets = rows.Any(r => r.Dimensions != 0) ? await DimensionSets.OfMeterAsync(db, meter.Key) : null;
        return rows.Select(r => new OperationUsage(
            r.Api!, r.Operation!, r.Endpoint!, r.Admitted, meter.Unscaled(r.Quantity), r.Unknown)
        {
            Meter = meter.Name,
            At = r.Bucket,
            Dimensions = sets?.GetValueOrDefault((int)r.Dimensions) ?? DimensionSets.None,
        });
    }

    private static async Task<OperationUsage> WholeAsync(
        DbConnection db, Meter meter, IEnumerable<UsageSum> rows, IReadOnlyList<(int Entitlement, int Period)> stamps)
    {
        var tally = rows.Aggregate(default(Tally), (sum, r) => sum.With(meter.Aggregation, r.Tally));
        var value = meter.Aggregation == Aggregation.UniqueCount
            ? await UniqueAsync(db, meter, stamps) : meter.ValueOf(tally);
        return new OperationUsage("", "", "", 0, value, 0) { Meter = meter.Name, Adds = false };
    }

    private static async Task<decimal> UniqueAsync(
        DbConnection db, Meter meter, IReadOnlyList<(int Entitlement, int Period)> stamps)
    {
        if (stamps is [var (entitlement, period)])
            return await db.ExecuteScalarAsync<long>(
                "select count(distinct value_hash) from unique_values " +
                "where entitlement = @entitlement and period = @period and meter = @Key", new { entitlement, period, meter.Key });
        var values = new HashSet<long>();
        foreach (var stamp in stamps)
            values.UnionWith(await db.QueryAsync<long>(
                "select distinct value_hash from unique_values where entitlement = @Entitlement and period = @Period " +
                "and meter = @Key", new { stamp.Entitlement, stamp.Period, meter.Key }));
        return values.Count;
    }
}
