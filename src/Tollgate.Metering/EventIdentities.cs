using System.Data.Common;
using Dapper;
using Microsoft.Data.Sqlite;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>
/// Which events were counted before: their identities of the last 35 days, a table for each day on which they were
/// drained. An identity is remembered in the transaction of its effect, so a retry that arrives at any moment counts
/// nothing. A table is dropped whole when its day is over for long.
/// </summary>
/// <param name="seals">Whether filters are made as days pass, within the transactions; else somebody calls
/// <see cref="EventFilters.SealAsync(Storage.Database, int, CancellationToken)"/>.</param>
internal sealed class EventIdentities(bool seals)
{
    /// <summary>A retry within so many days is known to be one.</summary>
    public const int KeepDays = 35;

    private const int RowsAtOnce = 64;

    /// <summary>So many change more pages than SQLite keeps in memory by itself.</summary>
    private const int Many = 4_096;

    private readonly EventFilters _filters = new();

    public static int DayOf(long micros) => (int)(micros / (86_400 * Micros.PerSecond));

    public static string TableOf(int day) => $"event_ids_{day}";

    /// <summary>Remembers these events, inside the drain's transaction.</summary>
    /// <param name="today">Business time.</param>
    /// <returns>Those that were never seen before, each once.</returns>
    public async Task<List<EventGroup>> TakeAsync(
        DbConnection db, uint journal, int today, List<EventGroup> events)
    {
        if (events.Count > Many) await Storage.Sql.WidenAsync(db);
        var days = await OpenDayAsync(db, today);
        var duplicates = new List<(int Day, UInt128 Identity)>();
        var fresh = new Dictionary<UInt128, EventGroup>(events.Count);
        foreach (var group in events)
            if (!fresh.TryAdd(group.Identity, group)) duplicates.Add((today, group.Identity));
        var keys = fresh.Keys.Order().ToArray();
        foreach (var (day, filtered) in days.Where(d => d.Key != today))
            foreach (var known in await KnownAsync(db, day, filtered, keys))
                if (fresh.Remove(known)) duplicates.Add((day, known));

        var added = new List<EventGroup>(fresh.Count);
        // in the order of the key: neighbours change the same pages, and two nodes never wait for each other's rows in a ring
        var sorted = fresh.Values.OrderBy(g => (long)(ulong)(g.Identity >> 64)).ThenBy(g => (long)(ulong)g.Identity).ToArray();
        foreach (var chunk in db is SqliteConnection ? [sorted] : sorted.Chunk(RowsAtOnce))
        {
            var inserted = await InsertAsync(db, journal, today, chunk);
            foreach (var group in chunk)
            {
                if (inserted.Contains(group.Identity)) added.Add(group);
                else duplicates.Add((today, group.Identity));
            }
        }

        foreach (var (day, identity) in duplicates)
            await db.ExecuteAsync(
                $"update {TableOf(day)} set duplicates = duplicates + 1 where high = @High and low = @Low", Key(identity));
        return added;
    }

    /// <summary>Which of these are remembered.</summary>
    public async Task<List<UInt128>> FindAsync(DbConnection db, IReadOnlyCollection<UInt128> identities)
    {
        var found = new List<UInt128>();
        var sorted = identities.Order().ToArray();
        foreach (var (day, filtered) in await _filters.DaysAsync(db))
            found.AddRange(await KnownAsync(db, day, filtered, sorted));
        return found;
    }

    /// <returns>The days that are remembered, and how many identities their filters know; -1 without a filter.</returns>
    private async Task<Dictionary<int, long>> OpenDayAsync(DbConnection db, int today)
    {
        var days = await _filters.DaysAsync(db);
        if (!days.TryGetValue(today, out var filtered))
        {
            await db.ExecuteAsync($"create table if not exists {TableOf(today)} (high bigint not null, low bigint not null, " +
                "journal bigint not null, sequence bigint not null, duplicates bigint not null, " +
                $"primary key (high, low)){Storage.Sql.Clustered(db)}");
            await db.ExecuteAsync("insert into event_days (day) values (@today) on conflict do nothing", new { today });
            if (seals)
            {
                await EventFilters.SealAsync(db, today);
                days = await _filters.DaysAsync(db);
            }
        }
        else if (filtered >= 0) await EventFilters.UnsealAsync(db, today); // a clock that jumped back

        foreach (var old in days.Keys.Where(d => d < today - KeepDays).ToArray())
        {
            await db.ExecuteAsync($"drop table if exists {TableOf(old)}");
            await db.ExecuteAsync("delete from event_days where day = @old", new { old });
            await EventFilters.UnsealAsync(db, old);
            days.Remove(old);
        }

        return days;
    }

    /// <summary>Which of these were counted on that day.</summary>
    private async Task<List<UInt128>> KnownAsync(
        DbConnection db, int day, long filtered, UInt128[] sorted)
    {
        var known = new List<UInt128>();
        var filter = await _filters.FindAsync(db, day, filtered);
        var keys = filter is null ? sorted : Array.FindAll(sorted, filter.MayContain);
        if (keys.Length == 0) return known;
        if (db is SqliteConnection sqlite)
            return SqliteRollups.Which(sqlite, $"select 1 from {TableOf(day)} where high = ?1 and low = ?2", keys.Length,
                (row, values) => Fill(keys[row], values), columns: 2).ConvertAll(row => keys[row]);
        foreach (var chunk in keys.Chunk(RowsAtOnce))
        {
            await using var command = db.CreateCommand();
            command.CommandText = $"select high, low from {TableOf(day)} where " +
                string.Join(" or ", chunk.Select((_, i) => $"(high = @h{i} and low = @l{i})"));
            for (var i = 0; i < chunk.Length; i++) AddKey(command, i, chunk[i]);
            await ReadKeysAsync(command, known);
        }

        return known;
    }

    private static async Task<HashSet<UInt128>> InsertAsync(
        DbConnection db, uint journal, int today, EventGroup[] events)
    {
        if (db is SqliteConnection sqlite)
            return SqliteRollups.Which(sqlite, $"insert into {TableOf(today)} (high, low, journal, sequence, duplicates) " +
                "values (?1, ?2, ?3, ?4, 0) on conflict (high, low) do nothing", events.Length, (row, values) =>
                {
                    Fill(events[row].Identity, values);
                    (values[2], values[3]) = (journal, (long)events[row].Sequence);
                }, columns: 4).Select(row => events[row].Identity).ToHashSet();
        await using var command = db.CreateCommand();
        command.CommandText =
            $"insert into {TableOf(today)} (high, low, journal, sequence, duplicates) values " +
            string.Join(", ", events.Select((_, i) => $"(@h{i}, @l{i}, @j, @s{i}, 0)")) +
            " on conflict (high, low) do nothing returning high, low";
        Add(command, "@j", journal);
        for (var i = 0; i < events.Length; i++)
        {
            AddKey(command, i, events[i].Identity);
            Add(command, $"@s{i}", (long)events[i].Sequence);
        }

        var added = new HashSet<UInt128>();
        await ReadKeysAsync(command, added);
        return added;
    }

    private static async Task ReadKeysAsync(DbCommand command, ICollection<UInt128> into)
    {
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync()) into.Add(new UInt128((ulong)reader.GetInt64(0), (ulong)reader.GetInt64(1)));
    }

    private static void Fill(UInt128 identity, Span<long> values) =>
        (values[0], values[1]) = ((long)(ulong)(identity >> 64), (long)(ulong)identity);

    private static void AddKey(DbCommand command, int i, UInt128 identity)
    {
        Add(command, $"@h{i}", (long)(ulong)(identity >> 64));
        Add(command, $"@l{i}", (long)(ulong)identity);
    }

    private static void Add(DbCommand command, string name, long value)
    {
        var parameter = command.CreateParameter();
        parameter.ParameterName = name;
        parameter.DbType = System.Data.DbType.Int64;
        parameter.Value = value;
        command.Parameters.Add(parameter);
    }

    public static object Key(UInt128 identity) =>
        new { High = (long)(ulong)(identity >> 64), Low = (long)(ulong)identity };
}
