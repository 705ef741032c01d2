using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config.File;

namespace Tollgate.Config;

/// <summary>The SQL of meters' integer keys. What a name once stood for it stands for until the end.</summary>
public static class MeterKeys
{
    /// <summary>A record of the journal has two bytes for a meter.</summary>
    public const int Most = ushort.MaxValue;

    /// <summary>Every meter that ever was published, by name.</summary>
    public static async Task<Dictionary<string, Meter>> AllAsync(DbConnection db) =>
        (await db.QueryAsync<(long Key, string Name, string Aggregation, long Scale, long KeepsValues)>(
            "select key, name, aggregation, scale, keeps_values from meter_keys"))
        .ToDictionary(m => m.Name, m => new Meter((int)m.Key, m.Name, Meter.FindAggregation(m.Aggregation)!.Value, (int)m.Scale)
        {
            KeepsValues = m.KeepsValues != 0,
        }, StringComparer.Ordinal);

    /// <summary>The meters with their keys; those that have none yet get one.</summary>
    public static async Task<IReadOnlyDictionary<string, Meter>> GiveAsync(DbConnection db, IEnumerable<Meter> meters)
    {
        var all = await AllAsync(db);
        foreach (var meter in meters)
        {
            if (all.ContainsKey(meter.Name)) continue;
            var key = await db.ExecuteScalarAsync<int>(
                "insert into meter_keys (name, aggregation, scale, keeps_values) values " +
                "(@Name, @aggregation, @Scale, @keeps) returning key",
                new
                {
                    meter.Name,
                    aggregation = Meter.NameOf(meter.Aggregation),
                    meter.Scale,
                    keeps = meter.KeepsValues ? 1 : 0,
                });
            all[meter.Name] = meter with { Key = key };
        }

        return all;
    }

    /// <summary>Meters of a file that would change the meaning of what is stored under their names, and too many of
    /// them.</summary>
    public static async Task<IReadOnlyList<Problem>> ClashesAsync(DbConnection db, IReadOnlyList<FileMeter> meters)
    {
        var all = await AllAsync(db);
        var problems = new List<Problem>();
        foreach (var (name, document) in meters)
        {
            if (!all.TryGetValue(name, out var stored)) continue;
            var was = Meter.NameOf(stored.Aggregation);
            if (was == document.Aggregation && stored.Scale == document.Scale && stored.KeepsValues == document.KeepValues)
                continue;
            problems.Add(new Problem(Code.MeterChanged, $"The meter '{name}' is a {was} of scale {stored.Scale}" +
                $"{(stored.KeepsValues ? " that keeps its values" : "")}, and usage may be stored under it: its aggregation, " +
                "its scale and whether it keeps values never change. Give the new one another name.",
                $"meters.{name}"));
        }

        if (all.Count + meters.Count(m => !all.ContainsKey(m.Name)) > Most)
            problems.Add(new Problem(Code.TooMany, $"More than {Most} meters have been published in the life of this " +
                "store: use names again.", "meters"));
        return problems;
    }
}
