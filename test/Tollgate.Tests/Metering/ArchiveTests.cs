using Dapper;
using Tollgate.Metering;

namespace Tollgate.Tests.Metering;

/// <summary>Full segments become files, once each, and only then do the segments go.</summary>
public sealed class ArchiveTests
{
    [Fact]
    public async Task What_is_read_back_from_the_files_is_what_the_journal_held()
    {
        await using var ledger = new LedgerFolder();
        await ledger.OpenAsync();
        ledger.Call(20);
        var slow = ledger.Admit();
        Assert.True(ledger.Journal.TryAppendPart(new Measure
        {
            AdmissionSequence = slow.Sequence,
            Admission = slow.Admission,
            Meter = 7,
            Quantity = 12_345,
            Dimensions = 3,
        }));
        Assert.True(ledger.Journal.TryAppendEvents(
        [
            Event(UInt128.MaxValue - 5, first: true, left: 1), Event(UInt128.MaxValue - 5, first: false, left: 0),
        ]));
        ledger.Call(LedgerFolder.CallsInSegment);
        Assert.True(ledger.Journal.TryAppendCorrected(new Measure
        {
            AdmissionSequence = slow.Sequence, Admission = slow.Admission, Meter = 1, Quantity = -1,
        }));
        ledger.Settle(slow);
        ledger.Call(2 * LedgerFolder.CallsInSegment);
        var held = ReadAll(ledger.Journal);
        await ledger.Drain.CatchUpAsync();
        Assert.True(await ledger.Archive.RunAsync(ledger.Drain.Position) >= 3);

        var files = await ledger.Database.ReadAsync(db => ArchiveStore.FilesAsync(db));
        using var archived = new ArchivedRecords(ledger.ArchiveFolder, files);
        var (back, position) = (new List<JournalRecord>(), 0UL);
        var batch = new JournalRecord[10];
        int read;
        while ((read = archived.Read(ref position, batch)) > 0) back.AddRange(batch.AsSpan(0, read));
        // a measure's credential is not written
        Assert.Equal(held.TakeWhile(r => r.Sequence < ledger.Archive.Archived), back);
        Assert.Equal(files.Sum(f => f.Records), back.Count);
        Assert.Equal(files.Sum(f => f.Calls), back.Count(r => r.Kind == RecordKind.Admitted));
    }

    [Fact]
    public async Task A_segment_stays_until_it_is_archived()
    {
        await using var ledger = new LedgerFolder();
        await ledger.OpenAsync();
        ledger.Call(3 * LedgerFolder.CallsInSegment);
        await ledger.Drain.CatchUpAsync();
        ledger.Clock.Advance(TimeSpan.FromMinutes(3));
        // the journal makes the one after the next meanwhile
        var before = Directory.GetFiles(ledger.JournalFolder, "*.journal");
        ledger.Drain.Truncate(ledger.Archive.Archived);
        Assert.All(before, f => Assert.True(File.Exists(f), f));
        await ledger.ArchiveAsync();
        Assert.Contains(before, f => !File.Exists(f));
        Assert.Empty((await ledger.VerifyAsync()).Faults);
    }

    [Fact]
    public async Task A_crash_before_the_file_was_written_down_leaves_no_duplicate_and_no_gap()
    {
        await using var ledger = new LedgerFolder();
        await ledger.OpenAsync();
        ledger.Call(2 * LedgerFolder.CallsInSegment);
        await ledger.SqlAsync("create trigger full before insert on archive_files begin select raise(abort, 'disk full'); end");
        await ledger.Drain.CatchUpAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => ledger.Archive.RunAsync(ledger.Drain.Position));
        Assert.Single(Directory.GetFiles(ledger.ArchiveFolder, "*.parquet"));
        await File.WriteAllTextAsync(Path.Combine(ledger.ArchiveFolder, "half.parquet.new"), "half", TestContext.Current.CancellationToken);
        await ledger.SqlAsync("drop trigger full");
        await ledger.CloseAsync();

        await ledger.OpenAsync();
        await ledger.ArchiveAsync();
        Assert.Empty(Directory.GetFiles(ledger.ArchiveFolder, "*.new"));
        var calls = await ledger.Database.ReadAsync(db => db.ExecuteScalarAsync<long>("select sum(calls) from archive_files"));
        Assert.Equal(2 * LedgerFolder.CallsInSegment, calls);
        Assert.Empty((await ledger.VerifyAsync()).Faults);
        Assert.Equal(2 * LedgerFolder.CallsInSegment, (await ledger.SumsAsync()).Admitted);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task What_is_older_than_is_kept_goes_and_the_rest_is_proved_still(int months)
    {
        await using var ledger = new LedgerFolder();
        await ledger.OpenAsync(new ArchiveOptions { KeepMonths = months });
        ledger.Call(2 * LedgerFolder.CallsInSegment);
        await ledger.ArchiveAsync();
        ledger.Clock.Advance(TimeSpan.FromDays(31 * months));
        ledger.Call(2 * LedgerFolder.CallsInSegment);
        await ledger.ArchiveAsync();
        Assert.Equal(4, Directory.GetFiles(ledger.ArchiveFolder, "*.parquet").Length);
        ledger.Clock.Advance(TimeSpan.FromDays(20));
        await ledger.ArchiveAsync();
        Assert.Equal(2, Directory.GetFiles(ledger.ArchiveFolder, "*.parquet").Length);
        var found = await ledger.VerifyAsync();
        Assert.Empty(found.Faults);
        Assert.True(found.From > 0);
        Assert.Equal(2 * LedgerFolder.CallsInSegment * 2, found.Records);
    }

    [Fact]
    public async Task The_oldest_files_go_when_all_of_them_are_too_large()
    {
        await using var ledger = new LedgerFolder();
        await ledger.OpenAsync(new ArchiveOptions { KeepBytes = 1 << 20 });
        ledger.Call(3 * LedgerFolder.CallsInSegment);
        await ledger.ArchiveAsync();
        await ledger.SqlAsync("update archive_files set bytes = 500000");
        await ledger.ArchiveAsync();
        Assert.Equal(2, Directory.GetFiles(ledger.ArchiveFolder, "*.parquet").Length);
        // the size that was made up is all that is wrong
        Assert.All((await ledger.VerifyAsync()).Faults, f => Assert.Contains("500000 bytes", f, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1, 9.0)]
    [InlineData(10_000, 12.0)]
    public void A_call_takes_at_most_twelve_bytes(int keys, double most)
    {
        var folder = Directory.CreateTempSubdirectory("archive-").FullName;
        try
        {
            var traffic = Traffic.Of(calls: 100_000, keys);
            var file = ParquetWriter.Write(folder, 1, 1, 200_001, Read, new Dictionary<int, string> { [1] = "/v1/premium/analytics" })!;
            Assert.Equal(100_000, file.Calls);
            Assert.InRange(file.Bytes / 100_000.0, 1, most);

            int Read(ref ulong position, Span<JournalRecord> into)
            {
                var some = traffic.AsSpan((int)position - 1);
                if (some.Length > into.Length) some = some[..into.Length];
                some.CopyTo(into);
                position += (ulong)some.Length;
                return some.Length;
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static UsageEvent Event(UInt128 identity, bool first, int left) => new()
    {
        Identity = identity, OccurredAt = 1_768_000_000_000_000, Subject = 4, Meter = 9, Quantity = 3, IsFirst = first, Left = left,
    };

    private static List<JournalRecord> ReadAll(UsageJournal journal)
    {
        var (all, position) = (new List<JournalRecord>(), journal.FirstSequence);
        var batch = new JournalRecord[100];
        int read;
        while ((read = journal.Read(ref position, batch)) > 0) all.AddRange(batch.AsSpan(0, read));
        return all;
    }
}

/// <summary>What a busy gateway's journal looks like: 64 calls under way, 30,000 a second, random keys and latencies.
/// </summary>
internal static class Traffic
{
    public static JournalRecord[] Of(int calls, int keys)
    {
        var random = new Random(1);
        var records = new List<JournalRecord>(2 * calls);
        var open = new Queue<(ulong Sequence, Admission Admission)>();
        var (sequence, at) = (1UL, 1_768_000_000_000_000L);
        for (var i = 0; i < calls; i++)
        {
            at += random.Next(0, 67);
            var key = 1 + random.Next(keys);
            var admission = new Admission
            {
                AdmittedAt = at, Entitlement = key, Period = 0, Consumer = key, Operation = 1, Credential = key, Method = 1,
            };
            open.Enqueue((sequence, admission));
            records.Add(new JournalRecord
            {
                Kind = RecordKind.Admitted, Boot = 7, Sequence = sequence, Admission = admission, AdmissionSequence = sequence,
            });
            sequence++;
            if (open.Count > 32 + random.Next(64)) Settle();
        }

        while (open.Count > 0) Settle();
        return [.. records];

        void Settle()
        {
            var (admitted, admission) = open.Dequeue();
            records.Add(new JournalRecord
            {
                Kind = RecordKind.Settled, Boot = 7, Sequence = sequence++, Admission = admission, AdmissionSequence = admitted,
                Status = 200, Billable = true, Quantity = 1, LatencyMicros = 900 + (uint)random.Next(3_000),
            });
        }
    }
}
