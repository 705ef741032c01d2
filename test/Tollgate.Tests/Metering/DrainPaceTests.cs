using Dapper;

namespace Tollgate.Tests.Metering;

/// <summary>How often a journal is drained by itself.</summary>
public sealed class DrainPaceTests
{
    [Fact]
    public async Task A_turn_that_changed_many_rows_is_followed_later_by_the_next_and_whoever_asks_does_not_wait_for_it()
    {
        await using var ledger = new LedgerFolder();
        await ledger.OpenAsync();

        // sixty rows in each quarter of an hour
        ledger.Call(1_000);
        Assert.Equal(1_000, (await ledger.SumsAsync()).Admitted);
        var behind = ledger.Drain.Position;
        ledger.Settle(ledger.Admit());
        await ledger.Drain.KeepUpAsync();
        Assert.Equal(behind, ledger.Drain.Position);

        Assert.Equal(1_001, (await ledger.SumsAsync()).Admitted);
        ledger.Call(1_000);
        await ledger.Drain.KeepUpAsync();
        Assert.Equal(2_001, await RowsOfCallsAsync(ledger));

        ledger.Settle(ledger.Admit());
        ledger.Clock.Advance(TimeSpan.FromSeconds(5));
        await ledger.Drain.KeepUpAsync();
        Assert.Equal(2_002, await RowsOfCallsAsync(ledger));
    }

    private static Task<long> RowsOfCallsAsync(LedgerFolder ledger) => ledger.Database.ReadAsync(
        db => db.ExecuteScalarAsync<long>("select sum(admitted) from rollups"));
}
