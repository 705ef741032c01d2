using Tollgate.Catalog;
using Tollgate.Gateway;
using Tollgate.Metering;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>What the decision costs in garbage: nothing. Time is measured in bench/, not here.</summary>
public sealed class HotPathTests
{
    [Fact]
    public async Task A_decision_and_its_record_allocate_nothing_whether_admitted_or_refused()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(
            Yaml.Tiers.Replace("[1000/minute]", "[30000/minute, 100000/hour, 40000/month, " +
                "70000/day sliding, 90000/hour bucket by customer, 9 concurrent]\n" +
                "    quotas: [{ meter: calls, allowance: 50000, per: month }]", StringComparison.Ordinal),
            upstream);
        var hash = server.Node.Keys.Hash(await server.SubscribeAsync("paul", "pro"))!;
        var gate = new Tollgate.Gateway.Gate(server.Node.Table, server.Node.Journal);
        var operation = server.Node.Table.Snapshot.Match("GET", "/v1/premium/analytics")!;
        var now = Micros.Now(server.Node.Clocks.Business);
        var (admitted, refused) = (0, 0);
        Run(1_000);
        // on PostgreSQL the node hears of its own changes once more, and binds what is in force anew, once
        Assert.Equal(0, Enumerable.Range(0, 4).Min(_ => AllocatedBy(10_000)));
        Assert.Equal((30_000, 11_000), (admitted, refused));

        long AllocatedBy(int calls)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            Run(calls);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        void Run(int calls)
        {
            for (var i = 0; i < calls; i++)
            {
                var decision = default(Decision);
                gate.Decide(server.Node.Table.Snapshot, operation, hash, now, 0, ref decision);
                if (decision.Verdict == Verdict.Admit) Write(server.Node.Journal, ref decision);
                else refused++;
            }
        }

        void Write(UsageJournal journal, ref Decision decision)
        {
            admitted++;
            var admission = new Admission
            {
                AdmittedAt = now,
                Entitlement = decision.Entitlement!.Key,
                Period = decision.Period,
                Consumer = decision.Consumer!.Key,
                Operation = operation.Key,
                Credential = decision.Credential!.Key,
                Method = 1,
            };
            var record = journal.AppendAdmitted(admission);
            journal.AppendSettled(new Settlement
            {
                AdmissionSequence = record.Sequence,
                Admission = admission,
                Status = 200,
                Billable = true,
                Quantity = 1,
                LatencyMicros = 5,
            });
            Tollgate.Gateway.Gate.Settle(ref decision, operation, 1);
            Tollgate.Gateway.Gate.Release(ref decision);
        }
    }
}
