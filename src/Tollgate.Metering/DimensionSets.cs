using System.Data.Common;
using System.Text.Json;
using Dapper;

namespace Tollgate.Metering;

/// <summary>The SQL of sets of dimensions, which stand as numbers in the journal and the rollups.</summary>
public static class DimensionSets
{
    public static IReadOnlyDictionary<string, string> None { get; } = new Dictionary<string, string>();

    /// <summary>All sets that usage of a meter has, by key.</summary>
    public static async Task<IReadOnlyDictionary<int, IReadOnlyDictionary<string, string>>> OfMeterAsync(
        DbConnection db, int meter)
    {
        var rows = await db.QueryAsync<(long Key, string Dimensions)>(
            "select d.key, d.dimensions from dimension_sets d where d.key in " +
            "(select distinct r.dimensions from rollups r where r.meter = @meter and r.dimensions <> 0)", new { meter });
        return rows.ToDictionary(r => (int)r.Key, r => Read(r.Dimensions));
    }

    public static IReadOnlyDictionary<string, string> Read(string json) =>
        JsonSerializer.Deserialize<SortedDictionary<string, string>>(json)!;

    /// <summary>The one text of a set: names in ordinal order.</summary>
    public static string Write(SortedDictionary<string, string> set) => JsonSerializer.Serialize(set);

    /// <summary>The key of a set; a new one gets one.</summary>
    public static Task<int> KeyAsync(DbConnection db, string dimensions) => db.ExecuteScalarAsync<int>(
        "insert into dimension_sets (dimensions) values (@dimensions) on conflict (dimensions) " +
        "do update set dimensions = excluded.dimensions returning key", new { dimensions });

    public static Task<long> CountAsync(DbConnection db) =>
        db.ExecuteScalarAsync<long>("select count(*) from dimension_sets");
}
