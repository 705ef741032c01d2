using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>
/// The filters of days that are over: made once from the day's table, kept in the store, and read when an event is asked for.
/// A day without one is asked itself, so nothing waits for them; a start reads at most 35 × 4 MiB, however many events
/// there were.
/// </summary>
internal sealed class EventFilters
{
    /// <summary>A day is over two days later: clocks of nodes differ by less than one.</summary>
    public const int SealAfterDays = 2;

    private const int RowsAtOnce = 65_536;

    private readonly Dictionary<int, Kept> _kept = [];

    /// <summary>The days that have tables, and how many identities their filters know; -1 without a filter.</summary>
    public async Task<Dictionary<int, long>> DaysAsync(DbConnection db)
    {
        var days = (await db.QueryAsync<(long Day, long Identities)>("select d.day, coalesce(f.identities, -1) as identities " +
            "from event_days d left join event_filters f on f.day = d.day")).ToDictionary(d => (int)d.Day, d => d.Identities);
        foreach (var gone in _kept.Keys.Where(d => !days.ContainsKey(d)).ToArray()) _kept.Remove(gone);
        return days;
    }

    /// <summary>The filter of a day.</summary>
    /// <param name="db">Where it is, if this process has not read it.</param>
    /// <param name="day">Which.</param>
    /// <param name="identities">What <see cref="DaysAsync"/> says of it; a filter that was made anew knows more of them.</param>
    public async Task<IdentityFilter?> FindAsync(DbConnection db, int day, long identities)
    {
        if (identities < 0) return null;
        if (_kept.TryGetValue(day, out var kept) && kept.Identities == identities) return kept.Filter;
        var filter = await ReadAsync(db, day);
        if (filter is not null) _kept[day] = new Kept(identities, filter);
        return filter;
    }

    /// <summary>Somebody writes to this day after all, so its filter does not know it any more.</summary>
    public static Task UnsealAsync(DbConnection db, int day) =>
        db.ExecuteAsync("delete from event_filters where day = @day", new { day });

    /// <summary>Makes the filters that are missing, a day at a time; others write to the store meanwhile.</summary>
    public static async Task SealAsync(Database database, int today, CancellationToken cancel)
    {
        foreach (var day in await database.ReadAsync(db => UnsealedAsync(db, today), cancel))
        {
            var filter = await MakeAsync(day, read => database.ReadAsync(read, cancel));
            await database.WriteAsync(db => AddAsync(db, day, filter), cancel);
        }
    }

    /// <summary>Makes them within a transaction of one's own.</summary>
    public static async Task SealAsync(DbConnection db, int today)
    {
        foreach (var day in await UnsealedAsync(db, today)) await AddAsync(db, day, await MakeAsync(day, read => read(db)));
    }

    /// <summary>What a filter does not know though it stands in its table, in words.</summary>
    public static async Task<string?> FaultAsync(DbConnection db, int day)
    {
        if (await ReadAsync(db, day) is not { } filter) return null;
        long unknown = 0;
        await foreach (var (high, low) in db.QueryUnbufferedAsync<(long, long)>(
            $"select high, low from {EventIdentities.TableOf(day)}"))
            if (!filter.MayContain(new UInt128((ulong)high, (ulong)low))) unknown++;
        return unknown == 0 ? null : $"event_filters of the day {day} does not know {unknown} identities of events that were " +
            "counted: delete that row, and it is made again";
    }

    private static async Task<List<int>> UnsealedAsync(DbConnection db, int today) => (await db.QueryAsync<long>(
        "select day from event_days where day <= @last and day not in (select day from event_filters) order by day desc",
        new { last = today - SealAfterDays })).Select(d => (int)d).ToList();

    private static async Task<(IdentityFilter Bits, long Count)> MakeAsync(
        int day, Func<Func<DbConnection, Task<List<UInt128>>>, Task<List<UInt128>>> read)
    {
        // small reads: a long one would keep SQLite from emptying its log
        var table = EventIdentities.TableOf(day);
        var counted = await read(async db => [(UInt128)await db.ExecuteScalarAsync<long>($"select count(*) from {table}")]);
        var filter = IdentityFilter.Of((long)counted[0]);
        var (rows, high, low) = (0L, long.MinValue, long.MinValue);
        while (true)
        {
            var key = new { high, low, most = RowsAtOnce };
            var some = await read(async db => (await db.QueryAsync<(long High, long Low)>($"select high, low from {table} " +
                $"where (high, low) {(rows == 0 ? ">=" : ">")} (@high, @low) order by high, low limit @most", key))
                .Select(r => new UInt128((ulong)r.High, (ulong)r.Low)).ToList());
            foreach (var identity in some) filter.Add(identity);
            rows += some.Count;
            if (some.Count < RowsAtOnce) return (filter, rows);
            (high, low) = ((long)(ulong)(some[^1] >> 64), (long)(ulong)some[^1]);
        }
    }

    /// <summary>Keeps a filter, unless the day has changed since it was made, is dropped, or another node was faster.</summary>
    private static async Task<int> AddAsync(DbConnection db, int day, (IdentityFilter Bits, long Count) made)
    {
        if (await db.ExecuteScalarAsync<long>("select count(*) from event_days where day = @day", new { day }) == 0) return 0;
        if (await db.ExecuteScalarAsync<long>($"select count(*) from {EventIdentities.TableOf(day)}") != made.Count) return 0;
        return await db.ExecuteAsync("insert into event_filters (day, identities, looks, bits) " +
            "values (@day, @count, @looks, @bits) on conflict do nothing",
            new { day, count = made.Count, looks = made.Bits.Looks, bits = made.Bits.Bits });
    }

    private static async Task<IdentityFilter?> ReadAsync(DbConnection db, int day) =>
        await db.QueryFirstOrDefaultAsync<Row>("select looks, bits from event_filters where day = @day", new { day }) is
            { Bits.Length: >= 64, Looks: > 0 and <= 7 } row ? new IdentityFilter(row.Bits, (int)row.Looks) : null;

    private sealed record Kept(long Identities, IdentityFilter Filter);

    private sealed class Row
    {
        public long Looks { get; init; }

        public byte[] Bits { get; init; } = [];
    }
}

/// <summary>
/// Says of most identities that they are not in a table, without reading it. Twelve bits for each and four looks, all within 64
/// bytes, so that about one in a hundred of those that are not there has to be looked up; above 2.8 million identities fewer
/// bits for each, and more that have to be looked up. Sorted identities read it from its beginning to its end.
/// </summary>
internal sealed class IdentityFilter(byte[] bits, int looks)
{
    /// <summary>All days together are 140 MiB.</summary>
    public const int MostBytes = 4 << 20;

    private const int BitsOfEach = 12, MostLooks = 4, BlockBytes = 64;

    public byte[] Bits => bits;

    /// <summary>Bits that are looked at for each identity.</summary>
    public int Looks => looks;

    public static IdentityFilter Of(long count)
    {
        var blocks = Math.Clamp((count * BitsOfEach + 8 * BlockBytes - 1) / (8 * BlockBytes), 1, MostBytes / BlockBytes);
        var bytes = blocks * BlockBytes;
        return new IdentityFilter(new byte[bytes], (int)Math.Clamp(bytes * 8 * 0.69 / Math.Max(count, 1), 1, MostLooks));
    }

    public void Add(UInt128 identity)
    {
        var block = BlockOf(identity);
        var places = (ulong)identity;
        for (var i = 0; i < looks; i++, places >>= 9) block[(int)(places & 511) >> 3] |= (byte)(1 << (int)(places & 7));
    }

    public bool MayContain(UInt128 identity)
    {
        var block = BlockOf(identity);
        var places = (ulong)identity;
        for (var i = 0; i < looks; i++, places >>= 9)
            if ((block[(int)(places & 511) >> 3] & (1 << (int)(places & 7))) == 0) return false;
        return true;
    }

    /// <summary>The identity is a hash already: one half says which block, the other which bits of it.</summary>
    private Span<byte> BlockOf(UInt128 identity) => bits.AsSpan(
        (int)Math.BigMul((ulong)(identity >> 64), (ulong)(bits.Length / BlockBytes), out _) * BlockBytes, BlockBytes);
}
