using System.Text.RegularExpressions;
using StackExchange.Redis;

namespace Tollgate.IntegrationTests;

/// <summary>Bugs of other gateways (field notes, gateways 2.2) that need several nodes, on three processes. The rest stand
/// with the tests of one node.</summary>
public sealed class ClusterBugTests(ClusterBugTests.Three three) : IClassFixture<ClusterBugTests.Three>
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data } }
        plans:
          free: { operations: [data], limits: [1000000/day] }
          many:
            operations: [data]
            limits: [900/day]
            quotas: [{ meter: calls, allowance: 700, per: month, overage: block }]
            limits_unavailable: closed
          by-key: { operations: [data], limits: [{ limit: 30, per: day, by: key }] }
          closed: { operations: [data], limits: [1000/day], limits_unavailable: closed }
          open: { operations: [data], limits: [1000/day], limits_unavailable: open }
        """;

    private Cluster Cluster => three.Cluster;

    public static bool IsInstalled => Cluster.IsInstalled;

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task B1_callers_of_all_nodes_that_race_are_admitted_exactly_the_limit()
    {
        var key = await Cluster.SubscribeAsync("racing", "many");
        var (admitted, unanswered) = (0, 0);
        await Task.WhenAll(Cluster.Nodes.SelectMany(n => Enumerable.Repeat(n, 8)).Select(node => Task.Run(async () =>
        {
            for (var refused = 0; refused < 25;)
            {
                var status = await node.StatusAsync(key);
                if (status == 200) Interlocked.Increment(ref admitted);
                else
                {
                    // on a machine that is very busy Redis may not answer in time, and then nobody is let in
                    if (status == 503) Assert.True(Interlocked.Increment(ref unanswered) < 5_000, "Redis does not answer");
                    else
                    {
                        Assert.Equal(429, status);
                        refused++;
                    }

                    // what lies idle elsewhere comes within a lease
                    await Task.Delay(TimeSpan.FromMilliseconds(30), TimeProvider.System);
                }
            }
        })));
        Assert.Equal(700, admitted);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task B9_a_counter_has_one_name_on_every_node_also_after_a_restart()
    {
        var key = await Cluster.SubscribeAsync("named", "by-key");
        foreach (var node in Cluster.Nodes) Assert.Equal(200, await node.StatusAsync(key));
        await Cluster.Nodes[1].KillAsync();
        await Cluster.Nodes[1].StartAsync();
        Assert.Equal(200, await Cluster.Nodes[1].StatusAsync(key));
        var id = Regex.Match(await Cluster.Nodes[0].TextAsync("/v1/subscriptions?customer=named"), "sub_[0-9a-z]+").Value;
        await using var redis = await ConnectionMultiplexer.ConnectAsync(Cluster.Redis.Address["redis://".Length..]);
        var name = Assert.Single(redis.GetServers()[0].Keys(pattern: $"tollgate:{{{id}}}*")).ToString();
        Assert.Matches(@"^tollgate:\{sub_[0-9a-z]+\}:Key:[0-9a-f]+:Day:\d+$", name);
        // four nodes have counted in it: three, and the one that was killed
        Assert.Equal(4, (await redis.GetDatabase().HashGetAllAsync(name)).Count(f => f.Name.ToString().Length == 32));
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task B12_a_key_that_is_revoked_on_one_node_is_refused_on_the_others()
    {
        await Cluster.SubscribeAsync("revoked", "free");
        for (var i = 0; i < 5; i++)
        {
            var (by, at) = (Cluster.Nodes[i % 3], Cluster.Nodes[(i + 1) % 3]);
            var made = await by.PostAsync("/v1/consumers/revoked/keys", new { });
            var (key, id) = (made.GetProperty("key").GetString()!, made.GetProperty("id").GetString());
            await Until.SoAsync(async () => await at.StatusAsync(key) == 200);
            await by.DeleteAsync($"/v1/consumers/revoked/keys/{id}");
            // within a second, which the bench measures (dotnet dev.cs cluster)
            await Until.SoAsync(async () => await at.StatusAsync(key) == 401);
        }
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_subscription_that_is_paused_or_changed_on_one_node_is_so_on_the_others()
    {
        var (by, at) = (Cluster.Nodes[0], Cluster.Nodes[2]);
        var key = await Cluster.SubscribeAsync("changed", "free");
        var id = Regex.Match(await by.TextAsync("/v1/subscriptions?customer=changed"), "sub_[0-9a-z]+").Value;
        Assert.Equal(200, await at.StatusAsync(key));
        await SoonAsync("pause", new { }, status => status is 402 or 403);
        await SoonAsync("resume", new { }, status => status == 200);
        await by.PostAsync("/v1/plans", new { name = "nothing", operations = Array.Empty<string>() });
        await Cluster.EverywhereAsync(async n => (await n.TextAsync("/v1/plans")).Contains("\"nothing\"", StringComparison.Ordinal));
        await SoonAsync("change", new { plan = "nothing", when = "now" }, status => status == 403);

        async Task SoonAsync(string what, object body, Func<int, bool> isSo)
        {
            await by.PostAsync($"/v1/subscriptions/{id}/{what}", body);
            await Until.SoAsync(async () => isSo(await at.StatusAsync(key)), what);
        }
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task B16_changes_on_one_node_under_load_make_no_wrong_answer_on_any()
    {
        var key = await Cluster.SubscribeAsync("loaded", "free");
        var done = false;
        var changes = Task.Run(async () =>
        {
            for (var i = 0; i < 30; i++)
                await Cluster.Nodes[i % 3].PostAsync("/v1/plans", new { name = $"other-{i}", operations = new[] { "data" } });
            Volatile.Write(ref done, true);
        });
        await Task.WhenAll(Cluster.Nodes.Select(node => Task.Run(async () =>
        {
            while (!Volatile.Read(ref done) && !changes.IsCompleted) Assert.Equal(200, await node.StatusAsync(key));
        })));
        await changes;
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task B19_without_redis_each_plan_has_its_choice_and_everything_says_so()
    {
        var (closed, open) = (await Cluster.SubscribeAsync("shut", "closed"), await Cluster.SubscribeAsync("free", "open"));
        foreach (var node in Cluster.Nodes) Assert.Equal((200, 200), (await node.StatusAsync(closed), await node.StatusAsync(open)));
        Cluster.Redis.Freeze();
        try
        {
            foreach (var node in Cluster.Nodes)
            {
                await Until.SoAsync(async () => await node.StatusAsync(closed) == 503);
                using var answer = await node.CallAsync(open);
                Assert.Equal((200, "open"), ((int)answer.StatusCode, answer.Headers.GetValues("Tollgate-Limits").Single()));
                Assert.Contains("limits are not shared", await node.TextAsync("/readyz"), StringComparison.Ordinal);
                Assert.True(await node.MetricAsync("tollgate_limits_degraded_total") >= 2);
            }
        }
        finally
        {
            Cluster.Redis.Thaw();
        }

        foreach (var node in Cluster.Nodes) await Until.SoAsync(async () => await node.StatusAsync(closed) == 200);
    }

    public sealed class Three() : ThreeNodes(Plans);
}
