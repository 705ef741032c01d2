using Tollgate.Metering;
using static Tollgate.Tests.Metering.JournalHome;

namespace Tollgate.Tests.Metering;

public sealed class UsageJournalTests : IDisposable
{
    private readonly JournalHome home = new();

    public void Dispose() => home.Dispose();

    [Fact]
    public void What_was_appended_is_read_back_field_by_field()
    {
        using UsageJournal journal = home.Open();
        Assert.True(journal.TryReserve());
        RecordId id = journal.AppendAdmitted(Call(7));
        journal.AppendSettled(new Settlement
        {
            AdmissionSequence = id.Sequence,
            Admission = Call(7),
            Status = ushort.MaxValue,
            Billable = false,
            Quantity = long.MinValue,
            LatencyMicros = uint.MaxValue,
        });

        Assert.Equal((journal.Id, journal.Boot), (id.Journal, id.Boot));
        var admitted = new JournalRecord
        {
            Kind = RecordKind.Admitted,
            Boot = journal.Boot,
            Sequence = id.Sequence,
            Admission = Call(7),
            AdmissionSequence = id.Sequence,
        };
        Assert.Equal(
            [
                admitted,
                admitted with
                {
                    Kind = RecordKind.Settled,
                    Sequence = id.Sequence + 1,
                    Status = ushort.MaxValue,
                    Quantity = long.MinValue,
                    LatencyMicros = uint.MaxValue,
                },
            ],
            ReadAll(journal));
        Assert.Equal(id.Sequence + 2, journal.NextSequence);
    }

    [Fact]
    public void Many_writers_and_a_reader_see_every_record_once_and_in_order()
    {
        const int writers = 4, calls = 5_000;
        // 1,984 slots a segment: the writers cross into the next one twenty times.
        using UsageJournal journal = home.Open(Small with { SegmentBytes = 128 * 1024 });
        Thread[] threads =
        [
            .. Enumerable.Range(0, writers).Select(
                w => new Thread(() => Write(journal, calls, w * calls)) { IsBackground = true }),
        ];
        foreach (Thread thread in threads)
            thread.Start();

        var read = new List<JournalRecord>();
        var batch = new JournalRecord[97];
        ulong position = 0;
        SpinWait.SpinUntil(
            () =>
            {
                int count = journal.Read(ref position, batch);
                read.AddRange(batch.AsSpan(0, count));
                // Truncating under writers and reader must not cost a record either.
                journal.TruncateBefore(position);
                return read.Count == writers * calls * 2;
            },
            TimeSpan.FromSeconds(60));
        foreach (Thread thread in threads)
            thread.Join();

        Assert.Equal(writers * calls * 2, read.Count);
        Assert.Equal(
            Enumerable.Range(0, read.Count).Select(i => read[0].Sequence + (ulong)i), read.Select(r => r.Sequence));
        ILookup<RecordKind, JournalRecord> kinds = read.ToLookup(r => r.Kind);
        Assert.Equal(
            Enumerable.Range(0, writers * calls),
            kinds[RecordKind.Admitted].Select(r => r.Admission.Entitlement).Order());
        var admissions = kinds[RecordKind.Admitted].ToDictionary(r => r.Sequence, r => r.Admission);
        Assert.All(kinds[RecordKind.Settled], r => Assert.Equal(admissions[r.AdmissionSequence], r.Admission));
        Assert.Equal(writers * calls, kinds[RecordKind.Settled].Select(r => r.AdmissionSequence).Distinct().Count());
    }

    [Fact]
    public void A_slot_of_this_boot_that_is_not_committed_yet_stops_the_reader()
    {
        using UsageJournal journal = home.Open();
        Write(journal, 5);
        string segment = home.Segments()[0];
        byte[] commit = File.ReadAllBytes(segment).AsSpan((int)SlotAt(4), 8).ToArray();
        Overwrite(segment, SlotAt(4), new byte[8]);

        ulong position = 0;
        var batch = new JournalRecord[50];
        Assert.Equal(4, journal.Read(ref position, batch));
        Assert.Equal(0, journal.Read(ref position, batch));
        Assert.Equal(FirstOf(segment) + 4, position);

        Overwrite(segment, SlotAt(4), commit);
        Assert.Equal(6, journal.Read(ref position, batch));
        Assert.Equal(journal.NextSequence, position);
    }

    [Fact]
    public void A_reader_takes_no_more_than_it_has_room_for()
    {
        using UsageJournal journal = home.Open();
        Write(journal, 50);
        ulong position = 0;
        var batch = new JournalRecord[30];
        Assert.Equal(0, journal.Read(ref position, []));
        Assert.Equal([30, 30, 30, 10, 0], Enumerable.Range(0, 5).Select(_ => journal.Read(ref position, batch)));
    }

    [Fact]
    public void A_call_through_the_journal_allocates_nothing()
    {
        using UsageJournal journal = home.Open(new JournalOptions { SegmentBytes = 1 << 20 });
        Write(journal, 100);
        Admission call = Call(1);
        var batch = new JournalRecord[64];
        ulong position = 0;
        journal.Read(ref position, batch);

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 2_000; i++)
        {
            if (!journal.TryReserve())
                break;
            journal.AppendSettled(Answer(journal.AppendAdmitted(call).Sequence, call));
            journal.TryReserve();
            journal.Release();
            journal.Read(ref position, batch);
        }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(4_200, (long)(journal.NextSequence - journal.FirstSequence));
    }

    [Fact]
    public void More_calls_than_MaxInFlight_are_refused_by_the_setting_s_name()
    {
        using UsageJournal journal = home.Open(Small with { MaxInFlight = 2 });
        ulong first = Admit(journal, 1);
        Assert.True(journal.TryReserve());
        Assert.False(journal.TryReserve());
        Assert.Contains("MaxInFlight", journal.Trouble, StringComparison.Ordinal);

        journal.AppendSettled(Answer(first, Call(1)));
        Assert.Null(journal.Trouble);
        Assert.True(journal.TryReserve());
        journal.Release();
        journal.Release();
        Assert.True(journal.TryReserve());
        journal.Release();
    }

    [Fact]
    public void A_released_reservation_gives_its_room_back()
    {
        using UsageJournal journal = home.Open();
        for (int i = 0; i < 10 * SmallSlots; i++)
        {
            Assert.True(journal.TryReserve());
            journal.Release();
        }
        Assert.Single(home.Segments());
    }

    [Fact]
    public void A_second_opener_is_refused_until_the_first_lets_go()
    {
        using (home.Open())
        {
            var refused = Assert.Throws<IOException>(() => home.Open());
            Assert.Contains(home.Folder, refused.Message, StringComparison.Ordinal);
            Assert.Contains("another process", refused.Message, StringComparison.Ordinal);
        }
        home.Open().Dispose();
    }

    [Fact]
    public void A_call_in_flight_settles_after_Dispose_and_lets_the_folder_go()
    {
        UsageJournal journal = home.Open();
        ulong sequence = Admit(journal, 1);
        journal.Dispose();
        Assert.False(journal.TryReserve());
        Assert.NotNull(journal.Trouble);
        Assert.Throws<IOException>(() => home.Open());

        journal.AppendSettled(Answer(sequence, Call(1)));
        journal.Dispose();
        using UsageJournal next = home.Open();
        Assert.Equal((2L, 0L), (next.Recovery.Records, next.Recovery.Holes));
    }

    [Fact]
    public void An_append_without_a_reservation_is_an_exception_and_not_a_crash()
    {
        UsageJournal journal = home.Open();
        journal.Dispose();
        Assert.Throws<InvalidOperationException>(() => journal.AppendAdmitted(Call(1)));
        ulong position = 0;
        Assert.Throws<ObjectDisposedException>(() => journal.Read(ref position, new JournalRecord[1]));
    }

    [Theory]
    [InlineData("SegmentBytes", 4096L, 1, 1, 1)]
    [InlineData("SegmentBytes", 10_000L, 1, 1, 1)]
    [InlineData("MaxInFlight", 8192L, 0, 1, 1)]
    [InlineData("KeepSealedSegments", 8192L, 1, -1, 1)]
    [InlineData("FlushInterval", 8192L, 1, 1, 0)]
    public void A_bad_option_names_itself(string setting, long bytes, int inFlight, int keep, int seconds)
    {
        var options = new JournalOptions
        {
            SegmentBytes = bytes,
            MaxInFlight = inFlight,
            KeepSealedSegments = keep,
            FlushInterval = TimeSpan.FromSeconds(seconds),
        };
        var refused = Assert.Throws<ArgumentException>(() => home.Open(options));
        Assert.Contains(setting, refused.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(home.Folder));
    }
}
