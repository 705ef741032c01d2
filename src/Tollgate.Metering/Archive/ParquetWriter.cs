using System.Security.Cryptography;
using DuckDB.NET.Data;
using DuckDB.NET.Data.DataChunk.Writer;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>
/// Writes a stretch of the journal as one Parquet file: a row for each call, and one for each measure, correction and
/// part of an event. The columns stand in the archive's README. In order of sequence, so that sequences and times are
/// small differences on the disk. The rows go straight into the file: a table between would cost more than all the rest.
/// </summary>
internal static class ParquetWriter
{
    /// <summary>Ends the name of a file that is not whole yet.</summary>
    public const string UnbornSuffix = ".new";

    // in the order of Put
    private static readonly ColumnInfo[] s_columns =
    [
        new("kind", typeof(byte)), new("boot", typeof(uint)), new("sequence", typeof(long)), new("call", typeof(long)),
        new("admitted", typeof(bool)), new("at_us", typeof(long)), new("entitlement", typeof(int)), new("period", typeof(int)),
        new("consumer", typeof(int)), new("credential", typeof(int)), new("operation", typeof(int)), new("endpoint", typeof(string)),
        new("method", typeof(byte)), new("status", typeof(ushort)), new("billable", typeof(bool)), new("quantity", typeof(long)),
        new("latency", typeof(uint)), new("settled_after", typeof(long)), new("meter", typeof(int)), new("dimensions", typeof(int)),
        new("subject", typeof(int)), new("high", typeof(long)), new("low", typeof(long)), new("first", typeof(bool)),
        new("more", typeof(byte)),
    ];

    private static readonly string s_kinds = DuckDb.List(["call", "call", "measure", "correction", "event", "counter"]);

    private static readonly string s_methods = DuckDb.List(
        Enumerable.Range(0, 10).Select(code => MethodCode.NameOf((byte)code)));

    /// <summary>Writes the file, durably; a file of the same name is replaced in one step. Null when there is nothing
    /// to write.</summary>
    /// <param name="folder">Where.</param>
    /// <param name="journal">Whose records they are.</param>
    /// <param name="first">The stretch is from here …</param>
    /// <param name="next">… until before here.</param>
    /// <param name="read">Reads records from a position on, in their order; asked twice for each.</param>
    /// <param name="endpoints">Path templates by key of the operation.</param>
    /// <exception cref="InvalidDataException">The records are not all of one boot.</exception>
    public static ArchiveFile? Write(
        string folder, uint journal, ulong first, ulong next, ArchiveRows.Source read, IReadOnlyDictionary<int, string> endpoints)
    {
        var rows = new ArchiveRows(read, first, next);
        rows.Scan();
        if (rows.Records == 0) return null;
        var path = Path.Combine(folder, ArchiveFile.NameOf(journal, first, next));
        using (var db = DuckDb.Open(folder))
        {
            db.RegisterTableFunction("journal_rows", () => new TableFunction(s_columns, rows.All(), default),
                (row, to, at) => Put((ArchiveRow)row!, to, at, endpoints));
            DuckDb.Run(db, $"copy ({Columns(journal)}) to {DuckDb.Text(path + UnbornSuffix)} " +
                "(format parquet, parquet_version v2, compression zstd, compression_level 6)");
        }

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
            Boot = rows.Boot,
            Bytes = bytes,
            Checksum = checksum,
            Records = rows.Records,
            Holes = (long)(next - first) - rows.Records,
            Calls = rows.Calls,
            Quantity = rows.Quantity,
            MinAt = rows.MinAt,
            MaxAt = rows.MaxAt,
        };
    }

    private static string Columns(uint journal) => $"""
        select {s_kinds}[kind] as kind, {journal}::uinteger as journal, boot, sequence, call, admitted,
            make_timestamptz(at_us) as admitted_at, entitlement, period, consumer, credential, operation, endpoint,
            {s_methods}[method + 1] as method, status, billable, quantity, latency as latency_us, settled_after, meter, dimensions,
            subject, high as event_high, low as event_low, first as event_first, more as event_more
        from journal_rows()
        """;

    /// <summary>What a kind does not have is null.</summary>
    private static void Put(ArchiveRow row, IDuckDBDataWriter[] to, ulong at, IReadOnlyDictionary<int, string> endpoints)
    {
        var r = row.Record;
        var (admission, end, call, outside) = (r.Admission, row.End, row.IsCall, row.IsOutside);
        to[0].WriteValue((byte)r.Kind, at);
        to[1].WriteValue(r.Boot, at);
        to[2].WriteValue((long)(r.Kind == RecordKind.Settled ? r.AdmissionSequence : r.Sequence), at);
        Put(3, !call && !outside, (long)r.AdmissionSequence);
        to[4].WriteValue(row.IsAdmitted, at);
        to[5].WriteValue(admission.AdmittedAt, at);
        to[6].WriteValue(admission.Entitlement, at);
        to[7].WriteValue(admission.Period, at);
        to[8].WriteValue(admission.Consumer, at);
        Put(9, call, admission.Credential);
        to[10].WriteValue(admission.Operation, at);
        if (endpoints.TryGetValue(admission.Operation, out var endpoint)) to[11].WriteValue(endpoint, at);
        else to[11].WriteNull(at);
        Put(12, !outside || admission.Method != 0, admission.Method);
        Put(13, end is not null, end.GetValueOrDefault().Status);
        Put(14, end is not null, end.GetValueOrDefault().Billable);
        Put(15, !call || end is not null, call ? end.GetValueOrDefault().Quantity : r.Quantity);
        Put(16, end is not null, end.GetValueOrDefault().LatencyMicros);
        Put(17, end is not null, end.GetValueOrDefault().After);
        Put(18, !call, r.Meter);
        Put(19, !call, r.Dimensions);
        Put(20, outside, r.Subject);
        Put(21, outside, (long)(ulong)(r.Identity >> 64));
        Put(22, outside, (long)(ulong)r.Identity);
        Put(23, outside, r.IsFirst);
        Put(24, outside, (byte)r.Left);

        void Put<T>(int column, bool has, T value)
        {
            if (has) to[column].WriteValue(value, at);
            else to[column].WriteNull(at);
        }
    }
}
