namespace Tollgate.IntegrationTests;

/// <summary>Kong's limits where nodes share what they count.</summary>
public sealed class SharedKongTests
{
    public static bool IsInstalled => Cluster.IsInstalled;

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_limit_that_asks_for_redis_is_taken_where_the_server_has_one_and_holds_over_all_nodes()
    {
        await using var cluster = await StartAsync();
        var node = cluster.Nodes[0];
        var port = cluster.Redis.Port;
        var another = $"over the Redis of the server, 127.0.0.1:{port}";
        (object Config, string Fault)[] refused =
        [
            (new { minute = 9, policy = "redis", redis = new { host = "elsewhere" } }, another),
            (new { minute = 9, policy = "redis", redis = new { port = port + 1 } }, another),
            (new { minute = 9, policy = "redis", redis_host = "elsewhere" }, another),
            (new { minute = 9, policy = "redis", redis = new { password = "hunter2" } }, "stands in --redis; leave it out"),
            (new { minute = 9, policy = "redis", redis_database = 1 }, "stands in --redis; leave it out"),
            (new { minute = 9, policy = "redis", redis = new { colour = "red" } }, "unknown field"),
            (new { minute = 9, policy = "cluster" }, "shared over the Redis that the server is started with (redis)"),
        ];
        foreach (var (config, fault) in refused)
        {
            var (status, text) = await node.TryPostAsync("/consumer_groups/g/plugins", new { name = "rate-limiting", config });
            Assert.True(status == 400 && text.Contains(fault, StringComparison.Ordinal), text);
            Assert.DoesNotContain("hunter2", text, StringComparison.Ordinal);
        }

        var made = await node.PostAsync("/consumer_groups/g/plugins", new
        {
            name = "rate-limiting",
            config = new { day = 30, policy = "redis", redis = new { host = "127.0.0.1", port } },
        });
        Assert.Equal("redis", made.GetProperty("config").GetProperty("policy").GetString());
        Assert.Equal(30, await UntilRefusedAsync(cluster, "fred-key"));
        // of a consumer that is in no group, too
        await node.PostAsync("/consumers/anna/plugins", new { name = "rate-limiting", config = new { day = 20, policy = "redis" } });
        Assert.Equal(20, await UntilRefusedAsync(cluster, "anna-key"));
    }

    private static async Task<Cluster> StartAsync()
    {
        var cluster = await Cluster.StartAsync("version: 1\ncurrency: USD\n", nodes: 2);
        var node = cluster.Nodes[0];
        await node.PostAsync("/services", new { name = "s", url = cluster.Upstream.Address });
        await node.PostAsync("/services/s/routes", new { name = "r", paths = new[] { "/" } });
        await node.PostAsync("/services/s/plugins", new { name = "key-auth" });
        await node.PostAsync("/consumer_groups", new { name = "g" });
        foreach (var name in new[] { "fred", "anna" })
        {
            await node.PostAsync("/consumers", new { username = name });
            await node.PostAsync($"/consumers/{name}/key-auth", new { key = name + "-key" });
        }

        await node.PostAsync("/consumers/fred/consumer_groups", new { group = "g" });
        return cluster;
    }

    /// <summary>How many calls pass in turn on all nodes until none of them lets any in.</summary>
    private static async Task<int> UntilRefusedAsync(Cluster cluster, string key)
    {
        await cluster.EverywhereAsync(async n =>
        {
            var asked = await n.PostAsync("/v1/explain", new { path = "/api/v1/data", key });
            return asked.GetProperty("limits").GetArrayLength() == 1;
        });
        var (admitted, refused) = (0, 0);
        for (var i = 0; refused < 100; i++)
        {
            if (await cluster.Nodes[i % 2].StatusAsync(key) == 200) (admitted, refused) = (admitted + 1, 0);
            else
            {
                refused++;
                // what lies idle elsewhere comes within a lease
                await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
            }
        }

        return admitted;
    }
}
