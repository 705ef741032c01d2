using DuckDB.NET.Data;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>
/// The records of the archive as the journal had them, in order: what was archived can be drained again.
/// </summary>
internal sealed class ArchivedRecords(string folder, IReadOnlyList<ArchiveFile> files) : IDisposable
{
    // in order of sequence: a call is its admission and, where it stands in the same file, its settlement
    private const string Columns =
        "boot, sequence, epoch_us(admitted_at), entitlement, period, consumer, coalesce(credential, 0), operation, " +
        "coalesce(method, 'other'), " +
        "coalesce(status, 0), coalesce(billable, false), coalesce(quantity, 0), coalesce(latency_us, 0), " +
        "coalesce(meter, 0), coalesce(dimensions, 0), coalesce(subject, 0), coalesce(event_high, 0), " +
        "coalesce(event_low, 0), coalesce(event_first, false), coalesce(event_more, 0), coalesce(call, sequence)";

    private readonly DuckDBConnection _db = DuckDb.Open(folder);
    private DuckDBCommand? _command;
    private DuckDBDataReader? _reader;
    private int _file = -1;
    private ulong _at;

    /// <summary>Reads records from a position on, as <see cref="UsageJournal.Read"/> does; 0 at the end of the last
    /// file. Going back is possible, and slower.</summary>
    public int Read(ref ulong position, Span<JournalRecord> into)
    {
        var count = 0;
        if (position < _at)
        {
            Close();
            _file = -1;
        }
        while (count < into.Length)
        {
            if (_reader is null && !OpenNext(position)) break;
            if (!_reader!.Read())
            {
                position = Math.Max(position, files[_file].Next);
                Close();
                continue;
            }

            var record = Record(_reader);
            into[count++] = record;
            position = record.Sequence + 1;
        }

        _at = position;
        return count;
    }

    public void Dispose()
    {
        Close();
        _db.Dispose();
    }

    private bool OpenNext(ulong position)
    {
        do
        {
            if (++_file >= files.Count) return false;
        }
        while (files[_file].Next <= position);
        _command = _db.CreateCommand();
        _command.UseStreamingMode = true;
        var from = $"from read_parquet({DuckDb.Text(Path.Combine(folder, files[_file].Name))})";
        _command.CommandText =
            $"select * from (select 1 as k, sequence as slot, {Columns} {from} where kind = 'call' and admitted " +
            $"union all select 2, sequence + settled_after, {Columns} {from} where kind = 'call' and settled_after is not null " +
            "union all select case kind when 'measure' then 3 when 'correction' then 4 when 'event' then 5 else 6 end, " +
            $"sequence, {Columns} " +
            $"{from} where kind <> 'call') where slot >= {position} order by slot";
        _reader = _command.ExecuteReader();
        return true;
    }

    private void Close()
    {
        _reader?.Dispose();
        _command?.Dispose();
        (_reader, _command) = (null, null);
    }

    private static JournalRecord Record(DuckDBDataReader r)
    {
        var kind = (RecordKind)r.GetInt32(0);
        var settled = kind == RecordKind.Settled;
        return new JournalRecord
        {
            Kind = kind,
            Boot = r.GetFieldValue<uint>(2),
            Sequence = (ulong)r.GetInt64(1),
            Admission = new Admission
            {
                AdmittedAt = r.GetInt64(4),
                Entitlement = r.GetInt32(5),
                Period = r.GetInt32(6),
                Consumer = r.GetInt32(7),
                Credential = r.GetInt32(8),
                Operation = r.GetInt32(9),
                Method = MethodCode.Of(r.GetString(10)),
            },
            AdmissionSequence = (ulong)(settled ? r.GetInt64(3) : r.GetInt64(22)),
            Status = settled ? r.GetFieldValue<ushort>(11) : (ushort)0,
            Billable = settled ? r.GetBoolean(12) : kind >= RecordKind.Measured,
            Quantity = kind == RecordKind.Admitted ? 0 : r.GetInt64(13),
            LatencyMicros = settled ? r.GetFieldValue<uint>(14) : 0,
            Meter = r.GetInt32(15),
            Dimensions = r.GetInt32(16),
            Subject = r.GetInt32(17),
            Identity = new UInt128((ulong)r.GetInt64(18), (ulong)r.GetInt64(19)),
            IsFirst = r.GetBoolean(20),
            Left = r.GetByte(21),
        };
    }
}
