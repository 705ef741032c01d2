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
internal sealed class EventIdentities
{
    /// <summary>A retry within so many days is known to be one.</summary>
    public const int KeepDays = 35;

    private const int RowsAtOnce = 64;

    // of days that nobody writes to any more: the day before today is always asked itself, since another node's clock
    // may be behind
    private readonly Dictionary<int, IdentityFilter> _filters = [];

    public static int DayOf(long micros) => (int)(micros / (86_400 * Micros.PerSecond));

    public static string TableOf(int day) => $"event_ids_{day}";

    /// <summary>Remembers these events, inside the drain's transaction.</summary>
    /// <param name="today">Business time.</param>
    /// <param name="drops">Filled with days whose tables were dropped, to be told after the commit.</param>
    /// <returns>Those that were never seen before, each once.</returns>
    public async Task<List<EventGroup>> TakeAsync(
        DbConnection db, uint journal, int today, List<EventGroup> events, List<int> drops)
    {
        var days = await OpenDayAsync(db, today, drops);
        var duplicates = new List<(int Day, UInt128 Identity)>();
        var fresh = new Dictionary<UInt128, EventGroup>(events.Count);
        foreach (var group in events)
            if (!fresh.TryAdd(group.Identity, group)) duplicates.Add((today, group.Identity));
        foreach (var day in days.Where(d => d != today))
        {
            foreach (var known in await KnownAsync(db, day, today, fresh.Keys))
            {
                fresh.Remove(known);
                duplicates.Add((day, known));
            }
        }

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
    public async Task<List<UInt128>> FindAsync(DbConnection db, int today, IReadOnlyCollection<UInt128> identities)
    {
        var found = new List<UInt128>();
        foreach (var day in await db.QueryAsync<long>("select day from event_days"))
            found.AddRange(await KnownAsync(db, (int)day, today, identities));
        return found;
    }

    /// <summary>Forgets the filters of tables that are gone. Called after the commit.</summary>
    public void Forget(IEnumerable<int> days)
    {
        foreach (var day in days) _filters.Remove(day);
    }

    private static async Task<List<int>> OpenDayAsync(DbConnection db, int today, List<int> drops)
    {
        var days = (await db.QueryAsync<long>("select day from event_days")).Select(d => (int)d).ToList();
        if (!days.Contains(today))
        {
            await db.ExecuteAsync($"create table if not exists {TableOf(today)} (high bigint not null, low bigint not null, " +
                "journal bigint not null, sequence bigint not null, duplicates bigint not null, " +
                $"primary key (high, low)){Storage.Sql.Clustered(db)}");
            await db.ExecuteAsync("insert into event_days (day) values (@today) on conflict do nothing", new { today });
            days.Add(today);
        }

        foreach (var old in days.Where(d => d < today - KeepDays).ToArray())
        {
            await db.ExecuteAsync($"drop table if exists {TableOf(old)}");
            await db.ExecuteAsync("delete from event_days where day = @old", new { old });
            days.Remove(old);
            drops.Add(old);
        }

        return days;
    }

    /// <summary>Which of these were counted on that day.</summary>
    private async Task<List<UInt128>> KnownAsync(
        DbConnection db, int day, int today, IReadOnlyCollection<UInt128> identities)
    {
        var known = new List<UInt128>();
        var filter = Math.Abs(day - today) > 1 ? await FilterAsync(db, day) : null;
        var asked = identities.Where(i => filter?.MayContain(i) != false);
        if (db is SqliteConnection sqlite)
        {
            var keys = asked.Order().ToArray();
            return SqliteRollups.Which(sqlite, $"select 1 from {TableOf(day)} where high = ?1 and low = ?2", keys.Length,
                (row, values) => Fill(keys[row], values), columns: 2).ConvertAll(row => keys[row]);
        }

        foreach (var chunk in asked.Chunk(RowsAtOnce))
        {
            await using var command = db.CreateCommand();
            command.CommandText = $"select high, low from {TableOf(day)} where " +
                string.Join(" or ", chunk.Select((_, i) => $"(high = @h{i} and low = @l{i})"));
            for (var i = 0; i < chunk.Length; i++) AddKey(command, i, chunk[i]);
            await ReadKeysAsync(command, known);
        }

        return known;
    }

    private async Task<IdentityFilter> FilterAsync(DbConnection db, int day)
    {
        if (_filters.TryGetValue(day, out var known)) return known;
        var count = await db.ExecuteScalarAsync<long>($"select count(*) from {TableOf(day)}");
        var filter = new IdentityFilter(count);
        await foreach (var (high, low) in db.QueryUnbufferedAsync<(long, long)>($"select high, low from {TableOf(day)}"))
            filter.Add(new UInt128((ulong)high, (ulong)low));
        return _filters[day] = filter;
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

/// <summary>
/// Says of most identities that they are not in a table, without reading it. Twelve bits for each and four bits
/// looked at: about one in two hundred of those that are not there has to be looked up.
/// </summary>
internal sealed class IdentityFilter(long count)
{
    private readonly ulong[] _bits = new ulong[Math.Max(1, (count * 12 + 63) / 64)];

    public void Add(UInt128 identity)
    {
        for (var i = 0; i < 4; i++)
        {
            var bit = BitOf(identity, i);
            _bits[bit >> 6] |= 1UL << (int)(bit & 63);
        }
    }

    public bool MayContain(UInt128 identity)
    {
        for (var i = 0; i < 4; i++)
        {
            var bit = BitOf(identity, i);
            if ((_bits[bit >> 6] & (1UL << (int)(bit & 63))) == 0) return false;
        }

        return true;
    }

    /// <summary>The identity is a hash already: its two halves give any number of independent places.</summary>
    private ulong BitOf(UInt128 identity, int i) =>
        ((ulong)identity + (ulong)i * ((ulong)(identity >> 64) | 1)) % ((ulong)_bits.Length * 64);
}
