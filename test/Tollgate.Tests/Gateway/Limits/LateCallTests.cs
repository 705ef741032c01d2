using Tollgate.Catalog;
using Tollgate.Gateway;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Calls that came before another and are counted after it.</summary>
public sealed class LateCallTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          m:
            upstream: UPSTREAM
            operations: { data: GET /data }
        plans:
          small:
            operations: ["*"]
            quotas: [{ meter: calls, allowance: 3, per: month }]
        """;

    [Theory]
    [InlineData(-1)]
    [InlineData(-14_000_000)]
    public async Task A_call_that_is_counted_behind_one_of_the_next_billing_period_is_of_that_period_in_its_record_too(long came)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var hash = server.Node.Keys.Hash(await server.SubscribeAsync("fred", "small"))!;
        var gate = new Tollgate.Gateway.Gate(server.Node.Table, server.Node.Journal);
        var operation = server.Node.Table.Snapshot.Match("GET", "/data")!;
        var first = Decide(Micros.Now(server.Node.Clocks.Business));
        var calendar = first.Entitlement!.Source.Calendar;
        var turn = Micros.Of(calendar.PeriodOf(first.Period).End);
        var early = Decide(turn);
        Assert.Equal(first.Period + 1, early.Period);

        var late = Decide(turn + came);
        Assert.Equal((first.Period + 1, turn), (late.Period, late.AdmittedAt(turn + came)));
        Assert.Equal(1, late.Limits[0].Remaining);

        // a clock that was set back stays where it is
        var behind = Decide(turn - 3_600_000_000);
        Assert.Equal((first.Period, turn - 3_600_000_000), (behind.Period, behind.AdmittedAt(turn - 3_600_000_000)));

        Decision Decide(long now)
        {
            var decision = default(Decision);
            gate.Decide(server.Node.Table.Snapshot, operation, hash, now, 0, ref decision);
            Assert.Equal(Verdict.Admit, decision.Verdict);
            return decision;
        }
    }
}
