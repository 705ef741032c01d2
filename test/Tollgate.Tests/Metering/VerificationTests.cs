using Tollgate.Metering;

namespace Tollgate.Tests.Metering;

/// <summary>What is whole is proved, and each part that is damaged is named.</summary>
public sealed class VerificationTests
{
    [Fact]
    public async Task A_ledger_of_several_boots_archived_and_killed_is_whole()
    {
        await using var ledger = await FilledAsync();
        var found = await ledger.VerifyAsync();
        Assert.Empty(found.Faults);
        var (admitted, _, unknown) = await ledger.SumsAsync();
        Assert.Equal(1, unknown);
        Assert.Equal(2 * admitted - 1, found.Records);
        Assert.True(found is { Files: > 3, Segments: > 0, Rows: > 10, From: 0 }, $"{found}");
    }

    [Fact]
    public async Task A_changed_or_missing_file_of_the_archive_is_named()
    {
        await using var ledger = await FilledAsync();
        var files = Directory.GetFiles(ledger.ArchiveFolder).Order().ToArray();
        var bytes = await File.ReadAllBytesAsync(files[0], TestContext.Current.CancellationToken);
        bytes[bytes.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(files[0], bytes, TestContext.Current.CancellationToken);
        File.Delete(files[1]);
        var faults = (await ledger.VerifyAsync()).Faults;
        Assert.Contains(faults, f => f.Contains(files[0], StringComparison.Ordinal) && f.Contains("changed", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.Contains(files[1], StringComparison.Ordinal) && f.Contains("gone", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.StartsWith("the rollups say", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_damaged_slot_of_the_journal_is_named_and_what_it_counted()
    {
        await using var ledger = await FilledAsync();
        await ledger.Drain.CatchUpAsync();
        await ledger.CloseAsync();
        var segment = Directory.GetFiles(ledger.JournalFolder, "*.journal").Order().Last(f => new FileInfo(f).Length > 4096 + 640);
        await using (var file = File.OpenWrite(segment))
        {
            file.Position = JournalHome.HeaderBytes + (4 * JournalHome.SlotBytes) + 30;
            file.WriteByte(0xEE);
        }

        var faults = (await ledger.VerifyAsync()).Faults;
        Assert.Contains(faults, f => f.StartsWith($"{segment}: slot 4", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.StartsWith("the rollups say", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_segment_that_is_gone_is_a_gap()
    {
        await using var ledger = await FilledAsync();
        ledger.Call(2 * LedgerFolder.CallsInSegment);
        await ledger.Drain.CatchUpAsync();
        await ledger.CloseAsync();
        var gone = Directory.GetFiles(ledger.JournalFolder, "*.journal").Order().First();
        var first = JournalHome.FirstOf(gone);
        File.Delete(gone);
        Assert.Contains((await ledger.VerifyAsync()).Faults,
            f => f.StartsWith($"sequences {first} to ", StringComparison.Ordinal) && f.Contains("neither", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("update rollups set quantity = quantity + 1 where consumer = 3", "quantity")]
    [InlineData("delete from rollups where consumer = 3", "consumer 3")]
    [InlineData("update rollups set admitted = admitted - 1 where consumer = 4", "admitted")]
    public async Task A_sum_that_says_something_else_than_the_calls_is_named(string damage, string named)
    {
        await using var ledger = await FilledAsync();
        await ledger.SqlAsync(damage);
        var faults = (await ledger.VerifyAsync()).Faults;
        Assert.Contains(faults, f => f.StartsWith("archive and journal say", StringComparison.Ordinal)
            && f.Contains(named, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_damaged_page_of_the_database_is_named()
    {
        await using var ledger = await FilledAsync();
        await ledger.CloseAsync();
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        await using (var file = File.OpenWrite(ledger.Store))
        {
            file.Position = 4096 * 5;
            file.Write(new byte[4096 * 20]);
        }

        Exception? refused = null;
        Verified? found = null;
        try
        {
            found = await ledger.VerifyAsync();
        }
        catch (Tollgate.Storage.StorageException e)
        {
            refused = e;
        }

        Assert.True(refused?.Message.Contains(ledger.Store, StringComparison.Ordinal) ?? found!.Faults.Count > 0);
    }

    [Fact]
    public async Task An_older_database_takes_up_journal_and_archive_again_and_bills_nothing_twice()
    {
        await using var ledger = new LedgerFolder();
        await ledger.OpenAsync();
        ledger.Call(3 * LedgerFolder.CallsInSegment);
        await ledger.ArchiveAsync();
        await ledger.CloseAsync();
        var backup = ledger.Store + ".backup";
        File.Copy(ledger.Store, backup);

        await ledger.OpenAsync();
        ledger.Call(5 * LedgerFolder.CallsInSegment);
        await ledger.ArchiveAsync();
        ledger.Call(7);
        var sums = await ledger.SumsAsync();
        await ledger.CloseAsync();
        foreach (var file in new[] { "", "-wal", "-shm" }) File.Delete(ledger.Store + file);
        File.Move(backup, ledger.Store);

        for (var restart = 0; restart < 2; restart++)
        {
            await ledger.OpenAsync();
            Assert.Equal(sums, await ledger.SumsAsync());
            Assert.Empty((await ledger.VerifyAsync()).Faults);
            await ledger.CloseAsync();
        }
    }

    [Fact]
    public async Task A_file_that_only_the_archive_knows_and_cannot_be_read_is_named_at_the_start()
    {
        await using var ledger = new LedgerFolder();
        await ledger.OpenAsync();
        ledger.Call(3 * LedgerFolder.CallsInSegment);
        await ledger.ArchiveAsync();
        var file = Directory.GetFiles(ledger.ArchiveFolder).Order().First();
        await ledger.SqlAsync("delete from archive_files");
        await ledger.CloseAsync();
        await File.WriteAllTextAsync(file, "no parquet", TestContext.Current.CancellationToken);
        var refused = await Assert.ThrowsAsync<InvalidDataException>(() => ledger.OpenAsync());
        Assert.Contains(file, refused.Message, StringComparison.Ordinal);
    }

    /// <summary>Three boots, one of them killed with a call under way; most of it in the archive.</summary>
    private static async Task<LedgerFolder> FilledAsync()
    {
        var ledger = new LedgerFolder();
        await ledger.OpenAsync();
        ledger.Call(4 * LedgerFolder.CallsInSegment);
        await ledger.ArchiveAsync();
        ledger.Call(10);
        var dead = ledger.Admit();
        await ledger.Drain.CatchUpAsync();
        await ledger.KillAsync(dead);
        await ledger.OpenAsync();
        ledger.Call(2 * LedgerFolder.CallsInSegment);
        await ledger.ArchiveAsync();
        await ledger.CloseAsync();
        await ledger.OpenAsync();
        ledger.Call(9);
        await ledger.Drain.CatchUpAsync();
        return ledger;
    }
}
