using Microsoft.Extensions.Time.Testing;
using Microsoft.Win32.SafeHandles;
using Tollgate.Metering;
using static Tollgate.Tests.Metering.JournalHome;

namespace Tollgate.Tests.Metering;

/// <summary>Full disks, restarts without end, restored backups, and what truncation may take.</summary>
public sealed class UsageJournalDiskTests : IDisposable
{
    private readonly JournalHome home = new();
    private volatile bool full;

    public void Dispose() => home.Dispose();

    [Fact]
    public void A_full_disk_refuses_new_calls_records_the_admitted_ones_and_recovers_by_itself()
    {
        using UsageJournal journal = OpenOnDiskThatFills();
        full = true;
        var admitted = new List<ulong>();
        while (journal.TryReserve())
            admitted.Add(journal.AppendAdmitted(Call(admitted.Count)).Sequence);

        // Every admission left room for its settlement: 64 slots are 32 calls.
        Assert.Equal(SmallSlots / 2, admitted.Count);
        WaitFor(() => journal.Trouble?.Contains("no space left", StringComparison.Ordinal) == true);
        Assert.Contains(home.Folder, journal.Trouble, StringComparison.Ordinal);
        for (int i = 0; i < admitted.Count; i++)
            journal.AppendSettled(Answer(admitted[i], Call(i)));
        Assert.Equal(SmallSlots, ReadAll(journal).Count);
        Assert.False(journal.TryReserve());

        home.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.False(journal.TryReserve());
        // The retry that is running takes its half-made file away again.
        WaitFor(() => Directory.GetFiles(home.Folder, "*.new").Length == 0);

        full = false;
        WaitFor(() =>
        {
            home.Clock.Advance(TimeSpan.FromSeconds(2));
            return journal.Trouble is null;
        });
        Write(journal, 20, from: 100);
        Assert.Equal(SmallSlots + 40, ReadAll(journal).Count);
    }

    [Fact]
    public void A_released_reservation_is_room_for_another_call_on_a_full_disk()
    {
        using UsageJournal journal = OpenOnDiskThatFills();
        full = true;
        while (journal.TryReserve())
        {
        }
        journal.Release();
        Assert.True(journal.TryReserve());
        Assert.False(journal.TryReserve());
        for (int i = 0; i < SmallSlots / 2; i++)
            journal.Release();
    }

    [Fact]
    public void A_journal_opens_on_a_full_disk_so_that_it_can_be_drained()
    {
        using (UsageJournal journal = home.Open())
            Write(journal, 10);
        full = true;
        using UsageJournal next = OpenOnDiskThatFills();
        Assert.False(next.TryReserve());
        Assert.Contains("no space left", next.Trouble, StringComparison.Ordinal);
        Assert.Equal(20, ReadAll(next).Count);

        full = false;
        WaitFor(() =>
        {
            home.Clock.Advance(TimeSpan.FromSeconds(2));
            return next.Trouble is null;
        });
        Write(next, 10);
        Assert.Equal(40, ReadAll(next).Count);
    }

    [Fact]
    public void A_folder_that_goes_away_is_trouble_and_no_exception()
    {
        using UsageJournal journal = home.Open();
        Directory.Delete(home.Folder, recursive: true);
        var admitted = new List<ulong>();
        while (journal.TryReserve())
            admitted.Add(journal.AppendAdmitted(Call(1)).Sequence);
        WaitFor(() => journal.Trouble?.Contains(home.Folder, StringComparison.Ordinal) == true);
        foreach (ulong sequence in admitted)
            journal.AppendSettled(Answer(sequence, Call(1)));
        Assert.Equal(SmallSlots, ReadAll(journal).Count);
    }

    [Fact]
    public void Identities_never_repeat_across_restarts_crashes_and_restored_backups()
    {
        var seen = new HashSet<RecordId>();
        ulong position = 0;
        int fresh = 0;
        using var backup = new JournalHome();
        for (int restart = 0; restart < 12; restart++)
        {
            if (restart == 4)
                CopyFiles(home.Folder, backup.Folder);
            if (restart == 8)
            {
                // Somebody restores the backup, ten minutes and four boots later.
                foreach (string file in Directory.GetFiles(home.Folder))
                    File.Delete(file);
                CopyFiles(backup.Folder, home.Folder);
                home.Clock.Advance(TimeSpan.FromMinutes(10));
            }
            using UsageJournal journal = home.Open();
            for (int i = 0; i < 50; i++)
            {
                ulong sequence = Admit(journal, i);
                Assert.True(seen.Add(new RecordId(journal.Id, journal.Boot, sequence)));
                journal.AppendSettled(Answer(sequence, Call(i)));
            }
            // What the drain's one integer says was read is never issued again, so it never hides a new record.
            List<JournalRecord> news = ReadAll(journal, position);
            Assert.All(news, r => Assert.Equal(journal.Boot, r.Boot));
            fresh += news.Count;
            position = news[^1].Sequence + 1;
        }
        Assert.Equal(12 * 100, fresh);
    }

    [Fact]
    public void Sequences_that_a_power_cut_took_are_not_issued_again()
    {
        ulong drained;
        JournalHome cut;
        using (UsageJournal journal = home.Open())
        {
            Write(journal, 20);
            drained = journal.NextSequence;
            cut = home.CopyAsAfterAKill();
        }
        using (cut)
        {
            // The pages since the last flush are gone; the drain has committed what it read from them.
            Overwrite(cut.Segments()[0], SlotAt(10), new byte[30 * SlotBytes]);
            // A clock that went back must not matter.
            using UsageJournal next = UsageJournal.Open(cut.Folder, Small, new FakeTimeProvider());
            Assert.Equal(10, next.Recovery.Records);
            Write(next, 1);
            Assert.Equal(2, ReadAll(next, drained).Count);
        }
    }

    [Fact]
    public void Every_boot_has_a_new_number_even_within_one_second()
    {
        var boots = new List<uint>();
        for (int i = 0; i < 5; i++)
        {
            using UsageJournal journal = home.Open();
            boots.Add(journal.Boot);
        }
        Assert.Equal(Enumerable.Range(0, 5).Select(i => boots[0] + (uint)i), boots);
        Assert.Equal(home.Clock.GetUtcNow().ToUnixTimeSeconds(), boots[0]);
    }

    [Fact]
    public void Idle_restarts_and_crashes_leave_no_pile_of_files()
    {
        using (UsageJournal journal = home.Open(new JournalOptions()))
            Write(journal, 1);
        for (int i = 0; i < 5; i++)
        {
            using (home.Open(new JournalOptions()))
            {
                using JournalHome crashed = home.CopyAsAfterAKill();
                crashed.Open(new JournalOptions()).Dispose();
                Assert.True(crashed.Segments().Length <= 4);
                Assert.True(crashed.Segments().Sum(s => new FileInfo(s).Length) < 20_000);
            }
        }
        Assert.True(home.Segments().Length <= 3);
        Assert.True(home.Segments().Sum(s => new FileInfo(s).Length) < 20_000);
        using UsageJournal last = home.Open();
        Assert.Equal(2, ReadAll(last).Count);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public void Truncation_keeps_the_newest_full_segments_and_whatever_was_not_drained(int keep)
    {
        using UsageJournal journal = home.Open(Small with { KeepSealedSegments = keep });
        Write(journal, 5 * SmallSlots / 2 + 1);
        ulong start = journal.FirstSequence;

        journal.TruncateBefore(start + SmallSlots - 1);
        Assert.Equal(start, journal.FirstSequence);
        journal.TruncateBefore(start + SmallSlots);
        Assert.Equal(start + SmallSlots, journal.FirstSequence);
        Assert.Equal(start + SmallSlots, FirstOf(home.Segments()[0]));

        journal.TruncateBefore(ulong.MaxValue);
        Assert.Equal(start + (ulong)(5 - keep) * SmallSlots, journal.FirstSequence);
        Assert.Equal(keep * SmallSlots + 2, ReadAll(journal).Count);
        Write(journal, 100);
        Assert.Equal(keep * SmallSlots + 202, ReadAll(journal).Count);
    }

    [Fact]
    public void A_segment_in_which_a_writer_may_be_is_never_truncated()
    {
        using UsageJournal journal = home.Open(Small with { KeepSealedSegments = 0 });
        Write(journal, SmallSlots);
        Overwrite(home.Segments()[0], SlotAt(9), new byte[8]);
        journal.TruncateBefore(ulong.MaxValue);
        Assert.Equal(9, ReadAll(journal).Count);
    }

    [Fact]
    public void Truncated_segments_of_earlier_boots_go_and_stay_gone()
    {
        for (int boot = 0; boot < 3; boot++)
        {
            using UsageJournal journal = home.Open(Small with { KeepSealedSegments = 0 });
            Write(journal, 40);
        }
        ulong position = 0;
        using (UsageJournal journal = home.Open(Small with { KeepSealedSegments = 0 }))
        {
            while (journal.Read(ref position, new JournalRecord[100]) > 0)
            {
            }
            journal.TruncateBefore(position);
            Assert.Empty(ReadAll(journal));
            Assert.Single(home.Segments());
        }
        using UsageJournal next = home.Open();
        Assert.Equal(0, next.Recovery.Records);
        Write(next, 3);
        Assert.Equal(6, ReadAll(next, position).Count);
    }

    [Fact]
    public void A_flush_may_run_beside_writers_and_truncation()
    {
        using UsageJournal journal = home.Open(Small with { SegmentBytes = 64 * 1024 });
        var writer = new Thread(() => Write(journal, 5_000)) { IsBackground = true };
        writer.Start();
        ulong position = 0;
        var batch = new JournalRecord[200];
        int read = 0;
        WaitFor(() =>
        {
            read += journal.Read(ref position, batch);
            journal.Flush();
            journal.TruncateBefore(position);
            return read == 10_000;
        });
        writer.Join();
        Assert.True(home.Segments().Length <= 4);
    }

    private static void CopyFiles(string from, string to)
    {
        foreach (string file in Directory.GetFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    private static void WaitFor(Func<bool> condition) =>
        Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(30)));

    private UsageJournal OpenOnDiskThatFills() => UsageJournal.Open(home.Folder, Small, home.Clock, AllocateUnlessFull);

    private void AllocateUnlessFull(SafeFileHandle file, long bytes)
    {
        if (full)
            throw new IOException("no space left");
        DurableFile.Allocate(file, bytes);
    }
}
