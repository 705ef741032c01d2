using System.Data.Common;
using Dapper;

namespace Tollgate.Metering;

/// <summary>The SQL of the archive's own tables.</summary>
internal static class ArchiveStore
{
    private const string Columns =
        "journal, first, next, boot, bytes, checksum, records, holes, calls, quantity, min_at, max_at, deleted_at";

    public static async Task<IReadOnlyList<ArchiveFile>> FilesAsync(DbConnection db, bool alsoDeleted = false) =>
        (await db.QueryAsync<Row>($"select {Columns} from archive_files " +
            (alsoDeleted ? "" : "where deleted_at is null ") + "order by journal, first")).Select(r => r.File).ToArray();

    /// <summary>The file that holds a record, if it was archived.</summary>
    public static async Task<ArchiveFile?> FindAsync(DbConnection db, uint journal, ulong sequence) =>
        (await db.QuerySingleOrDefaultAsync<Row>($"select {Columns} from archive_files " +
            "where journal = @journal and first <= @sequence and next > @sequence",
            new { journal = (long)journal, sequence = (long)sequence }))?.File;

    /// <summary>Everything of the journal before this is in the archive.</summary>
    public static async Task<ulong> ArchivedAsync(DbConnection db, uint journal) =>
        (ulong)(await db.ExecuteScalarAsync<long?>("select max(next) from archive_files where journal = @journal",
            new { journal = (long)journal }) ?? 0);

    public static Task AddAsync(DbConnection db, ArchiveFile file, long now) => db.ExecuteAsync(
        "insert into archive_files (journal, first, next, boot, name, bytes, checksum, records, holes, calls, quantity, " +
        "min_at, max_at, created_at) values (@Journal, @First, @Next, @Boot, @Name, @Bytes, @Checksum, @Records, @Holes, " +
        "@Calls, @Quantity, @MinAt, @MaxAt, @now)",
        new
        {
            Journal = (long)file.Journal,
            First = (long)file.First,
            Next = (long)file.Next,
            Boot = (long)file.Boot,
            file.Name,
            file.Bytes,
            file.Checksum,
            file.Records,
            file.Holes,
            file.Calls,
            file.Quantity,
            file.MinAt,
            file.MaxAt,
            now,
        });

    /// <summary>A file goes: from then on the journal's calls are complete only from after its last.</summary>
    public static async Task DeleteAsync(DbConnection db, ArchiveFile file, long now)
    {
        var key = new { Journal = (long)file.Journal, First = (long)file.First, now, from = file.MaxAt + 1 };
        await db.ExecuteAsync(
            "update archive_files set deleted_at = @now where journal = @Journal and first = @First", key);
        await db.ExecuteAsync(
            "update journals set complete_from = @from where id = @Journal and complete_from < @from", key);
        await OutsideStamps.DeleteAsync(db, file);
    }

    /// <summary>From when on journals and archive together hold every call.</summary>
    public static Task<long> CompleteFromAsync(DbConnection db) =>
        db.ExecuteScalarAsync<long>("select coalesce(max(complete_from), 0) from journals");

    public static Task BootAsync(DbConnection db, uint journal, uint boot, ulong first) => db.ExecuteAsync(
        "insert into journal_boots (journal, boot, first) values (@journal, @boot, @first) on conflict do nothing",
        new { journal = (long)journal, boot = (long)boot, first = (long)first });

    public static async Task<IReadOnlyDictionary<uint, ulong>> BootsAsync(DbConnection db, uint journal) =>
        (await db.QueryAsync<(long Boot, long First)>(
            "select boot, first from journal_boots where journal = @journal", new { journal = (long)journal }))
        .ToDictionary(b => (uint)b.Boot, b => (ulong)b.First);

    private sealed class Row
    {
        public long Journal { get; init; }

        public long First { get; init; }

        public long Next { get; init; }

        public long Boot { get; init; }

        public long Bytes { get; init; }

        public string Checksum { get; init; } = "";

        public long Records { get; init; }

        public long Holes { get; init; }

        public long Calls { get; init; }

        public long Quantity { get; init; }

        public long MinAt { get; init; }

        public long MaxAt { get; init; }

        public long? DeletedAt { get; init; }

        public ArchiveFile File => new()
        {
            Journal = (uint)Journal,
            First = (ulong)First,
            Next = (ulong)Next,
            Boot = (uint)Boot,
            Bytes = Bytes,
            Checksum = Checksum,
            Records = Records,
            Holes = Holes,
            Calls = Calls,
            Quantity = Quantity,
            MinAt = MinAt,
            MaxAt = MaxAt,
            DeletedAt = DeletedAt,
        };
    }
}
