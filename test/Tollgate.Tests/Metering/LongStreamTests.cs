using Dapper;
using Tollgate.Metering;

namespace Tollgate.Tests.Metering;

/// <summary>A stream of two hours beside many short calls: drain, archive and journal go on as if it were not there.</summary>
public sealed class LongStreamTests
{
    // 240 segments, each of 64 records and 32 short calls; of a server's size (half a million calls each) that is 120 million
    // short calls beside the stream
    private const int Rounds = 240;

    [Fact]
    public async Task A_stream_of_two_hours_holds_nothing_up_and_is_counted_once()
    {
        await using var ledger = new LedgerFolder();
        await ledger.OpenAsync();
        await ledger.SqlAsync("insert into meter_keys (key, name, aggregation, scale) values (7, 'tokens', 'sum', 0)");
        var stream = ledger.Admit();
        var part = new Measure { AdmissionSequence = stream.Sequence, Admission = stream.Admission, Meter = 7, Quantity = 3 };
        var (parts, files) = (0, 0);
        for (var round = 0; round < Rounds; round++)
        {
            ledger.Call(LedgerFolder.CallsInSegment);
            if (round % 2 == 0 && ledger.Journal.TryAppendPart(part)) parts++;
            await ledger.Drain.CatchUpAsync();
            await ledger.Archive.RunAsync(ledger.Drain.Position);
            ledger.Drain.Truncate(ledger.Archive.Archived);
            files = Math.Max(files, Directory.GetFiles(ledger.JournalFolder, "*.journal").Length);
            Assert.Equal(1, await OpenAsync(ledger));
        }

        // two minutes of records are kept for limits, and the segment that is written to
        Assert.InRange(files, 1, 10);
        Assert.True(ledger.Archive.Archived > stream.Sequence + 60 * LedgerFolder.CallsInSegment);
        Assert.InRange(parts, Rounds / 4, Rounds / 2);
        ledger.Settle(stream);
        var (admitted, quantity, unknown) = await ledger.SumsAsync();
        Assert.Equal((Rounds * LedgerFolder.CallsInSegment + 1, 0, 0), (admitted, unknown, await OpenAsync(ledger)));
        Assert.Equal(3 * parts, await ledger.Database.ReadAsync(db => db.ExecuteScalarAsync<long>(
            "select sum(quantity) from rollups where meter = 7")));
        Assert.True(quantity > admitted / 2);
        Assert.Empty((await ledger.VerifyAsync()).Faults);
    }

    private static Task<long> OpenAsync(LedgerFolder ledger) =>
        ledger.Database.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from open_admissions"));
}
