using Tollgate.Metering;
using static Tollgate.Tests.Metering.JournalHome;

namespace Tollgate.Tests.Metering;

/// <summary>What stands in the folder after a crash, a bad disk or a wrong hand, and what becomes of it.</summary>
public sealed class UsageJournalRecoveryTests : IDisposable
{
    private readonly JournalHome home = new();

    public void Dispose() => home.Dispose();

    [Fact]
    public void Everything_is_there_after_a_clean_restart()
    {
        List<JournalRecord> written;
        uint id;
        using (UsageJournal journal = home.Open())
        {
            Write(journal, 100);
            written = ReadAll(journal);
            id = journal.Id;
        }
        using UsageJournal next = home.Open();
        Assert.Equal(id, next.Id);
        Assert.Equal((200L, 0L, 0L), (next.Recovery.Records, next.Recovery.Holes, next.Recovery.Corrupt));
        Assert.Empty(next.Recovery.Findings);
        Assert.Equal(written, ReadAll(next));
        Write(next, 1);
        Assert.Equal(202, ReadAll(next).Count);
    }

    [Fact]
    public void A_process_killed_at_any_moment_loses_no_record_that_it_had_appended()
    {
        using UsageJournal journal = home.Open(Small with { SegmentBytes = 256 * 1024 });
        const int kills = 8, callsBetween = 4_000;
        int done = 0, allowed = 0;
        var writer = new Thread(() =>
        {
            while (done < kills * callsBetween)
            {
                // Ahead of the copies, but not for ever: copying more takes longer, in which more would be written.
                SpinWait.SpinUntil(() => done < Volatile.Read(ref allowed));
                Write(journal, 1, done);
                Volatile.Write(ref done, done + 1);
            }
        })
        { IsBackground = true };
        writer.Start();
        for (int kill = 0; kill < kills; kill++)
        {
            int enough = Volatile.Read(ref done) + 100;
            Volatile.Write(ref allowed, (kill + 1) * callsBetween);
            Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref done) > enough, TimeSpan.FromSeconds(30)));
            int sure = Volatile.Read(ref done);
            using JournalHome killed = home.CopyAsAfterAKill();
            using UsageJournal survivor = killed.Open(Small with { SegmentBytes = 256 * 1024 });
            List<JournalRecord> found = ReadAll(survivor);
            Assert.Equal(survivor.Recovery.Records, found.Count);
            Assert.True(found.Count(r => r.Kind == RecordKind.Settled) >= sure);
            Assert.Equal(found.Select(r => r.Sequence).Distinct().Order(), found.Select(r => r.Sequence));
        }
        writer.Join();
        Assert.Equal(2 * kills * callsBetween, ReadAll(journal).Count);
    }

    [Fact]
    public void A_hole_of_an_earlier_boot_is_skipped_and_what_follows_is_kept()
    {
        using (UsageJournal journal = home.Open())
            Write(journal, 10);
        // Cut off between its fields and its commit word, and another before its first byte.
        Overwrite(home.Segments()[0], SlotAt(3), new byte[8]);
        Overwrite(home.Segments()[0], SlotAt(7), new byte[SlotBytes]);

        using UsageJournal next = home.Open();
        Assert.Equal((18L, 2L, 0L), (next.Recovery.Records, next.Recovery.Holes, next.Recovery.Corrupt));
        IEnumerable<int> slots = ReadAll(next).Select(r => (int)(r.Sequence - next.FirstSequence));
        Assert.Equal([0, 1, 2, 4, 5, 6, .. Enumerable.Range(8, 12)], slots);
    }

    [Fact]
    public void A_damaged_slot_is_reported_with_file_and_number_and_the_rest_is_kept()
    {
        using (UsageJournal journal = home.Open())
            Write(journal, 10);
        string file = home.Segments()[0];
        for (int bit = 0; bit < 8; bit++)
        {
            byte[] bytes = File.ReadAllBytes(file);
            Overwrite(file, SlotAt(5) + bit * 8 + 3, (byte)(bytes[SlotAt(5) + bit * 8 + 3] ^ (1 << bit)));
            using (JournalHome copy = home.CopyAsAfterAKill())
            using (UsageJournal next = copy.Open())
            {
                Assert.Equal((19L, 0L, 1L), (next.Recovery.Records, next.Recovery.Holes, next.Recovery.Corrupt));
                string finding = Assert.Single(next.Recovery.Findings);
                Assert.Contains(Path.GetFileName(file), finding, StringComparison.Ordinal);
                Assert.Contains("slot 5 ", finding, StringComparison.Ordinal);
                Assert.Equal(19, ReadAll(next).Count);
            }
            File.WriteAllBytes(file, bytes);
        }
    }

    [Fact]
    public void A_record_copied_into_another_slot_does_not_count_there()
    {
        using (UsageJournal journal = home.Open())
            Write(journal, 10);
        string file = home.Segments()[0];
        Overwrite(file, SlotAt(6), File.ReadAllBytes(file)[(int)SlotAt(4)..(int)SlotAt(5)]);
        using UsageJournal next = home.Open();
        Assert.Equal((19L, 1L), (next.Recovery.Records, next.Recovery.Corrupt));
    }

    [Fact]
    public void A_lost_header_costs_no_record()
    {
        uint boot;
        using (UsageJournal journal = home.Open())
        {
            Write(journal, 10);
            boot = journal.Boot;
        }
        Overwrite(home.Segments()[0], 0, new byte[HeaderBytes]);
        using UsageJournal next = home.Open();
        Assert.Equal((20L, 1L), (next.Recovery.Records, next.Recovery.Corrupt));
        Assert.Contains("header", Assert.Single(next.Recovery.Findings), StringComparison.Ordinal);
        Assert.Equal(20, ReadAll(next).Count);
        Assert.True(next.Boot > boot);
        Write(next, 1);
    }

    [Theory]
    [InlineData(HeaderBytes + 5 * SlotBytes, 5)]
    [InlineData(HeaderBytes + 5 * SlotBytes + 17, 5)]
    [InlineData(HeaderBytes, 0)]
    [InlineData(100, 0)]
    [InlineData(0, 0)]
    public void A_file_cut_short_is_reported_and_its_start_is_kept(int length, int records)
    {
        using (UsageJournal journal = home.Open())
            Write(journal, 10);
        using (FileStream file = File.OpenWrite(home.Segments()[0]))
            file.SetLength(length);
        for (int again = 0; again < 2; again++)
        {
            using UsageJournal next = home.Open();
            Assert.Equal((records, 1L), (next.Recovery.Records, next.Recovery.Corrupt));
            Assert.Contains(home.Segments()[0], next.Recovery.Findings[0], StringComparison.Ordinal);
            Assert.Equal(records, ReadAll(next).Count);
            Write(next, 0);
        }
    }

    [Fact]
    public void Another_format_version_is_refused_by_the_file_s_name()
    {
        using (UsageJournal journal = home.Open())
            Write(journal, 1);
        Overwrite(home.Segments()[0], 8, 9);
        var refused = Assert.Throws<InvalidDataException>(() => home.Open());
        Assert.Contains(home.Segments()[0], refused.Message, StringComparison.Ordinal);
        Assert.Contains("version 9", refused.Message, StringComparison.Ordinal);
        // The refusal let the folder go.
        Overwrite(home.Segments()[0], 8, 1);
        home.Open().Dispose();
    }

    [Fact]
    public void Another_journal_s_segment_is_refused_by_the_file_s_name()
    {
        using var other = new JournalHome();
        using (UsageJournal journal = other.Open())
            Write(journal, 1);
        home.Open().Dispose();
        File.Delete(home.Segments()[0]);
        string stray = Path.Combine(home.Folder, Path.GetFileName(other.Segments()[0]));
        File.Copy(other.Segments()[0], stray);
        var refused = Assert.Throws<InvalidDataException>(() => home.Open());
        Assert.Contains(stray, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_copy_of_a_segment_under_another_name_is_refused_and_bills_nothing_twice()
    {
        using (UsageJournal journal = home.Open())
            Write(journal, 1);
        string copy = Path.Combine(home.Folder, "00000000000000000042.journal");
        File.Copy(home.Segments()[0], copy);
        Assert.Contains(copy, Assert.Throws<InvalidDataException>(() => home.Open()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_lost_id_file_is_learned_again_from_the_segments()
    {
        uint id;
        using (UsageJournal journal = home.Open())
        {
            Write(journal, 1);
            id = journal.Id;
        }
        File.Delete(Path.Combine(home.Folder, "journal.id"));
        using UsageJournal next = home.Open();
        Assert.Equal((id, 2L), (next.Id, next.Recovery.Records));
        Assert.Single(next.Recovery.Findings);
    }

    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    [InlineData("00000000")]
    public void An_id_file_that_makes_no_sense_is_refused(string text)
    {
        home.Open().Dispose();
        File.WriteAllText(Path.Combine(home.Folder, "journal.id"), text);
        var refused = Assert.Throws<InvalidDataException>(() => home.Open());
        Assert.Contains("journal.id", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Half_made_files_and_strangers_do_no_harm()
    {
        home.Open().Dispose();
        File.WriteAllText(Path.Combine(home.Folder, "00000000000000000001.journal.new"), "half");
        File.WriteAllText(Path.Combine(home.Folder, "notes.journal"), "what?");
        using UsageJournal next = home.Open();
        Assert.Empty(Directory.GetFiles(home.Folder, "*.new"));
        Assert.Contains("notes.journal", Assert.Single(next.Recovery.Findings), StringComparison.Ordinal);
    }

    [Fact]
    public void A_ruined_disk_does_not_fill_the_findings_without_end()
    {
        using (UsageJournal journal = home.Open())
            Write(journal, 100);
        foreach (string file in home.Segments())
        {
            for (int slot = 0; SlotAt(slot) + SlotBytes <= new FileInfo(file).Length; slot++)
                Overwrite(file, SlotAt(slot), 1, 2, 3);
        }
        using UsageJournal next = home.Open();
        Assert.Equal((0L, 200L), (next.Recovery.Records, next.Recovery.Corrupt));
        Assert.Equal(64, next.Recovery.Findings.Count);
        Assert.Contains("137 more", next.Recovery.Findings[^1], StringComparison.Ordinal);
    }
}
