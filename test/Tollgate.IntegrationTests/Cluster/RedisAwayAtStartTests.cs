namespace Tollgate.IntegrationTests;

/// <summary>Nodes that are started while Redis, or everything, is away: they take calls as each plan says, no node takes more
/// than its part, and they join when Redis is back.</summary>
public sealed class RedisAwayAtStartTests
{
    private const int Limit = 300;

    /// <summary>A node hears what others spend when it asks for more itself: it does not know of up to a quarter of what was free
    /// (decision 0074).</summary>
    private const int Unheard = Limit / 4;

    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data } }
        plans:
          share: { operations: [data], limits: [300/day] }
          open: { operations: [data], limits: [300/day], limits_unavailable: open }
          closed: { operations: [data], limits: [300/day], limits_unavailable: closed }
        """;

    public static bool IsInstalled => Cluster.IsInstalled;

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_node_that_starts_while_redis_is_away_says_so_takes_its_part_and_joins_later()
    {
        await using var cluster = await Cluster.StartAsync(Plans);
        var keys = new Dictionary<string, string>();
        foreach (var plan in new[] { "share", "open", "closed" }) keys[plan] = await cluster.SubscribeAsync(plan, plan);
        var node = cluster.Nodes[2];
        var before = await HeardAsync(cluster, keys["share"]);
        // what a node that begins anew knows of the others is what is in the store
        await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_drain_lag_records") == 0);
        cluster.Redis.Stop();
        await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 0);
        await node.KillAsync();

        await node.StartAsync();
        Assert.Contains("limits are not shared", await node.TextAsync("/readyz"), StringComparison.Ordinal);
        Assert.Contains("does not answer: limits are not shared", node.Output, StringComparison.Ordinal);
        Assert.Equal(0, await node.MetricAsync("tollgate_redis_up"));
        Assert.Equal(503, await node.StatusAsync(keys["closed"]));
        using (var answer = await node.CallAsync(keys["open"]))
            Assert.Equal((200, "open"), ((int)answer.StatusCode, answer.Headers.GetValues("Tollgate-Limits").Single()));
        var admitted = new List<int>();
        foreach (var each in cluster.Nodes) admitted.Add(await AdmittedAsync(each, keys["share"]));
        // the one that began anew was told by the store what was left
        Assert.Equal((Limit - before) / 3, admitted[2]);
        Assert.InRange(before + admitted.Sum(), Limit - Unheard, Limit + Unheard);
        Assert.True(await node.MetricAsync("tollgate_limits_degraded_total") >= 20);

        cluster.Redis.Restart();
        await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 1);
        Assert.Equal("ready", await node.TextAsync("/readyz"));
        // the line of the log comes when it comes
        await Until.SoAsync(() => Task.FromResult(node.Output.Contains("answers: limits are shared", StringComparison.Ordinal)));
        await Until.SoAsync(async () => await node.StatusAsync(keys["closed"]) == 200);
        // each tells the whole of what it spent when it asks
        foreach (var each in cluster.Nodes) await each.StatusAsync(keys["share"]);
        var more = 0;
        foreach (var each in cluster.Nodes) more += await AdmittedAsync(each, keys["share"]);
        Assert.InRange(before + admitted.Sum() + more, Limit - Unheard, Limit + Unheard);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_node_that_is_new_takes_no_call_before_all_others_count_with_it()
    {
        await using var cluster = await Cluster.StartAsync(Plans, links: true);
        var key = await cluster.SubscribeAsync("fred", "share");
        var fresh = cluster.Nodes[2];
        await NewAsync(cluster, fresh);

        // one of the others alone has lost Redis: nothing tells it but the store
        cluster.Nodes[0].ToRedis!.Cut();
        await Until.SoAsync(async () => await cluster.Nodes[0].MetricAsync("tollgate_redis_up") == 0);
        await fresh.StartAsync();
        Assert.Equal(3, await cluster.Nodes[0].MetricAsync("tollgate_nodes"));
        cluster.Nodes[0].ToRedis!.Mend();
        await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 1);

        // nobody has it
        await NewAsync(cluster, fresh);
        var admitted = await HeardAsync(cluster, key);
        cluster.Redis.Stop();
        await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 0);
        // one of the two takes all of its part while it is a half
        var half = (Limit - admitted) / 2;
        var taken = await AdmittedAsync(cluster.Nodes[1], key);
        Assert.InRange(taken, half - Unheard, half + Unheard);
        admitted += taken;
        await fresh.StartAsync();
        foreach (var node in cluster.Nodes) Assert.Equal(3, await node.MetricAsync("tollgate_nodes"));
        foreach (var node in cluster.Nodes) admitted += await AdmittedAsync(node, key);
        Assert.InRange(admitted, Limit - Unheard, Limit + Unheard);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_node_that_starts_with_neither_store_nor_redis_counts_with_the_nodes_that_it_knew()
    {
        await using var cluster = await Cluster.StartAsync(Plans);
        var (share, closed) = (await cluster.SubscribeAsync("fred", "share"), await cluster.SubscribeAsync("wilma", "closed"));
        var node = cluster.Nodes[1];
        await Until.SoAsync(async () => await node.MetricAsync("tollgate_nodes") == 3);
        await Until.SoAsync(async () => await node.MetricAsync("tollgate_table_behind") == 0);
        cluster.Redis.Stop();
        cluster.Postgres.Stop();
        await node.KillAsync();
        await node.StartAsync();
        Assert.Equal(3, await node.MetricAsync("tollgate_nodes"));
        Assert.Equal(Limit / 3, await AdmittedAsync(node, share));
        Assert.Equal(503, await node.StatusAsync(closed));
        var ready = await node.TextAsync("/readyz");
        Assert.Contains("it began with its own table of", ready, StringComparison.Ordinal);
        Assert.Contains("limits are not shared", ready, StringComparison.Ordinal);
        cluster.Postgres.Start();
        cluster.Redis.Restart();
        await Until.SoAsync(async () => await node.TextAsync("/readyz") == "ready");
        await Until.SoAsync(async () => await node.StatusAsync(closed) == 200);
    }

    /// <summary>Stops a node for good: what starts in its place has nothing of it.</summary>
    private static async Task NewAsync(Cluster cluster, Cluster.Member node)
    {
        Assert.Equal(0, await node.StopAsync());
        Directory.Delete(node.Data, recursive: true);
        node.TakeKeyOf(cluster.Nodes[0]);
        await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_nodes") == 2);
    }

    /// <summary>Each node calls until it has asked for more, and once more when all have.</summary>
    /// <returns>How many calls that took.</returns>
    private static async Task<int> HeardAsync(Cluster cluster, string key)
    {
        var calls = 0;
        for (var round = 0; round < 3; round++)
            foreach (var node in cluster.Nodes.Where(n => n.IsUp))
            {
                var before = await node.MetricAsync("tollgate_lease_questions_total");
                do
                {
                    Assert.Equal(200, await node.StatusAsync(key));
                    calls++;
                }
                while (await node.MetricAsync("tollgate_lease_questions_total") == before);
            }

        return calls;
    }

    private static async Task<int> AdmittedAsync(Cluster.Member node, string key)
    {
        var admitted = 0;
        while (await node.StatusAsync(key) == 200) admitted++;
        return admitted;
    }
}
