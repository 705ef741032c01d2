using System.Data.Common;
using System.IO.Compression;
using Dapper;

namespace Tollgate.Metering;

/// <summary>What became of a record from outside when it was drained.</summary>
internal readonly record struct OutsideStamp(bool Counts, int Entitlement, int Period, int Consumer)
{
    /// <summary>It came again, or its event was never whole.</summary>
    public static OutsideStamp Nothing => default;

    /// <summary>It waits for somebody whose it is.</summary>
    public static OutsideStamp Nobodys => new(true, 0, 0, 0);

    public bool IsSomebodys => Counts && Entitlement != 0;

    public static OutsideStamp Of(in Attributed whose) => new(true, whose.Entitlement, whose.Period, whose.Consumer);
}

/// <summary>
/// The stamps of a batch's records from outside, kept in the transaction of their sums: whose usage an event was is
/// known as exactly as of a call, whoever its subject is by now. Less than three bytes for each record of a full batch.
/// </summary>
internal sealed class OutsideStamps
{
    private readonly SortedDictionary<ulong, OutsideStamp> _stamps = [];

    public void Set(ulong sequence, in OutsideStamp stamp) => _stamps[sequence] = stamp;

    /// <summary>Keeps them, inside the drain's transaction.</summary>
    public async Task AddAsync(DbConnection db, uint journal)
    {
        if (_stamps.Count == 0) return;
        await db.ExecuteAsync("insert into outside_stamps (journal, first, next, stamps) values (@journal, @first, @next, @stamps)", new
        {
            journal = (long)journal,
            first = (long)_stamps.First().Key,
            next = (long)_stamps.Last().Key + 1,
            stamps = Packed(),
        });
    }

    /// <summary>The stamps of records within a stretch of sequences; those that were nobody's first with whose they became.
    /// </summary>
    /// <param name="db">The store.</param>
    /// <param name="journal">Whose records.</param>
    /// <param name="stretch">Half-open.</param>
    /// <param name="prefix">Of the names of the tables: a replay has put them aside.</param>
    /// <exception cref="InvalidDataException">A row is damaged.</exception>
    public static async Task<Dictionary<ulong, OutsideStamp>> ReadAsync(
        DbConnection db, uint journal, (ulong First, ulong Next) stretch, string prefix = "")
    {
        var stamps = new Dictionary<ulong, OutsideStamp>();
        var key = new { journal = (long)journal, first = (long)stretch.First, next = (long)Math.Min(stretch.Next, long.MaxValue) };
        foreach (var row in await db.QueryAsync<Row>($"select first, stamps from {prefix}outside_stamps " +
            "where journal = @journal and next > @first and first < @next order by first", key))
            Unpack(row, stamps);
        foreach (var later in await LaterAsync(db, journal, stretch, prefix))
            stamps[(ulong)later.Sequence] = new OutsideStamp(true, (int)later.Entitlement, (int)later.Period, (int)later.Consumer);
        return stamps;
    }

    /// <summary>Keeps whose a record became that had been nobody's.</summary>
    public static Task AddLaterAsync(DbConnection db, IEnumerable<(UnattributedRow Row, Attributed Whose)> became) => db.ExecuteAsync(
        "insert into later_stamps (journal, sequence, entitlement, period, consumer) " +
        "values (@Journal, @Sequence, @Entitlement, @Period, @Consumer)",
        became.Select(b => new { b.Row.Journal, b.Row.Sequence, b.Whose.Entitlement, b.Whose.Period, b.Whose.Consumer }));

    /// <summary>Records that are gone need no stamps.</summary>
    public static async Task DeleteAsync(DbConnection db, ArchiveFile gone)
    {
        var key = new { journal = (long)gone.Journal, first = (long)gone.First, next = (long)gone.Next };
        // a batch may reach into another file, or beyond what is archived: its stamps go with the last that holds a part of it
        await db.ExecuteAsync("delete from outside_stamps where journal = @journal and next > @first and first < @next " +
            "and next <= (select max(a.next) from archive_files a where a.journal = @journal) " +
            "and not exists (select 1 from archive_files a where a.journal = @journal and a.deleted_at is null " +
            "and a.first < outside_stamps.next and a.next > outside_stamps.first)", key);
        await db.ExecuteAsync("delete from later_stamps where journal = @journal and sequence >= @first and sequence < @next", key);
    }

    private static async Task<IEnumerable<Later>> LaterAsync(
        DbConnection db, uint journal, (ulong First, ulong Next) stretch, string prefix) => await db.QueryAsync<Later>(
        $"select sequence, entitlement, period, consumer from {prefix}later_stamps where journal = @journal and " +
        "sequence >= @first and sequence < @next",
        new { journal = (long)journal, first = (long)stretch.First, next = (long)Math.Min(stretch.Next, long.MaxValue) });

    /// <summary>The different stamps, then for each record how many sequences it is further, and which stamp it has.</summary>
    private byte[] Packed()
    {
        var kinds = _stamps.Values.Distinct().Select((stamp, i) => (stamp, i)).ToDictionary(s => s.stamp, s => s.i);
        using var bytes = new MemoryStream();
        using (var packed = new BinaryWriter(new ZLibStream(bytes, CompressionLevel.Fastest)))
        {
            packed.Write7BitEncodedInt(kinds.Count);
            foreach (var kind in kinds.Keys)
            {
                packed.Write(kind.Counts);
                packed.Write7BitEncodedInt(kind.Entitlement);
                packed.Write7BitEncodedInt(kind.Period);
                packed.Write7BitEncodedInt(kind.Consumer);
            }

            packed.Write7BitEncodedInt(_stamps.Count);
            var at = _stamps.First().Key;
            foreach (var (sequence, stamp) in _stamps)
            {
                packed.Write7BitEncodedInt64((long)(sequence - at));
                packed.Write7BitEncodedInt(kinds[stamp]);
                at = sequence;
            }
        }

        return bytes.ToArray();
    }

    private static void Unpack(Row row, Dictionary<ulong, OutsideStamp> into)
    {
        try
        {
            using var packed = new BinaryReader(new ZLibStream(new MemoryStream(row.Stamps), CompressionMode.Decompress));
            var kinds = new OutsideStamp[Bounded(packed.Read7BitEncodedInt())];
            for (var i = 0; i < kinds.Length; i++)
                kinds[i] = new OutsideStamp(packed.ReadBoolean(), packed.Read7BitEncodedInt(), packed.Read7BitEncodedInt(),
                    packed.Read7BitEncodedInt());
            var at = (ulong)row.First;
            for (var left = Bounded(packed.Read7BitEncodedInt()); left > 0; left--)
            {
                at += (ulong)packed.Read7BitEncodedInt64();
                into[at] = kinds[packed.Read7BitEncodedInt()];
            }
        }
        catch (Exception e) when (e is IOException or FormatException or IndexOutOfRangeException or InvalidDataException)
        {
            throw new InvalidDataException($"The stamps of events from sequence {row.First} on are damaged: {e.Message}", e);
        }
    }

    private static int Bounded(int count) => count is >= 0 and <= UsageDrain.BatchSize ? count
        : throw new FormatException($"{count} are more than a batch has");

    private sealed class Row
    {
        public long First { get; init; }

        public byte[] Stamps { get; init; } = [];
    }

    private sealed record Later(long Sequence, long Entitlement, long Period, long Consumer);
}
