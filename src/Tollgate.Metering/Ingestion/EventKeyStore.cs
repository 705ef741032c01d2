using System.Collections.Concurrent;
using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>The SQL of the numbers that stand for texts of events in the journal: subjects and sets of dimensions.
/// Numbers are never given again, so what is known is known for ever.</summary>
internal sealed class EventKeyStore(Database database)
{
    /// <summary>Different subjects in the life of a store, and different sets of dimensions.</summary>
    public const int MostSubjects = 10_000_000, MostSets = 1_000_000;

    private const int MostKnown = 500_000, AtOnce = 100;

    private readonly ConcurrentDictionary<string, int> _subjects = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> _sets = new(StringComparer.Ordinal);

    /// <summary>0 when it is not known in memory.</summary>
    public int Subject(string subject) => _subjects.GetValueOrDefault(subject);

    /// <summary>0 when it is not known in memory.</summary>
    public int Set(string dimensions) => _sets.GetValueOrDefault(dimensions);

    /// <summary>Gives numbers to texts that have none. Where there are too many already, none is given.</summary>
    public async Task LearnAsync(IReadOnlyCollection<string> subjects, IReadOnlyCollection<string> sets)
    {
        if (subjects.Count > 0)
            await LearnAsync("event_subjects", "subject", MostSubjects, subjects, _subjects);
        if (sets.Count > 0)
            await LearnAsync("dimension_sets", "dimensions", MostSets, sets, _sets);
    }

    private async Task LearnAsync(
        string table, string column, long most, IReadOnlyCollection<string> texts, ConcurrentDictionary<string, int> known)
    {
        if (known.Count > MostKnown) known.Clear();
        var learned = await database.WriteAsync(async db =>
        {
            var rows = new List<(long Key, string Text)>();
            var room = most - await db.ExecuteScalarAsync<long>($"select coalesce(max(key), 0) from {table}");
            foreach (var chunk in texts.Chunk(AtOnce))
            {
                if (room < chunk.Length) rows.AddRange(await FindAsync(db, table, column, chunk));
                else rows.AddRange(await GiveAsync(db, table, column, chunk));
                room -= chunk.Length;
            }

            return rows;
        });
        foreach (var (key, text) in learned) known[text] = (int)key;
    }

    private static Task<IEnumerable<(long Key, string Text)>> FindAsync(
        DbConnection db, string table, string column, string[] texts) => db.QueryAsync<(long, string)>(
        $"select key, {column} from {table} where {column} in @texts", new { texts });

    private static async Task<IEnumerable<(long Key, string Text)>> GiveAsync(
        DbConnection db, string table, string column, string[] texts)
    {
        var parameters = new DynamicParameters();
        for (var i = 0; i < texts.Length; i++) parameters.Add($"t{i}", texts[i]);
        await db.ExecuteAsync(
            $"insert into {table} ({column}) values {string.Join(", ", texts.Select((_, i) => $"(@t{i})"))} " +
            $"on conflict ({column}) do nothing", parameters);
        return await FindAsync(db, table, column, texts);
    }
}
