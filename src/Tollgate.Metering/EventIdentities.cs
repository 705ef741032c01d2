using System.Data.Common;
using Dapper;
using Microsoft.Data.Sqlite;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>
/// Which events were counted before: their identities of the last 35 days, in tables that are each of one day on which they
/// were drained. An identity is remembered in the transaction of its effect, so a retry that arrives at any moment counts
/// nothing. What looks and remembers takes turns over all nodes. A table is dropped whole when its day is over for long.
/// </summary>
/// <param name="seals">Whether filters of days that are over are made within the transactions; else somebody calls
/// <see cref="EventFilters.SealAsync(Database, int, CancellationToken)"/>.</param>
/// <param name="rows">Of the first parts of a day.</param>
internal sealed class EventIdentities(bool seals, int rows = EventPart.Rows)
{
    /// <summary>A retry within so many days is known to be one.</summary>
    public const int KeepDays = 35;

    /// <summary>So many change more pages than SQLite keeps in memory by itself.</summary>
    private const int Many = 4_096;

    private readonly EventFilters _filters = new();

    public static int DayOf(long micros) => (int)(micros / (86_400 * Micros.PerSecond));

    /// <param name="part">Its number; of the first part of a day that is the day.</param>
    public static string TableOf(int part) => $"event_ids_{part}";

    /// <summary>Remembers these events, inside the drain's transaction.</summary>
    /// <param name="today">Business time.</param>
    /// <returns>Those that were never seen before, each once.</returns>
    public async Task<List<EventGroup>> TakeAsync(
        DbConnection db, uint journal, int today, List<EventGroup> events)
    {
        // another node may be about to remember the same event, on another day
        await Sql.TakeTurnAsync(db, Turn.OfEvents);
        if (events.Count > Many) await Sql.WidenAsync(db);
        var (parts, current) = await OpenAsync(db, today);
        var duplicates = new List<(int Part, UInt128 Identity)>();
        var fresh = new Dictionary<UInt128, EventGroup>(events.Count);
        foreach (var group in events)
            if (!fresh.TryAdd(group.Identity, group)) duplicates.Add((current, group.Identity));
        var sorted = Sorted(fresh.Values);
        var keys = Array.ConvertAll(sorted, g => g.Identity);
        foreach (var part in parts.Where(p => p.Number != current))
            foreach (var known in await KnownAsync(db, part, keys))
                if (fresh.Remove(known)) duplicates.Add((part.Number, known));

        var added = new List<EventGroup>(fresh.Count);
        if (fresh.Count < sorted.Length) sorted = Array.FindAll(sorted, g => fresh.ContainsKey(g.Identity));
        var inserted = await InsertAsync(db, journal, current, sorted);
        foreach (var group in sorted)
        {
            if (inserted.Contains(group.Identity)) added.Add(group);
            else duplicates.Add((current, group.Identity));
        }

        if (added.Count > 0) await EventPart.GrowAsync(db, current, added.Count);
        foreach (var (part, identity) in duplicates)
            await db.ExecuteAsync(
                $"update {TableOf(part)} set duplicates = duplicates + 1 where high = @High and low = @Low", Key(identity));
        return added;
    }

    /// <summary>Which of these are remembered.</summary>
    public async Task<List<UInt128>> FindAsync(DbConnection db, IReadOnlyCollection<UInt128> identities)
    {
        var found = new List<UInt128>();
        var sorted = identities.Order().ToArray();
        foreach (var part in await _filters.PartsAsync(db)) found.AddRange(await KnownAsync(db, part, sorted));
        return found;
    }

    public static object Key(UInt128 identity) => new { High = High(identity), Low = Low(identity) };

    /// <returns>What is remembered, and the part that takes what is new.</returns>
    private async Task<(List<EventPart> Parts, int Current)> OpenAsync(DbConnection db, int today)
    {
        var parts = await _filters.PartsAsync(db);
        var ofToday = parts.Where(p => p.Day == today).ToArray();
        var last = ofToday.MaxBy(p => p.Number);
        var current = last?.Number ?? 0;
        if (last is null || last.IsSealed || last.Identities >= EventPart.RowsOf(ofToday.Sum(p => p.Identities), rows))
        {
            if (last is { IsSealed: false }) await EventFilters.SealAsync(db, last.Number);
            current = EventPart.Next(last, today);
            await EventPart.CreateAsync(db, current);
            if (seals) await EventFilters.SealOverAsync(db, today);
            parts = await _filters.PartsAsync(db);
        }

        foreach (var old in parts.Where(p => p.Day < today - KeepDays).ToArray())
        {
            await db.ExecuteAsync($"drop table if exists {TableOf(old.Number)}");
            await db.ExecuteAsync("delete from event_days where day = @Number", new { old.Number });
            await db.ExecuteAsync("delete from event_filters where day = @Number", new { old.Number });
            parts.Remove(old);
        }

        return (parts, current);
    }

    /// <summary>In the order of the key: neighbours change the same pages.</summary>
    private static EventGroup[] Sorted(ICollection<EventGroup> groups)
    {
        var sorted = groups.ToArray();
        // both halves are signed there
        Array.Sort(Array.ConvertAll(sorted, g => g.Identity ^ new UInt128(1UL << 63, 1UL << 63)), sorted);
        return sorted;
    }

    /// <summary>Which of these a part has.</summary>
    private async Task<List<UInt128>> KnownAsync(DbConnection db, EventPart part, UInt128[] sorted)
    {
        var filter = await _filters.FindAsync(db, part);
        var keys = filter is null ? sorted : Array.FindAll(sorted, filter.MayContain);
        if (keys.Length == 0) return [];
        if (db is SqliteConnection sqlite)
            return SqliteRollups.Which(sqlite, $"select 1 from {TableOf(part.Number)} where high = ?1 and low = ?2", keys.Length,
                (row, values) => Fill(keys[row], values), columns: 2).ConvertAll(row => keys[row]);
        await using var command = Command(db, $"select high, low from {TableOf(part.Number)} where (high, low) in " +
            "(select h, l from unnest(@high, @low) as k (h, l))", keys);
        var known = new List<UInt128>();
        await ReadKeysAsync(command, known);
        return known;
    }

    private static async Task<HashSet<UInt128>> InsertAsync(DbConnection db, uint journal, int part, EventGroup[] events)
    {
        if (db is SqliteConnection sqlite)
            return SqliteRollups.Which(sqlite, $"insert into {TableOf(part)} (high, low, journal, sequence, duplicates) " +
                "values (?1, ?2, ?3, ?4, 0) on conflict (high, low) do nothing", events.Length, (row, values) =>
                {
                    Fill(events[row].Identity, values);
                    (values[2], values[3]) = (journal, (long)events[row].Sequence);
                }, columns: 4).Select(row => events[row].Identity).ToHashSet();
        await using var command = Command(db, $"insert into {TableOf(part)} (high, low, journal, sequence, duplicates) " +
            "select h, l, @journal, s, 0 from unnest(@high, @low, @sequence) as k (h, l, s) " +
            "on conflict (high, low) do nothing returning high, low", Array.ConvertAll(events, e => e.Identity));
        Add(command, "@journal", (long)journal);
        Add(command, "@sequence", Array.ConvertAll(events, e => (long)e.Sequence));
        var added = new HashSet<UInt128>();
        await ReadKeysAsync(command, added);
        return added;
    }

    /// <summary>For a server, which answers once for all of them.</summary>
    private static DbCommand Command(DbConnection db, string sql, UInt128[] keys)
    {
        var command = db.CreateCommand();
        command.CommandText = sql;
        Add(command, "@high", Array.ConvertAll(keys, High));
        Add(command, "@low", Array.ConvertAll(keys, Low));
        return command;
    }

    private static void Add(DbCommand command, string name, object value)
    {
        var parameter = command.CreateParameter();
        parameter.ParameterName = name;
        parameter.Value = value;
        command.Parameters.Add(parameter);
    }

    private static async Task ReadKeysAsync(DbCommand command, ICollection<UInt128> into)
    {
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync()) into.Add(new UInt128((ulong)reader.GetInt64(0), (ulong)reader.GetInt64(1)));
    }

    private static void Fill(UInt128 identity, Span<long> values) => (values[0], values[1]) = (High(identity), Low(identity));

    private static long High(UInt128 identity) => (long)(ulong)(identity >> 64);

    private static long Low(UInt128 identity) => (long)(ulong)identity;
}
