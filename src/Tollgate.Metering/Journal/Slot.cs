using System.Numerics;

namespace Tollgate.Metering;

internal enum SlotState
{
    /// <summary>Nothing was committed here (yet).</summary>
    Uncommitted,
    Committed,

    /// <summary>Something was committed, but it is not what stands here now.</summary>
    Corrupt,
}

/// <summary>
/// The 64 bytes of one record: a commit word, then seven words of fields, all little-endian. The commit word is written
/// last, so a slot either has it, and then all fields, or does not count. Its checksum covers kind, fields and the
/// slot's own sequence: a record that was copied elsewhere is not valid there. Each slot names its journal and boot,
/// so that it can be read even where the header of its segment is lost.
/// <code>
/// word 0  CRC-32C : 32 | kind : 8 | marker : 24        word 4  entitlement : 32 | consumer : 32
/// word 1  admitted at, µs UTC                          word 5  operation : 32 | credential : 32
/// word 2  slots since admission : 40 | period : 24     word 6  latency : 32 | status : 16 | method : 8 | billable : 8
/// word 3  quantity                                     word 7  journal : 32 | boot : 32
/// </code>
/// A measure and a correction have the set of dimensions in place of the credential, and the meter in place of the
/// latency. A record of an event or a counter is
/// <code>
/// word 1  occurred at, µs UTC                                            word 4, 5  identity
/// word 2  operation : 32 | meter : 16 | method : 8 | left : 7 | first : 1  word 6  subject : 32 | dimensions : 32
/// word 3  quantity                                                       word 7  journal : 32 | boot : 32
/// </code>
/// </summary>
internal static unsafe class Slot
{
    internal const int Bytes = 64;
    internal const int Words = Bytes / sizeof(ulong);

    /// <summary>"TJ" and the slot format's number; makes every commit word differ from zero.</summary>
    private const uint Marker = 0x544A01;

    /// <summary>A call may be under way while 10^12 records pass: a year at 30,000 a second.</summary>
    private const ulong MostSince = (1UL << 40) - 1;

    /// <summary>Writes the record into a slot that nobody else writes, and commits it.</summary>
    internal static void Commit(ulong* slot, uint journal, in JournalRecord record)
    {
        Fields fields = record.Kind >= RecordKind.Event ? Fields.OfEvent(record) : Fields.OfCall(record);
        ulong at = (ulong)record.Admission.AdmittedAt;
        ulong quantity = (ulong)record.Quantity;
        ulong owner = journal | ((ulong)record.Boot << 32);
        uint head = (uint)record.Kind | (Marker << 8);

        uint check = BitOperations.Crc32C(BitOperations.Crc32C(uint.MaxValue, record.Sequence), head);
        check = BitOperations.Crc32C(BitOperations.Crc32C(check, at), fields.Two);
        check = BitOperations.Crc32C(BitOperations.Crc32C(check, quantity), fields.Four);
        check = BitOperations.Crc32C(BitOperations.Crc32C(check, fields.Five), fields.Six);
        check = BitOperations.Crc32C(check, owner);

        slot[1] = Little(at);
        slot[2] = Little(fields.Two);
        slot[3] = Little(quantity);
        slot[4] = Little(fields.Four);
        slot[5] = Little(fields.Five);
        slot[6] = Little(fields.Six);
        slot[7] = Little(owner);
        // Release order: whoever sees this word sees the seven above, another thread as well as the page after a kill.
        Volatile.Write(ref slot[0], Little(check | ((ulong)head << 32)));
    }

    /// <summary>
    /// Reads a slot that somebody may be writing; the record is valid only when the answer is Committed.
    /// </summary>
    internal static SlotState Read(ulong* slot, ulong sequence, uint journal, out JournalRecord record)
    {
        record = default;
        ulong commit = Little(Volatile.Read(ref slot[0]));
        if (commit == 0)
            return SlotState.Uncommitted;
        uint head = (uint)(commit >> 32);
        uint check = BitOperations.Crc32C(BitOperations.Crc32C(uint.MaxValue, sequence), head);
        for (int i = 1; i < Words; i++)
            check = BitOperations.Crc32C(check, Little(slot[i]));
        ulong owner = Little(slot[7]);
        RecordKind kind = (RecordKind)(byte)head;
        if (check != (uint)commit || head >> 8 != Marker || (uint)owner != journal
            || kind is < RecordKind.Admitted or > RecordKind.Counted)
            return SlotState.Corrupt;
        var fields = new Fields(Little(slot[2]), Little(slot[4]), Little(slot[5]), Little(slot[6]));
        var (at, quantity, boot) = ((long)Little(slot[1]), (long)Little(slot[3]), (uint)(owner >> 32));
        record = kind >= RecordKind.Event
            ? fields.Event(kind, at, quantity, boot, sequence)
            : fields.Call(kind, at, quantity, boot, sequence);
        return SlotState.Committed;
    }

    internal static bool IsCommitted(ulong* slot) => Volatile.Read(ref slot[0]) != 0;

    /// <summary>Whether nobody ever began to write here.</summary>
    internal static bool IsBlank(ulong* slot) => !new ReadOnlySpan<ulong>(slot, Words).ContainsAnyExcept(0UL);

    private static ulong Pair(int low, int high) => (uint)low | ((ulong)(uint)high << 32);

    private static ulong Little(ulong word) =>
        BitConverter.IsLittleEndian ? word : System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(word);

    /// <summary>The words whose meaning depends on the kind.</summary>
    private readonly record struct Fields(ulong Two, ulong Four, ulong Five, ulong Six)
    {
        private static bool IsMeasure(RecordKind kind) => kind is RecordKind.Measured or RecordKind.Corrected;

        public static Fields OfCall(in JournalRecord record)
        {
            bool measure = IsMeasure(record.Kind);
            return new Fields(
                ((record.Sequence - record.AdmissionSequence) & MostSince) | ((ulong)(uint)record.Admission.Period << 40),
                Pair(record.Admission.Entitlement, record.Admission.Consumer),
                Pair(record.Admission.Operation, measure ? record.Dimensions : record.Admission.Credential),
                (measure ? (uint)record.Meter : record.LatencyMicros) | ((ulong)record.Status << 32)
                    | ((ulong)record.Admission.Method << 48) | (record.Billable ? 1UL << 56 : 0));
        }

        public static Fields OfEvent(in JournalRecord record) => new(
            (uint)record.Admission.Operation | ((ulong)(ushort)record.Meter << 32)
                | ((ulong)record.Admission.Method << 48) | ((ulong)(record.Left & 0x7F) << 56)
                | (record.IsFirst ? 1UL << 63 : 0),
            (ulong)record.Identity, (ulong)(record.Identity >> 64), Pair(record.Subject, record.Dimensions));

        public JournalRecord Call(RecordKind kind, long at, long quantity, uint boot, ulong sequence)
        {
            bool measure = IsMeasure(kind);
            return new JournalRecord
            {
                Kind = kind,
                Boot = boot,
                Sequence = sequence,
                Admission = new Admission
                {
                    AdmittedAt = at,
                    Entitlement = (int)Four,
                    Period = (int)((long)Two >> 40),
                    Consumer = (int)(Four >> 32),
                    Operation = (int)Five,
                    Credential = measure ? 0 : (int)(Five >> 32),
                    Method = (byte)(Six >> 48),
                },
                AdmissionSequence = sequence - (Two & MostSince),
                Status = (ushort)(Six >> 32),
                Billable = (Six >> 56) != 0,
                Quantity = quantity,
                LatencyMicros = measure ? 0 : (uint)Six,
                Meter = measure ? (int)(uint)Six : 0,
                Dimensions = measure ? (int)(Five >> 32) : 0,
            };
        }

        public JournalRecord Event(RecordKind kind, long at, long quantity, uint boot, ulong sequence) => new()
        {
            Kind = kind,
            Boot = boot,
            Sequence = sequence,
            Admission = new Admission
            {
                AdmittedAt = at,
                Entitlement = 0,
                Period = 0,
                Consumer = 0,
                Operation = (int)Two,
                Credential = 0,
                Method = (byte)(Two >> 48),
            },
            AdmissionSequence = sequence,
            Billable = true,
            Quantity = quantity,
            Meter = (ushort)(Two >> 32),
            Dimensions = (int)(Six >> 32),
            Identity = new UInt128(Five, Four),
            Subject = (int)Six,
            IsFirst = Two >> 63 != 0,
            Left = (int)(Two >> 56) & 0x7F,
        };
    }
}
