using System.Runtime.InteropServices;
using Tollgate.Metering;

namespace Tollgate.Tests.Metering;

public sealed unsafe class JournalSlotTests
{
    [Fact]
    public void A_reader_that_waits_at_the_slot_being_written_never_sees_half_of_it()
    {
        const int slots = 300_000;
        var memory = (ulong*)NativeMemory.AlignedAlloc(slots * Slot.Bytes, Slot.Bytes);
        NativeMemory.Clear(memory, slots * Slot.Bytes);
        var writer = new Thread(() =>
        {
            for (int i = 0; i < slots; i++)
                Slot.Commit(memory + i * Slot.Words, 1, RecordAt(i));
        });
        writer.Start();

        int torn = 0, wrong = 0;
        for (int i = 0; i < slots; i++)
        {
            SlotState state;
            JournalRecord record;
            while ((state = Slot.Read(memory + i * Slot.Words, (ulong)i, 1, out record)) == SlotState.Uncommitted)
            {
            }
            torn += state == SlotState.Corrupt ? 1 : 0;
            wrong += state == SlotState.Committed && record != RecordAt(i) ? 1 : 0;
        }
        writer.Join();
        NativeMemory.AlignedFree(memory);
        Assert.Equal((0, 0), (torn, wrong));
    }

    private static JournalRecord RecordAt(int i) => new()
    {
        Kind = RecordKind.Settled,
        Boot = 7,
        Sequence = (ulong)i,
        Admission = JournalHome.Call(i),
        AdmissionSequence = (ulong)i / 2,
        Status = 201,
        Billable = true,
        Quantity = i,
        LatencyMicros = (uint)i,
    };
}
