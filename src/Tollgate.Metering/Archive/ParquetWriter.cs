using System.Security.Cryptography;
using DuckDB.NET.Data;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>
/// Writes a stretch of the journal as one Parquet file: a row for each call, and one for each measure, correction and
/// part of an event. The columns stand in the archive's README. In order of sequence, so that sequences and times are
/// small differences on the disk.
/// </summary>
internal sealed class ParquetWriter(string folder) : IDisposable
{
    /// <summary>Ends the name of a file that is not whole yet.</summary>
    public const string UnbornSuffix = ".new";

    private const string Slots = """
        create table slots (
            kind utinyint, boot uinteger, sequence bigint, call bigint, admitted_at bigint, entitlement integer, period integer,
            consumer integer, credential integer, operation integer, method utinyint, status usmallint, billable boolean,
            quantity bigint, latency uinteger, meter integer, dimensions integer, subject integer, high bigint, low bigint,
            first boolean, more utinyint);
        create table endpoints (operation integer, endpoint varchar);
        """;

    private static readonly string s_methods = DuckDb.List(
        Enumerable.Range(0, 10).Select(code => MethodCode.NameOf((byte)code)));

    private readonly DuckDBConnection _db = OpenWith(folder, Slots);

    private long _records;
    private long _calls;
    private long _quantity;
    private long _minAt = long.MaxValue;
    private long _maxAt = long.MinValue;
    private uint _boot;

    /// <summary>Adds records in their order. All of one boot.</summary>
    public void Add(ReadOnlySpan<JournalRecord> records)
    {
        using var appender = _db.CreateAppender("slots");
        foreach (ref readonly var r in records)
        {
            if (_records > 0 && r.Boot != _boot)
                throw new InvalidDataException($"Record {r.Sequence} is of boot {r.Boot}, those before of boot {_boot}.");
            _boot = r.Boot;
            _records++;
            _calls += r.Kind == RecordKind.Admitted ? 1 : 0;
            _quantity += r is { Kind: RecordKind.Settled, Billable: true } ? r.Quantity : 0;
            (_minAt, _maxAt) = (Math.Min(_minAt, r.Admission.AdmittedAt), Math.Max(_maxAt, r.Admission.AdmittedAt));
            appender.CreateRow()
                .AppendValue((byte)r.Kind).AppendValue(r.Boot).AppendValue((long)r.Sequence)
                .AppendValue((long)r.AdmissionSequence).AppendValue(r.Admission.AdmittedAt)
                .AppendValue(r.Admission.Entitlement).AppendValue(r.Admission.Period).AppendValue(r.Admission.Consumer)
                .AppendValue(r.Admission.Credential).AppendValue(r.Admission.Operation).AppendValue(r.Admission.Method)
                .AppendValue(r.Status).AppendValue(r.Billable).AppendValue(r.Quantity).AppendValue(r.LatencyMicros)
                .AppendValue(r.Meter).AppendValue(r.Dimensions).AppendValue(r.Subject)
                .AppendValue((long)(ulong)(r.Identity >> 64)).AppendValue((long)(ulong)r.Identity)
                .AppendValue(r.IsFirst).AppendValue((byte)r.Left).EndRow();
        }
    }

    /// <summary>Writes the file, durably; a file of the same name is replaced in one step. Null when there is nothing
    /// to write.</summary>
    /// <param name="journal">Whose records they are.</param>
    /// <param name="first">The stretch is from here …</param>
    /// <param name="next">… until before here.</param>
    /// <param name="endpoints">Path templates by key of the operation.</param>
    public ArchiveFile? Finish(uint journal, ulong first, ulong next, IReadOnlyDictionary<int, string> endpoints)
    {
        if (_records == 0) return null;
        using (var appender = _db.CreateAppender("endpoints"))
            foreach (var (operation, endpoint) in endpoints) appender.CreateRow().AppendValue(operation).AppendValue(endpoint).EndRow();
        var path = Path.Combine(folder, ArchiveFile.NameOf(journal, first, next));
        DuckDb.Run(_db, $"copy ({Rows(journal)}) to {DuckDb.Text(path + UnbornSuffix)} " +
            "(format parquet, parquet_version v2, compression zstd, compression_level 6)");
        string checksum;
        long bytes;
        using (var file = new FileStream(path + UnbornSuffix, FileMode.Open, FileAccess.ReadWrite))
        {
            checksum = Convert.ToHexStringLower(SHA256.HashData(file));
            bytes = file.Length;
            file.Flush(flushToDisk: true);
        }

        File.Move(path + UnbornSuffix, path, overwrite: true);
        DurableFile.SyncFolder(folder);
        return new ArchiveFile
        {
            Journal = journal,
            First = first,
            Next = next,
            Boot = _boot,
            Bytes = bytes,
            Checksum = checksum,
            Records = _records,
            Holes = (long)(next - first) - _records,
            Calls = _calls,
            Quantity = _quantity,
            MinAt = _minAt,
            MaxAt = _maxAt,
        };
    }

    public void Dispose() => _db.Dispose();

    private static DuckDBConnection OpenWith(string folder, string sql)
    {
        var db = DuckDb.Open(folder);
        DuckDb.Run(db, sql);
        return db;
    }

    /// <summary>A call and its settlement in one row; a settlement whose call began in an earlier file in one of its
    /// own. What a kind does not have is null.</summary>
    private static string Rows(uint journal) => $"""
        select r.kind, {journal}::uinteger as journal, r.boot, r.sequence, r.call, r.admitted,
            make_timestamptz(r.admitted_at) as admitted_at, r.entitlement, r.period, r.consumer, r.credential, r.operation, e.endpoint,
            case when r.kind not in ('event', 'counter') or r.method <> 0 then {s_methods}[r.method + 1] end as method,
            r.status, r.billable, r.quantity, r.latency as latency_us, r.settled_after, r.meter, r.dimensions,
            r.subject, r.high as event_high, r.low as event_low, r.first as event_first, r.more as event_more
        from (
            select 'call' as kind, a.boot, a.sequence, null::bigint as call, true as admitted, a.admitted_at, a.entitlement,
                a.period, a.consumer, a.credential, a.operation, a.method, s.status, s.billable, s.quantity, s.latency,
                s.sequence - a.sequence as settled_after, null::integer as meter, null::integer as dimensions,
                null::integer as subject, null::bigint as high, null::bigint as low, null::boolean as first,
                null::utinyint as more
            from slots a left join slots s on s.kind = 2 and s.call = a.sequence where a.kind = 1
            union all
            select 'call', s.boot, s.call, null, false, s.admitted_at, s.entitlement, s.period, s.consumer, s.credential,
                s.operation, s.method, s.status, s.billable, s.quantity, s.latency, s.sequence - s.call, null, null,
                null, null, null, null, null
            from slots s anti join (select sequence from slots where kind = 1) a on a.sequence = s.call where s.kind = 2
            union all
            select case kind when 3 then 'measure' when 4 then 'correction' when 5 then 'event' else 'counter' end, boot, sequence,
                case when kind < 5 then call end, false, admitted_at, entitlement, period, consumer, null, operation, method,
                null, null, quantity, null, null, meter, dimensions,
                case when kind >= 5 then subject end, case when kind >= 5 then high end, case when kind >= 5 then low end,
                case when kind >= 5 then first end, case when kind >= 5 then more end
            from slots where kind >= 3
        ) r left join endpoints e on e.operation = r.operation
        order by r.sequence
        """;
}
