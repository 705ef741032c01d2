namespace Tollgate.Metering;

/// <summary>
/// Records of the journal as rows of a file: a call and its settlement are one, a settlement whose call began in an earlier file
/// is one of its own, and so is everything else. The records are read twice: first the settlements are noted (24 bytes each),
/// then the rows follow in order of sequence.
/// </summary>
/// <param name="read">Reads records from a position on, in their order; 0 at the end.</param>
/// <param name="first">The stretch is from here …</param>
/// <param name="next">… until before here.</param>
internal sealed class ArchiveRows(ArchiveRows.Source read, ulong first, ulong next)
{
    // where a call's settlement stands in _ends, from 1; or one of these
    private const int Unknown = 0, Admitted = -1;

    private readonly int[] _endOf = new int[next - first];
    private readonly List<End> _ends = [];
    private readonly List<JournalRecord> _alone = [];
    private readonly JournalRecord[] _batch = new JournalRecord[UsageDrain.BatchSize];

    public delegate int Source(ref ulong position, Span<JournalRecord> into);

    public long Records { get; private set; }

    public long Calls { get; private set; }

    /// <summary>Billable units of the meter <c>calls</c>.</summary>
    public long Quantity { get; private set; }

    public long MinAt { get; private set; } = long.MaxValue;

    public long MaxAt { get; private set; } = long.MinValue;

    public uint Boot { get; private set; }

    /// <summary>Reads all once: what it holds is known then, and the rows can be asked for.</summary>
    /// <exception cref="InvalidDataException">They are not all of one boot.</exception>
    public void Scan()
    {
        var position = first;
        while (Next(ref position) is var count and > 0)
            foreach (ref readonly var record in _batch.AsSpan(0, count))
                Note(record);
        _alone.Sort((a, b) => a.AdmissionSequence.CompareTo(b.AdmissionSequence));
    }

    /// <summary>The rows; each is the same object, and good until the next.</summary>
    public IEnumerable<ArchiveRow> All()
    {
        var (row, position, alone) = (new ArchiveRow(), first, 0);
        while (Next(ref position) is var count and > 0)
        {
            for (var i = 0; i < count; i++)
            {
                if (_batch[i].Kind == RecordKind.Settled) continue;
                for (; alone < _alone.Count && _alone[alone].AdmissionSequence < _batch[i].Sequence; alone++)
                    yield return row.OfEnd(_alone[alone]);
                yield return row.Of(_batch[i], EndOf(_batch[i]));
            }
        }

        for (; alone < _alone.Count; alone++) yield return row.OfEnd(_alone[alone]);
    }

    private End? EndOf(in JournalRecord record) =>
        record.Kind == RecordKind.Admitted && _endOf[record.Sequence - first] is > Unknown and var at ? _ends[at - 1] : null;

    private int Next(ref ulong position)
    {
        if (position >= next) return 0;
        var count = read(ref position, _batch);
        while (count > 0 && _batch[count - 1].Sequence >= next) count--;
        return count;
    }

    private void Note(in JournalRecord record)
    {
        if (Records > 0 && record.Boot != Boot)
            throw new InvalidDataException($"Record {record.Sequence} is of boot {record.Boot}, those before of boot {Boot}.");
        Boot = record.Boot;
        Records++;
        (MinAt, MaxAt) = (Math.Min(MinAt, record.Admission.AdmittedAt), Math.Max(MaxAt, record.Admission.AdmittedAt));
        if (record.Kind == RecordKind.Admitted)
        {
            Calls++;
            _endOf[record.Sequence - first] = Admitted;
        }

        if (record.Kind != RecordKind.Settled) return;
        Quantity += record.Billable ? record.Quantity : 0;
        if (record.AdmissionSequence < first || _endOf[record.AdmissionSequence - first] != Admitted)
        {
            _alone.Add(record);
            return;
        }

        _ends.Add(End.Of(record));
        _endOf[record.AdmissionSequence - first] = _ends.Count;
    }

    /// <summary>How a call ended: what its settlement says beside what its admission does.</summary>
    /// <param name="After">The settlement's sequence minus the call's.</param>
    internal readonly record struct End(long Quantity, uint LatencyMicros, long After, ushort Status, bool Billable)
    {
        public static End Of(in JournalRecord settled) => new(settled.Quantity, settled.LatencyMicros,
            (long)(settled.Sequence - settled.AdmissionSequence), settled.Status, settled.Billable);
    }
}

/// <summary>A row: a record, and where it is a call how that ended.</summary>
internal sealed class ArchiveRow
{
    public JournalRecord Record { get; private set; }

    /// <summary>Null while a call is under way, and of what is no call.</summary>
    public ArchiveRows.End? End { get; private set; }

    /// <summary>Whether the call was let in within this file.</summary>
    public bool IsAdmitted => Record.Kind == RecordKind.Admitted;

    public bool IsCall => Record.Kind <= RecordKind.Settled;

    public bool IsOutside => Record.Kind >= RecordKind.Event;

    public ArchiveRow Of(in JournalRecord record, ArchiveRows.End? end)
    {
        (Record, End) = (record, end);
        return this;
    }

    public ArchiveRow OfEnd(in JournalRecord settled) => Of(settled, ArchiveRows.End.Of(settled));
}
