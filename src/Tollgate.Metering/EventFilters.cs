using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>
/// The filters of parts that nobody writes to any more: made once from the part's table, kept in the store, and read when an
/// event is asked for. A part without one is asked itself, so nothing waits for them.
/// </summary>
internal sealed class EventFilters
{
    /// <summary>A day is over two days later: clocks of nodes differ by less than one.</summary>
    public const int SealAfterDays = 2;

    private const int RowsAtOnce = 65_536;

    private readonly Dictionary<int, Kept> _kept = [];

    /// <summary>The parts that have tables.</summary>
    public async Task<List<EventPart>> PartsAsync(DbConnection db)
    {
        var parts = (await db.QueryAsync<(long Number, long Identities, long Filtered)>(
            "select d.day, d.identities, coalesce(f.identities, -1) from event_days d left join event_filters f on f.day = d.day"))
            .Select(p => new EventPart((int)p.Number, p.Identities, p.Filtered)).ToList();
        if (_kept.Count > 0)
        {
            var there = parts.Select(p => p.Number).ToHashSet();
            foreach (var gone in _kept.Keys.Where(n => !there.Contains(n)).ToArray()) _kept.Remove(gone);
        }

        return parts;
    }

    /// <summary>The filter of a part.</summary>
    /// <param name="db">Where it is, if this process has not read it.</param>
    /// <param name="part">Which; a filter that was made anew knows more.</param>
    public async Task<IdentityFilter?> FindAsync(DbConnection db, EventPart part)
    {
        if (!part.IsSealed) return null;
        if (_kept.TryGetValue(part.Number, out var kept) && kept.Identities == part.Filtered) return kept.Filter;
        var filter = await ReadAsync(db, part.Number);
        if (filter is not null) _kept[part.Number] = new Kept(part.Filtered, filter);
        return filter;
    }

    /// <summary>Makes the filters that are missing of days that are over, a part at a time; others write to the store meanwhile.
    /// </summary>
    public static async Task SealAsync(Database database, int today, CancellationToken cancel)
    {
        foreach (var part in await database.ReadAsync(db => UnsealedAsync(db, today), cancel))
        {
            var filter = await MakeAsync(part, read => database.ReadAsync(read, cancel));
            await database.WriteAsync(Turn.OfEvents, db => AddAsync(db, part, filter), cancel);
        }
    }

    /// <summary>Makes them within a transaction of one's own.</summary>
    public static async Task SealOverAsync(DbConnection db, int today)
    {
        foreach (var part in await UnsealedAsync(db, today)) await SealAsync(db, part);
    }

    /// <summary>Makes the filter of one part, within the transaction that writes to no other than the next.</summary>
    public static async Task SealAsync(DbConnection db, int part) =>
        await AddAsync(db, part, await MakeAsync(part, read => read(db)));

    /// <summary>What a filter does not know though it stands in its table, in words.</summary>
    public static async Task<string?> FaultAsync(DbConnection db, int part)
    {
        if (await ReadAsync(db, part) is not { } filter) return null;
        long unknown = 0;
        await foreach (var (high, low) in db.QueryUnbufferedAsync<(long, long)>(
            $"select high, low from {EventIdentities.TableOf(part)}"))
            if (!filter.MayContain(new UInt128((ulong)high, (ulong)low))) unknown++;
        return unknown == 0 ? null : $"event_filters of the day {part} does not know {unknown} identities of events that were " +
            "counted: delete that row, and it is made again";
    }

    private static async Task<List<int>> UnsealedAsync(DbConnection db, int today) => (await db.QueryAsync<long>(
        "select day from event_days where day not in (select day from event_filters) order by day desc"))
        .Where(number => EventPart.DayOf(number) <= today - SealAfterDays).Select(number => (int)number).ToList();

    private static async Task<(IdentityFilter Bits, long Count)> MakeAsync(
        int part, Func<Func<DbConnection, Task<List<UInt128>>>, Task<List<UInt128>>> read)
    {
        // small reads: a long one would keep SQLite from emptying its log
        var table = EventIdentities.TableOf(part);
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

    /// <summary>Keeps a filter, unless the part has changed since it was made, is dropped, or another node was faster.</summary>
    private static async Task<int> AddAsync(DbConnection db, int part, (IdentityFilter Bits, long Count) made)
    {
        if (await db.ExecuteScalarAsync<long>("select count(*) from event_days where day = @part", new { part }) == 0) return 0;
        if (await db.ExecuteScalarAsync<long>($"select count(*) from {EventIdentities.TableOf(part)}") != made.Count) return 0;
        return await db.ExecuteAsync("insert into event_filters (day, identities, looks, bits) " +
            "values (@part, @count, @looks, @bits) on conflict do nothing",
            new { part, count = made.Count, looks = made.Bits.Looks, bits = made.Bits.Bits });
    }

    private static async Task<IdentityFilter?> ReadAsync(DbConnection db, int part) =>
        await db.QueryFirstOrDefaultAsync<Row>("select looks, bits from event_filters where day = @part", new { part }) is
            { Bits.Length: >= 64, Looks: > 0 and <= 7 } row ? new IdentityFilter(row.Bits, (int)row.Looks) : null;

    private sealed record Kept(long Identities, IdentityFilter Filter);

    private sealed class Row
    {
        public long Looks { get; init; }

        public byte[] Bits { get; init; } = [];
    }
}

/// <summary>
/// Says of most identities that they are not in a table, without reading it. Sixteen bits for each and six looks, all within 64
/// bytes, so that about two in a thousand of those that are not there have to be looked up; above 2 million identities fewer
/// bits for each, and more that have to be looked up. Sorted identities read it from its beginning to its end.
/// </summary>
internal sealed class IdentityFilter(byte[] bits, int looks)
{
    /// <summary>A part of more than two million identities has fewer bits for each.</summary>
    public const int MostBytes = 4 << 20;

    private const int BitsOfEach = 16, MostLooks = 6, BlockBytes = 64;

    public byte[] Bits => bits;

    /// <summary>Bits that are looked at for each identity.</summary>
    public int Looks => looks;

    public static IdentityFilter Of(long count)
    {
        var wanted = Math.Min(count, 8L * MostBytes) * BitsOfEach;
        var blocks = Math.Clamp((wanted + 8 * BlockBytes - 1) / (8 * BlockBytes), 1, MostBytes / BlockBytes);
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
