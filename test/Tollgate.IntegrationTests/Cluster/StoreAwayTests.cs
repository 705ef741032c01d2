using System.Globalization;

namespace Tollgate.IntegrationTests;

/// <summary>PostgreSQL is away, frozen or out of reach: gates go on by what they have, and nothing is lost.</summary>
public sealed class StoreAwayTests
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data } }
        plans:
          free: { operations: [data], limits: [1000/day] }
          careful: { operations: [data], limits: [1000/day], when_stale: closed }
        """;

    public static bool IsInstalled => Cluster.IsInstalled;

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_node_starts_without_its_store_by_the_table_that_it_kept_and_drains_when_the_store_is_back()
    {
        await using var cluster = await Cluster.StartAsync(Plans, nodes: 2, redis: false, more: ["--stale-for", "5"]);
        var (node, other) = (cluster.Nodes[0], cluster.Nodes[1]);
        var (key, careful) = (await cluster.SubscribeAsync("fred", "free"), await cluster.SubscribeAsync("wilma", "careful"));
        Assert.Equal((200, 200), (await node.StatusAsync(key), await node.StatusAsync(careful)));
        await KeptAsync(node, key);
        await node.KillAsync();
        cluster.Postgres.Stop();

        await node.StartAsync();
        for (var i = 0; i < 20; i++) Assert.Equal(200, await node.StatusAsync(key));
        Assert.Equal(401, await node.StatusAsync("tg_nobody"));
        await Until.SoAsync(async () => await node.StatusAsync(careful) == 503);
        Assert.Contains("ready, but stale", await node.TextAsync("/readyz"), StringComparison.Ordinal);
        using (var answer = await node.CallAsync(key))
            Assert.Equal("open", answer.Headers.GetValues("Tollgate-Stale").Single());
        using (var answer = await node.CallAsync(careful))
        {
            Assert.Equal("closed", answer.Headers.GetValues("Tollgate-Stale").Single());
            Assert.Contains("when_stale", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        Assert.True(await node.MetricAsync("tollgate_stale_calls_total") >= 2);

        // killed once more before the store knows of any of it
        await node.KillAsync();
        await node.StartAsync();
        Assert.Equal(200, await node.StatusAsync(key));
        cluster.Postgres.Start();
        await Until.SoAsync(async () => await node.TextAsync("/readyz") == "ready");
        await Until.SoAsync(async () => await node.StatusAsync(careful) == 200);

        // what is changed elsewhere is heard as before, and all calls are there once
        await Until.SoAsync(async () => await UsageOfAsync(other, "fred") == 23);
        var late = await cluster.SubscribeAsync("barney", "free");
        Assert.Equal(200, await node.StatusAsync(late));
        Assert.Equal(0, await node.StopAsync());
        var (code, words) = await ServerProcess.RunAsync(
            cluster.Folder, "verify", "--data", $"{node.Data},{other.Data}", "--database", node.Database);
        Assert.True(code == 0, words);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task What_was_revoked_elsewhere_while_a_node_was_away_from_the_store_is_refused_once_it_is_back()
    {
        await using var cluster = await Cluster.StartAsync(Plans, nodes: 2, links: true, redis: false);
        var (node, other) = (cluster.Nodes[0], cluster.Nodes[1]);
        var key = await cluster.SubscribeAsync("fred", "free");
        await KeptAsync(node, key);
        foreach (var breaks in new Action<Link>[] { l => l.Cut(), l => l.Deafen() })
        {
            breaks(node.ToPostgres!);
            await node.KillAsync();
            await node.StartAsync();
            Assert.Equal(200, await node.StatusAsync(key));
            var made = await other.PostAsync("/v1/consumers/fred/keys", new { });
            var (fresh, id) = (made.GetProperty("key").GetString()!, made.GetProperty("id").GetString());
            await Until.SoAsync(async () => await other.StatusAsync(fresh) == 200);
            Assert.Equal(401, await node.StatusAsync(fresh));
            node.ToPostgres!.Mend();
            await Until.SoAsync(async () => await node.StatusAsync(fresh) == 200);
            await other.DeleteAsync($"/v1/consumers/fred/keys/{id}");
            await Until.SoAsync(async () => await node.StatusAsync(fresh) == 401);
        }
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_key_that_is_newer_than_the_table_a_node_began_with_is_unknown_to_it_and_it_says_of_when_its_table_is()
    {
        await using var cluster = await Cluster.StartAsync(Plans, nodes: 2, redis: false);
        var (node, other) = (cluster.Nodes[0], cluster.Nodes[1]);
        var key = await cluster.SubscribeAsync("fred", "free");
        await KeptAsync(node, key);
        await node.KillAsync();
        var written = File.GetLastWriteTimeUtc(Directory.GetFiles(Path.Combine(node.Data, "gate"), "*.table").Single());
        var fresh = (await other.PostAsync("/v1/consumers/fred/keys", new { })).GetProperty("key").GetString()!;
        cluster.Postgres.Stop();

        await node.StartAsync();
        Assert.Equal((200, 401), (await node.StatusAsync(key), await node.StatusAsync(fresh)));
        var when = written.ToString("u", CultureInfo.InvariantCulture);
        Assert.Contains($"it began with its own table of {when}", await node.TextAsync("/readyz"), StringComparison.Ordinal);
        Assert.Contains($"this node begins with its own table of {when}", node.Output, StringComparison.Ordinal);
        Assert.Contains("keys made later are refused", node.Output, StringComparison.Ordinal);
        cluster.Postgres.Start();
        await Until.SoAsync(async () => await node.StatusAsync(fresh) == 200, "the newer key", most: 3_000);
        Assert.Equal("ready", await node.TextAsync("/readyz"));
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_table_that_was_cut_off_or_changed_is_not_taken_and_only_its_owner_may_read_it()
    {
        await using var cluster = await Cluster.StartAsync(Plans, nodes: 1, redis: false);
        var node = cluster.Nodes[0];
        var key = await cluster.SubscribeAsync("fred", "free");
        await KeptAsync(node, key);
        Assert.Equal(0, await node.StopAsync());
        cluster.Postgres.Stop();
        var table = Directory.GetFiles(Path.Combine(node.Data, "gate"), "*.table").Single();
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(table));
        Assert.DoesNotContain(key, System.Text.Encoding.Latin1.GetString(await File.ReadAllBytesAsync(table)),
            StringComparison.Ordinal);
        await using (var file = new FileStream(table, FileMode.Open)) file.SetLength(file.Length / 2);
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => node.StartAsync());
        Assert.Contains("cannot be reached", refused.Message, StringComparison.Ordinal);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task While_postgresql_is_frozen_calls_go_on_and_are_all_counted_afterwards()
    {
        await using var cluster = await Cluster.StartAsync(Plans, nodes: 2, redis: false);
        var key = await cluster.SubscribeAsync("fred", "free");
        cluster.Postgres.Freeze();
        try
        {
            foreach (var node in cluster.Nodes)
                for (var i = 0; i < 50; i++) Assert.Equal(200, await node.StatusAsync(key));
        }
        finally
        {
            cluster.Postgres.Thaw();
        }

        await Until.SoAsync(async () => await UsageOfAsync(cluster.Nodes[1], "fred") == 100);
    }

    /// <summary>Waits until the table that a node keeps has the key's consumer.</summary>
    private static Task KeptAsync(Cluster.Member node, string key) => Until.SoAsync(async () =>
        await node.KnowsAsync(key) && await node.MetricAsync("tollgate_table_behind") == 0);

    private static async Task<long> UsageOfAsync(Cluster.Member node, string customer)
    {
        var usage = await node.GetAsync($"/v1/usage?meter=calls&customer={customer}");
        return usage.TryGetProperty("data", out var rows)
            ? rows.EnumerateArray().Sum(r => long.Parse(r.GetProperty("value").GetString()!, CultureInfo.InvariantCulture)) : -1;
    }
}
