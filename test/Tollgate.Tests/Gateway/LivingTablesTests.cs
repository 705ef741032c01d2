using Tollgate.Config;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>What stays true for callers while prices, limits, keys, consumers and folders change around them.</summary>
public sealed class LivingTablesTests
{
    [Fact]
    public async Task A_new_price_makes_no_subscription_younger_so_calls_stay_with_the_older_one()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await OpenServiceAsync(upstream, "cheap", "dear");
        await PublishAsync(server, "cheap", "0.01");
        await PublishAsync(server, "dear", "5.00");
        await server.PostAsync("/consumer_groups/dear/consumers", new { consumer = "fred" });
        (await server.CallAsync("/x", "fred-key")).Dispose();
        await server.AdvanceAsync("PT1H");
        await PublishAsync(server, "cheap", "0.02");
        (await server.CallAsync("/x", "fred-key")).Dispose();
        Assert.Equal(["cheap", "cheap"], upstream.Seen.Select(s => s.Headers["X-Consumer-Groups"]));
    }

    [Fact]
    public async Task A_limit_that_is_set_later_knows_what_was_used_before()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await OpenServiceAsync(upstream, "free");
        for (var i = 0; i < 10; i++) (await server.CallAsync("/x", "fred-key")).Dispose();
        await server.PostAsync("/consumer_groups/free/plugins", new { name = "rate-limiting", config = new { hour = 12 } });
        var passed = 0;
        for (var i = 0; i < 12; i++)
        {
            using var answer = await server.CallAsync("/x", "fred-key");
            if (answer.IsSuccessStatusCode) passed++;
        }

        Assert.Equal(2, passed);
    }

    [Fact]
    public async Task A_clock_that_was_set_back_before_a_restart_opens_no_window_again()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        var yaml = Yaml.Tiers.Replace("[100/minute]", "[100/minute, 150/hour]", StringComparison.Ordinal);
        string key;
        await using (var first = await TestServer.StartAsync(yaml, upstream, folder))
        {
            key = await first.SubscribeAsync("fred", "free");
            await first.AdvanceAsync("PT70S");
            Assert.Equal(100, await PassedAsync(first, key, 110));
        }

        await using var second = await TestServer.StartAsync(yaml, upstream, folder, TestServer.Start.AddSeconds(59));
        await second.AdvanceAsync("PT21S");
        Assert.Equal(0, await PassedAsync(second, key, 10));
        await second.AdvanceAsync("PT40S");
        Assert.Equal(50, await PassedAsync(second, key, 60));
    }

    [Fact(Skip = TestDatabase.NeedsTheFile, SkipType = typeof(TestDatabase), SkipWhen = nameof(TestDatabase.OnPostgres))]
    public async Task A_database_that_is_not_the_journals_is_refused_and_nobody_pays_for_anothers_calls()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        await using (var server = await TestServer.StartAsync(Yaml.Rates, upstream, folder))
        {
            var key = await server.SubscribeAsync("fred", "metered");
            for (var i = 0; i < 3; i++) (await server.CallAsync("/api/v1/data", key)).Dispose();
        }

        foreach (var file in Directory.GetFiles(Path.Combine(folder.Path, "data"), "tollgate.db*")) File.Delete(file);
        var refused = await Assert.ThrowsAsync<StartupException>(() => TestServer.StartAsync(Yaml.Rates, upstream, folder));
        Assert.Contains("6 records that", refused.Message);
    }

    [Fact]
    public async Task A_new_consumer_inherits_nothing_of_a_deleted_one()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await OpenServiceAsync(upstream, "free");
        for (var i = 0; i < 5; i++) (await server.CallAsync("/x", "fred-key")).Dispose();
        Assert.Equal(5, await server.UsageAsync());
        using var deleted = await server.Admin.DeleteAsync("/consumers/fred");
        Assert.True(deleted.IsSuccessStatusCode);
        await server.PostAsync("/consumers", new { username = "wilma" });
        Assert.Equal(0, await server.UsageAsync("&consumer=wilma"));
        Assert.Equal(5, await server.UsageAsync());
    }

    [Fact]
    public async Task A_key_that_moved_to_another_consumer_survives_a_late_reload_of_the_first()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("a", "free");
        await server.SubscribeAsync("b", "free");
        var node = server.Node;
        var (a, b) = ((await node.Consumers.FindAsync("a"))!, (await node.Consumers.FindAsync("b"))!);
        var row = (await node.Database.ReadAsync(db => ConsumerStore.CredentialsAsync(db, a.Key)))[0];
        await node.Database.WriteAsync(db => ConsumerStore.DeleteCredentialAsync(db, row));
        await node.Database.WriteAsync(db => node.Consumers.AddCredentialAsync(
            db, b.Key, node.Keys.Hash(key)!, "…", ManagedBy.Api));
        await node.Feed.AnnounceAsync(new Change.OfConsumer((int)b.Key));
        await node.Feed.AnnounceAsync(new Change.OfConsumer((int)a.Key));
        using var answer = await server.CallAsync("/v1/public/data", key);
        Assert.Equal(200, (int)answer.StatusCode);
        Assert.Equal("b", upstream.Seen.Single().Headers["X-Consumer-Username"]);
    }

    [Fact]
    public async Task An_operation_that_moved_is_billed_and_shown_where_it_is_now()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var first = await TestServer.StartAsync(Yaml.Rates, upstream, folder))
            key = await first.SubscribeAsync("fred", "metered");
        await using var second = await TestServer.StartAsync(
            Yaml.Rates.Replace("/api/v1/data", "/api/v2/data", StringComparison.Ordinal), upstream, folder);
        using var moved = await second.CallAsync("/api/v2/data", key);
        Assert.Equal(200, (int)moved.StatusCode);
        Assert.Contains("/api/v2/data", await second.TextAsync("/v1/invoices/preview?customer=fred"));
    }

    private static async Task<TestServer> OpenServiceAsync(TestUpstream upstream, params string[] groups)
    {
        var server = await TestServer.StartAsync();
        await server.PostAsync("/services", new { name = "s", url = upstream.Address });
        await server.PostAsync("/services/s/routes", new { name = "r", paths = new[] { "/" } });
        await server.PostAsync("/services/s/plugins", new { name = "key-auth" });
        await server.PostAsync("/consumers", new { username = "fred" });
        await server.PostAsync("/consumers/fred/key-auth", new { key = "fred-key" });
        foreach (var group in groups) await server.PostAsync("/consumer_groups", new { name = group });
        await server.PostAsync($"/consumer_groups/{groups[0]}/consumers", new { consumer = "fred" });
        return server;
    }

    private static Task PublishAsync(TestServer server, string plan, string unitAmount) => server.PostAsync(
        $"/v1/plans/{plan}/versions",
        new
        {
            migrate = "now",
            prices = new { calls = new { model = "per_unit", meter = "calls", unit_amount = unitAmount } },
        });

    private static async Task<int> PassedAsync(TestServer server, string key, int calls)
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, calls).Select(_ => server.CallAsync("/v1/public/data", key)));
        return answers.Count(a => a.IsSuccessStatusCode);
    }
}
