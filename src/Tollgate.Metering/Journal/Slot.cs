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
/// word 2  admission's sequence                         word 6  latency : 32 | status : 16 | method : 8 | billable : 8
/// word 3  quantity                                     word 7  journal : 32 | boot : 32
/// </code>
/// </summary>
internal static unsafe class Slot
{
    internal const int Bytes = 64;
    internal const int Words = Bytes / sizeof(ulong);

    /// <summary>"TJ" and the slot format's number; makes every commit word differ from zero.</summary>
    private const uint Marker = 0x544A01;

    /// <summary>Writes the record into a slot that nobody else writes, and commits it.</summary>
    internal static void Commit(ulong* slot, uint journal, in JournalRecord record)
    {
        ulong at = (ulong)record.Admission.AdmittedAt;
        ulong quantity = (ulong)record.Quantity;
        ulong who = Pair(record.Admission.Entitlement, record.Admission.Consumer);
        ulong what = Pair(record.Admission.Operation, record.Admission.Credential);
        ulong outcome = record.LatencyMicros | ((ulong)record.Status << 32) | ((ulong)record.Admission.Method << 48)
            | (record.Billable ? 1UL << 56 : 0);
        ulong owner = journal | ((ulong)record.Boot << 32);
        uint head = (uint)record.Kind | (Marker << 8);

        uint check = BitOperations.Crc32C(BitOperations.Crc32C(uint.MaxValue, record.Sequence), head);
        check = BitOperations.Crc32C(BitOperations.Crc32C(check, at), record.AdmissionSequence);
        check = BitOperations.Crc32C(BitOperations.Crc32C(check, quantity), who);
        check = BitOperations.Crc32C(BitOperations.Crc32C(check, what), outcome);
        check = BitOperations.Crc32C(check, owner);

        slot[1] = Little(at);
        slot[2] = Little(record.AdmissionSequence);
        slot[3] = Little(quantity);
        slot[4] = Little(who);
        slot[5] = Little(what);
        slot[6] = Little(outcome);
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
            || kind is not (RecordKind.Admitted or RecordKind.Settled))
            return SlotState.Corrupt;
        ulong who = Little(slot[4]), what = Little(slot[5]), outcome = Little(slot[6]);
        record = new JournalRecord
        {
            Kind = kind,
            Boot = (uint)(owner >> 32),
            Sequence = sequence,
            Admission = new Admission
            {
                AdmittedAt = (long)Little(slot[1]),
                Entitlement = (int)who,
                Consumer = (int)(who >> 32),
                Operation = (int)what,
                Credential = (int)(what >> 32),
                Method = (byte)(outcome >> 48),
            },
            AdmissionSequence = Little(slot[2]),
            Status = (ushort)(outcome >> 32),
            Billable = (outcome >> 56) != 0,
            Quantity = (long)Little(slot[3]),
            LatencyMicros = (uint)outcome,
        };
        return SlotState.Committed;
    }

    internal static bool IsCommitted(ulong* slot) => Volatile.Read(ref slot[0]) != 0;

    /// <summary>Whether nobody ever began to write here.</summary>
    internal static bool IsBlank(ulong* slot) => !new ReadOnlySpan<ulong>(slot, Words).ContainsAnyExcept(0UL);

    private static ulong Pair(int low, int high) => (uint)low | ((ulong)(uint)high << 32);

    private static ulong Little(ulong word) =>
        BitConverter.IsLittleEndian ? word : System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(word);
}
