using System.Data.Common;
using Dapper;

namespace Tollgate.Metering;

/// <summary>A record of an event whose subject is nobody's yet.</summary>
internal sealed record UnattributedRow
{
    public long Journal { get; init; }

    public long Sequence { get; init; }

    public long Subject { get; init; }

    public long Meter { get; init; }

    public long Operation { get; init; }

    public long Method { get; init; }

    public long Dimensions { get; init; }

    public long OccurredAt { get; init; }

    public long Quantity { get; init; }

    public static UnattributedRow Of(uint journal, in JournalRecord record) => new()
    {
        Journal = journal,
        Sequence = (long)record.Sequence,
        Subject = record.Subject,
        Meter = record.Meter,
        Operation = record.Admission.Operation,
        Method = record.Admission.Method,
        Dimensions = record.Dimensions,
        OccurredAt = record.Admission.AdmittedAt,
        Quantity = record.Quantity,
    };

    public RollupKey RowOf(in Attributed whose) => new(
        whose.Entitlement, whose.Period, whose.Consumer, (int)Meter, (int)Operation, (byte)Method, (int)Dimensions,
        RollupKey.BucketOf(OccurredAt));
}

/// <summary>The SQL of usage that waits for somebody whose it is.</summary>
internal static class UnattributedStore
{
    private const string Columns =
        "journal, sequence, subject, meter, operation, method, dimensions, occurred_at, quantity";

    public static Task AddAsync(DbConnection db, IReadOnlyCollection<UnattributedRow> rows) => db.ExecuteAsync(
        $"insert into unattributed_usage ({Columns}) values (@Journal, @Sequence, @Subject, @Meter, @Operation, @Method, " +
        "@Dimensions, @OccurredAt, @Quantity)", rows);

    public static async Task<IReadOnlyList<int>> SubjectsAsync(DbConnection db) =>
        (await db.QueryAsync<long>("select distinct subject from unattributed_usage")).Select(s => (int)s).ToArray();

    public static async Task<IReadOnlyList<UnattributedRow>> OfSubjectAsync(
        DbConnection db, int subject, (long Journal, long Sequence) after, int most) =>
        (await db.QueryAsync<UnattributedRow>(
            $"select {Columns} from unattributed_usage where subject = @subject and " +
            "(journal > @Journal or (journal = @Journal and sequence > @Sequence)) order by journal, sequence limit @most",
            new { subject, after.Journal, after.Sequence, most })).AsList();

    public static Task<UnattributedRow?> FindAsync(DbConnection db, long journal, long sequence) =>
        db.QuerySingleOrDefaultAsync<UnattributedRow?>(
            $"select {Columns} from unattributed_usage where journal = @journal and sequence = @sequence", new { journal, sequence });

    public static Task DeleteAsync(DbConnection db, IReadOnlyCollection<UnattributedRow> rows) => db.ExecuteAsync(
        "delete from unattributed_usage where journal = @Journal and sequence = @Sequence", rows);

    public static Task<long> CountAsync(DbConnection db) =>
        db.ExecuteScalarAsync<long>("select count(*) from unattributed_usage");
}
