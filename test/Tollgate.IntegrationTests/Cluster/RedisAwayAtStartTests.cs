namespace Tollgate.IntegrationTests;

/// <summary>Nodes that are started while Redis, or everything, is away: they take calls as each plan says, no node takes more
/// than its part, and they join when Redis is back.</summary>
public sealed class RedisAwayAtStartTests
{
    private const int Limit = 90;

    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data } }
        plans:
          share: { operations: [data], limits: [90/day] }
          open: { operations: [data], limits: [90/day], limits_unavailable: open }
          closed: { operations: [data], limits: [90/day], limits_unavailable: closed }
        """;

    public static bool IsInstalled => Cluster.IsInstalled;

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_node_that_starts_while_redis_is_away_says_so_takes_its_part_and_joins_later()
    {
        await using var cluster = await Cluster.StartAsync(Plans);
        var keys = new Dictionary<string, string>();
        foreach (var plan in new[] { "share", "open", "closed" }) keys[plan] = await cluster.SubscribeAsync(plan, plan);
        var node = cluster.Nodes[2];
        for (var i = 0; i < 30; i++) Assert.Equal(200, await cluster.Nodes[0].StatusAsync(keys["share"]));
        foreach (var other in cluster.Nodes.Skip(1)) Assert.Equal(200, await other.StatusAsync(keys["share"]));
        await HeardAsync(cluster);
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
        // 58 were left, as all three knew, and one or two leased to the process that was killed
        Assert.All(admitted, a => Assert.InRange(a, 17, 20));
        Assert.InRange(32 + admitted.Sum(), 83, Limit);
        Assert.True(await node.MetricAsync("tollgate_limits_degraded_total") >= 20);

        cluster.Redis.Restart();
        await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 1);
        Assert.Equal("ready", await node.TextAsync("/readyz"));
        Assert.Contains("answers: limits are shared", node.Output, StringComparison.Ordinal);
        await Until.SoAsync(async () => await node.StatusAsync(keys["closed"]) == 200);
        // each tells the whole of what it spent when it asks
        foreach (var each in cluster.Nodes) await each.StatusAsync(keys["share"]);
        var more = 0;
        foreach (var each in cluster.Nodes) more += await AdmittedAsync(each, keys["share"]);
        Assert.InRange(32 + admitted.Sum() + more, 83, Limit);
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
        for (var i = 0; i < 45; i++) Assert.Equal(200, await cluster.Nodes[0].StatusAsync(key));
        Assert.Equal(200, await cluster.Nodes[1].StatusAsync(key));
        await HeardAsync(cluster);
        cluster.Redis.Stop();
        await cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 0);
        // one of the two takes all of its part while it is a half
        var admitted = 46 + await AdmittedAsync(cluster.Nodes[1], key);
        Assert.InRange(admitted, 46 + 20, 46 + 23);
        await fresh.StartAsync();
        foreach (var node in cluster.Nodes) Assert.Equal(3, await node.MetricAsync("tollgate_nodes"));
        foreach (var node in cluster.Nodes) admitted += await AdmittedAsync(node, key);
        Assert.InRange(admitted, 80, Limit);
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

    /// <summary>Leases in use are renewed three times a second: waits until every node has heard of what was spent.</summary>
    private static async Task HeardAsync(Cluster cluster)
    {
        foreach (var node in cluster.Nodes.Where(n => n.IsUp))
        {
            var before = await node.MetricAsync("tollgate_lease_questions_total");
            await Until.SoAsync(async () => await node.MetricAsync("tollgate_lease_questions_total") >= before + 2);
        }
    }

    private static async Task<int> AdmittedAsync(Cluster.Member node, string key)
    {
        var admitted = 0;
        while (await node.StatusAsync(key) == 200) admitted++;
        return admitted;
    }
}
