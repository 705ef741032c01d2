using Tollgate.Metering;
using static Tollgate.Tests.Metering.JournalHome;

namespace Tollgate.Tests.Metering;

/// <summary>Records beside a call's two: measures, corrections, events.</summary>
public sealed class JournalUnitsTests : IDisposable
{
    private readonly JournalHome home = new();

    public void Dispose() => home.Dispose();

    [Fact]
    public void A_measure_a_correction_and_an_event_are_read_back_field_by_field()
    {
        using UsageJournal journal = home.Open();
        Assert.True(journal.TryReserve(2));
        var call = Call(9);
        ulong admitted = journal.AppendAdmitted(call).Sequence;
        var measure = new Measure
        {
            AdmissionSequence = admitted,
            Admission = call,
            Meter = int.MaxValue,
            Quantity = long.MinValue,
            Dimensions = -2,
        };
        journal.AppendMeasured(measure);
        journal.AppendSettled(Answer(admitted, call), unused: 1);
        Assert.True(journal.TryAppendCorrected(measure with { Quantity = -5, Meter = 1 }));
        var part = Part(UInt128.MaxValue - 4, left: 1, first: true) with
        {
            Meter = UsageEvent.MaxMeter,
            Operation = -7,
            Method = 255,
            Subject = int.MinValue,
            Dimensions = int.MaxValue,
            OccurredAt = -1,
        };
        Assert.True(journal.TryAppendEvents([part, part with { Left = 0, IsFirst = false, Quantity = 4 }]));

        var read = ReadAll(journal);
        Assert.Equal(
            [RecordKind.Admitted, RecordKind.Measured, RecordKind.Settled, RecordKind.Corrected, RecordKind.Event,
                RecordKind.Event],
            read.Select(r => r.Kind));
        Assert.Equal(
            (int.MaxValue, long.MinValue, -2, admitted, call with { Credential = 0 }),
            (read[1].Meter, read[1].Quantity, read[1].Dimensions, read[1].AdmissionSequence, read[1].Admission));
        Assert.Equal((1, -5L, admitted), (read[3].Meter, read[3].Quantity, read[3].AdmissionSequence));
        Assert.Equal(
            (part.Identity, part.Subject, part.Dimensions, part.Meter, part.Quantity, true, 1),
            (read[4].Identity, read[4].Subject, read[4].Dimensions, read[4].Meter, read[4].Quantity, read[4].IsFirst,
                read[4].Left));
        Assert.Equal((-1L, -7, (byte)255),
            (read[4].Admission.AdmittedAt, read[4].Admission.Operation, read[4].Admission.Method));
        Assert.Equal((false, 0, 4L), (read[5].IsFirst, read[5].Left, read[5].Quantity));
    }

    [Fact]
    public void A_bit_that_turns_in_any_of_an_events_words_is_found()
    {
        string file;
        using (UsageJournal journal = home.Open())
        {
            Assert.True(journal.TryAppendEvents([Part(77, 0, true)]));
            file = home.Segments().Single();
        }

        byte[] whole = File.ReadAllBytes(file);
        for (int at = 0; at < SlotBytes; at++)
        {
            byte[] damaged = [.. whole];
            damaged[HeaderBytes + at] ^= 0x10;
            File.WriteAllBytes(file, damaged);
            using UsageJournal again = home.Open();
            Assert.Equal(1, again.Recovery.Corrupt);
            again.Dispose();
            foreach (string newer in home.Segments().Where(s => s != file)) File.Delete(newer);
        }
    }

    [Fact]
    public void Events_that_find_no_room_write_nothing_and_leave_room_to_calls()
    {
        using UsageJournal journal = home.Open(Small with { SegmentBytes = 8192 });
        var many = Enumerable.Range(0, 60).Select(i => Part((UInt128)i, 0, true)).ToArray();
        Assert.False(journal.TryAppendEvents(many));
        Assert.True(journal.TryReserve());
        journal.Release();
        // asking for more than is prepared has asked for the next segment
        Assert.True(SpinWait.SpinUntil(() => journal.TryAppendEvents(many), TimeSpan.FromSeconds(20)));
        Assert.Equal(60, ReadAll(journal).Count);
        Assert.Equal((ulong)60, journal.NextSequence - ReadAll(journal)[0].Sequence);
    }

    [Fact]
    public void Reserved_measures_that_were_not_used_are_given_back()
    {
        using UsageJournal journal = home.Open(Small with { MaxInFlight = 4 });
        for (int i = 0; i < 500; i++)
        {
            Assert.True(SpinWait.SpinUntil(() => journal.TryReserve(20), TimeSpan.FromSeconds(20)), journal.Trouble);
            if (i % 2 == 0)
                journal.Release(20);
            else
                journal.AppendSettled(Answer(journal.AppendAdmitted(Call(i)).Sequence, Call(i)), unused: 20);
        }
        Assert.Equal(500, ReadAll(journal).Count);
    }

    [Fact]
    public void Writing_units_allocates_nothing()
    {
        using UsageJournal journal = home.Open(new JournalOptions { SegmentBytes = 16 * 1024 * 1024 });
        var events = Enumerable.Range(0, 1_000).Select(i => Part((UInt128)i, 0, true)).ToArray();
        Assert.True(journal.TryReserve(60_000));
        ulong admitted = journal.AppendAdmitted(Call(1)).Sequence;
        var measure = new Measure { AdmissionSequence = admitted, Admission = Call(1), Meter = 2, Quantity = 3 };
        for (int i = 0; i < 20_000; i++) journal.AppendMeasured(measure);
        Assert.True(journal.TryAppendEvents(events));

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 40_000; i++) journal.AppendMeasured(measure);
        for (int i = 0; i < 20; i++) Assert.True(journal.TryAppendEvents(events));
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    internal static UsageEvent Part(UInt128 identity, int left, bool first) => new()
    {
        Identity = identity,
        OccurredAt = 1_767_225_600_000_000,
        Subject = 1,
        Meter = 2,
        Quantity = 3,
        IsFirst = first,
        Left = left,
    };
}
