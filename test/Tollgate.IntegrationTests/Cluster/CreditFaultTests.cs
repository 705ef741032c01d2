using System.Diagnostics;
using StackExchange.Redis;

namespace Tollgate.IntegrationTests;

/// <summary>Credit over nodes while engines stop, cells are lost and a node does not come back: no unit of it is spent twice, and
/// all of it can be spent in the end.</summary>
public sealed class CreditFaultTests
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data } }
        plans:
          closed:
            operations: [data]
            prices: { calls: { model: per_unit, meter: calls, unit_amount: "0.01" } }
            limits_unavailable: closed
          open:
            operations: [data]
            prices: { calls: { model: per_unit, meter: calls, unit_amount: "0.01" } }
            limits_unavailable: open
        """;

    public static bool IsInstalled => Cluster.IsInstalled;

    [Theory(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    [InlineData("yes")]
    [InlineData("no")]
    public async Task Redis_that_is_stopped_and_started_under_load_spends_no_credit_twice_whether_it_kept_its_memory_or_not(string keeps)
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-redis-").FullName;
        try
        {
            await using var cluster = await Cluster.StartAsync(Plans, ofRedis: ["--appendonly", keeps, "--dir", folder]);
            var key = await cluster.PrepaidAsync("fred", "closed", "3.00");
            var admitted = 0;
            var ended = false;
            var callers = cluster.AllAsync(4, async node =>
            {
                while (!Volatile.Read(ref ended))
                {
                    if (await node.StatusAsync(key) == 200) Interlocked.Increment(ref admitted);
                    else await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
                }
            });
            for (var times = 1; times <= 2; times++)
            {
                await Until.SoAsync(() => Task.FromResult(Volatile.Read(ref admitted) > 60 * times));
                cluster.Redis.Stop();
                await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 0);
                foreach (var node in cluster.Nodes)
                {
                    using var answer = await node.CallAsync(key);
                    Assert.Equal((503, "closed"), ((int)answer.StatusCode, answer.Headers.GetValues("Tollgate-Limits").Single()));
                }

                cluster.Redis.Restart();
                await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 1);
            }

            Volatile.Write(ref ended, true);
            await callers;
            for (var tries = 0; tries < 20 && admitted < 300; tries++) admitted += await cluster.UntilRefusedAsync(key);
            Assert.Equal(300, admitted);
            await cluster.BilledAsync("fred", 300, 3.00m);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_cell_that_is_lost_while_the_store_is_away_leaves_it_to_the_plan_until_the_store_is_back_for_all(bool oneByOne)
    {
        await using var cluster = await Cluster.StartAsync(Plans, nodes: 2, links: true);
        var (closed, open) = (await cluster.PrepaidAsync("fred", "closed", "0.90"), await cluster.PrepaidAsync("wilma", "open", "3.00"));
        foreach (var node in cluster.Nodes)
        {
            node.ToPostgres!.Cut();
            // what is shared so far goes on without the store; a Redis that answers late is another fault
            foreach (var key in new[] { closed, open })
                for (var i = 0; i < 10; i++) await Until.SoAsync(async () => await node.StatusAsync(key) == 200);
        }

        await using (var redis = await ConnectionMultiplexer.ConnectAsync(cluster.Redis.Address["redis://".Length..] + ",allowAdmin=true"))
            await redis.GetServers()[0].FlushAllDatabasesAsync();
        // until a node has to ask, it spends what it has leased
        var (spent, opened) = (20, 0);
        await cluster.EverywhereAsync(async n =>
        {
            var status = await n.StatusAsync(closed);
            if (status == 200) spent++;
            return status == 503;
        });
        await cluster.EverywhereAsync(async n =>
        {
            using var answer = await n.CallAsync(open);
            Assert.Equal(200, (int)answer.StatusCode);
            opened++;
            return answer.Headers.TryGetValues("Tollgate-Limits", out var says) && says.Single() == "open";
        });

        // for so long that in the store they look dead
        await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_feed_silence_seconds") > 6);
        if (oneByOne)
        {
            var first = cluster.Nodes[0];
            first.ToPostgres!.Mend();
            await Until.SoAsync(async () => await first.TextAsync("/readyz") == "ready");
            // what the other one has spent is nowhere but with it; once a second this one tries again
            for (var watch = Stopwatch.StartNew(); watch.Elapsed < TimeSpan.FromSeconds(4);)
                Assert.Equal(503, await first.StatusAsync(closed));
        }

        foreach (var node in cluster.Nodes) node.ToPostgres!.Mend();
        await cluster.EverywhereAsync(async n => await n.TextAsync("/readyz") == "ready");
        // nodes count together again
        await cluster.EverywhereAsync(async n =>
        {
            using var answer = await n.CallAsync(open);
            Assert.Equal(200, (int)answer.StatusCode);
            opened++;
            return !answer.Headers.Contains("Tollgate-Limits");
        });
        for (var tries = 0; tries < 20 && spent < 90; tries++) spent += await cluster.UntilRefusedAsync(closed);
        Assert.Equal(90, spent);
        await cluster.BilledAsync("fred", 90, 0.90m);
        for (var tries = 0; tries < 20 && opened < 280; tries++) opened += await cluster.UntilRefusedAsync(open);
        Assert.Equal(280, opened);
        await cluster.BilledAsync("wilma", 300, 3.00m);
    }

    [Theory(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    [InlineData("drain")]
    [InlineData("retire")]
    public async Task What_a_node_that_does_not_come_back_had_leased_is_free_once_its_journal_is_read_or_given_up(string how)
    {
        await using var cluster = await Cluster.StartAsync(Plans, nodes: 2);
        var (here, lost) = (cluster.Nodes[0], cluster.Nodes[1]);
        var key = await cluster.PrepaidAsync("fred", "closed", "1.00");
        for (var i = 0; i < 20; i++) Assert.Equal(200, await lost.StatusAsync(key));
        await Until.SoAsync(async () => await lost.MetricAsync("tollgate_drain_lag_records") == 0);
        // what it leased for these it has when it dies
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => lost.StatusAsync(key)));
        await lost.KillAsync();
        var admitted = 24 + await cluster.UntilRefusedAsync(key);
        Assert.InRange(admitted, 80, 99);
        string[] command = how == "drain" ? ["drain", Path.Combine(lost.Data, "journal")] : ["retire", await NameOfLostAsync(cluster)];
        var (code, words) = await ServerProcess.RunAsync(cluster.Folder, ["journal", .. command, "--database", here.Database]);
        Assert.True(code == 0, words);
        // given up, its last four calls are nobody's
        var most = how == "drain" ? 100 : 104;
        for (var tries = 0; tries < 20 && admitted < most; tries++) admitted += await cluster.UntilRefusedAsync(key);
        Assert.InRange(admitted, 100, most);
        await cluster.BilledAsync("fred", 100, 1.00m);
    }

    /// <summary>The open journal that was not seen for longest.</summary>
    private static async Task<string> NameOfLostAsync(Cluster cluster)
    {
        string[] open = [];
        await Until.SoAsync(async () =>
        {
            var (_, list) = await ServerProcess.RunAsync(cluster.Folder, "journal", "list", "--database", cluster.Nodes[0].Database);
            open = [.. list.Split('\n').Where(l => l.Contains("  open ", StringComparison.Ordinal)).OrderBy(SeenAt)];
            return open.Length == 2 && SeenAt(open[0]) != SeenAt(open[1]);
        });
        return open[0].Split(' ')[0];

        static string SeenAt(string line) => line[(line.IndexOf("seen ", StringComparison.Ordinal) + 5)..].Split(' ')[0];
    }
}
