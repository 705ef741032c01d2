using System.Text;
using Tollgate.Tests.Gateway.Proxy;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>Kong's limits on a single consumer stand in the place of those of its group, as in Kong.</summary>
public sealed class KongConsumerLimitTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(6)]
    public async Task A_limit_on_a_consumer_stands_in_the_place_of_that_of_its_group_and_keeps_what_was_used(int own)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        await GroupAsync(server, "g", "fred", "anna");
        await server.FormAsync("/consumer_groups/g/plugins", 201, ("name", "rate-limiting"), ("config.hour", "4"));
        Assert.Equal(1, await server.PassAsync("/v1/a", "fred-key", 1));
        var plugin = await server.FormAsync("/consumers/fred/plugins", 201, ("name", "rate-limiting"), ("config.hour", $"{own}"));
        await server.FormAsync("/consumers/fred/plugins", 409, ("name", "rate-limiting"), ("config.hour", "9"));
        Assert.Equal(own - 1, await server.PassAsync("/v1/a", "fred-key", 9));
        Assert.Equal(4, await server.PassAsync("/v1/a", "anna-key", 9));

        using (var refused = await server.CallAsync("/v1/a", "fred-key"))
        {
            Assert.Equal($"{own}", refused.Header("X-RateLimit-Limit-Hour"));
            Assert.Contains($"What was set for this consumer admits {own}/hour", await refused.Content.ReadAsStringAsync(
                TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }

        var explained = await server.PostAsync("/v1/explain", new { path = "/v1/a", key = "fred-key" });
        Assert.Equal([$"{own}/hour"], explained.GetProperty("limits").EnumerateArray().Select(l => l.GetProperty("policy").GetString()));
        Assert.Contains("the consumer has limits of its own", explained.ToString(), StringComparison.Ordinal);
        Assert.Equal((string)plugin["id"]!, (await server.GetAsync("/consumers/fred/plugins")).GetProperty("data")[0]
            .GetProperty("id").GetString());
        Assert.Empty((await server.GetAsync("/consumers/anna/plugins")).GetProperty("data").EnumerateArray());

        // without it the group's holds, and what was used stays used
        (await server.Admin.DeleteAsync($"/consumers/fred/plugins/{(string)plugin["id"]!}")).Dispose();
        Assert.Equal(own == 2 ? 2 : 0, await server.PassAsync("/v1/a", "fred-key", 9));
    }

    [Fact]
    public async Task A_consumer_in_no_group_has_its_limit_where_an_API_has_no_gate_also_after_a_restart()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        await using (var server = await StartAsync(upstream, folder))
        {
            await server.FormAsync("/plugins", 201, ("name", "rate-limiting"), ("consumer.username", "fred"), ("config.minute", "4"),
                ("config.day", "5"));
            Assert.Equal(3, await server.PassAsync("/v1/a", "fred-key", 3));
            Assert.Equal(9, await server.PassAsync("/v1/a", "anna-key", 9));
            var explained = await server.PostAsync("/v1/explain", new { path = "/v1/a", consumer = "fred" });
            Assert.Equal(["4/minute", "5/day"], explained.GetProperty("limits").EnumerateArray()
                .Select(l => l.GetProperty("policy").GetString()));
        }

        await using var again = await TestServer.StartAsync(folder: folder);
        using (var answer = await again.CallAsync("/v1/a", "fred-key"))
            Assert.Equal(("0", "1"), (answer.Header("X-RateLimit-Remaining-Minute"), answer.Header("X-RateLimit-Remaining-Day")));
        using (var refused = await again.CallAsync("/v1/a", "fred-key"))
            Assert.Equal((429, "60"), ((int)refused.StatusCode, refused.Header("Retry-After")));
        await again.AdvanceAsync("PT60S");
        Assert.Equal(1, await again.PassAsync("/v1/a", "fred-key", 9));
    }

    [Fact]
    public async Task Plugins_of_two_names_hold_beside_each_other_and_of_one_consumer_there_is_one()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        await GroupAsync(server, "g", "fred");
        await server.FormAsync("/consumer_groups/g/plugins", 201, ("name", "rate-limiting-advanced"), ("config.limit", "3"),
            ("config.window_size", "60"));
        await server.FormAsync("/consumers/fred/plugins", 201, ("name", "rate-limiting"), ("config.hour", "5"));
        var fault = await server.FormAsync("/consumers/fred/plugins", 400, ("name", "rate-limiting-advanced"), ("config.limit", "9"),
            ("config.window_size", "60"));
        Assert.Contains("which is on this consumer already", fault.ToString(), StringComparison.Ordinal);
        Assert.Equal(3, await server.PassAsync("/v1/a", "fred-key", 9));
        await server.AdvanceAsync("PT61S");
        Assert.Equal(2, await server.PassAsync("/v1/a", "fred-key", 9));
    }

    [Fact]
    public async Task A_plugin_goes_with_its_consumer()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        await server.FormAsync("/consumers/fred/plugins", 201, ("name", "rate-limiting"), ("config.hour", "1"), ("enabled", "false"));
        Assert.Equal(9, await server.PassAsync("/v1/a", "fred-key", 9));
        (await server.Admin.DeleteAsync("/consumers/fred")).Dispose();
        Assert.DoesNotContain("rate-limiting", (await server.GetAsync("/plugins")).ToString(), StringComparison.Ordinal);
        await server.ConsumerAsync("fred", "fred-key");
        await server.FormAsync("/consumers/fred/plugins", 201, ("name", "rate-limiting"), ("config.hour", "2"));
        Assert.Equal(2, await server.PassAsync("/v1/a", "fred-key", 9));
    }

    [Fact]
    public async Task A_declarative_file_brings_plugins_of_consumers_in_both_places()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        var file = $$"""
            _format_version: "3.0"
            services:
            - name: s
              url: {{upstream.Address}}
              routes: [{ name: r, paths: [/v1] }]
              plugins: [{ name: key-auth }]
            consumers:
            - username: fred
              keyauth_credentials: [{ key: fred-key }]
              plugins: [{ name: rate-limiting, config: { minute: 2 } }]
            - { id: 44444444-4444-4444-8444-444444444444, username: anna, keyauth_credentials: [{ key: anna-key }] }
            plugins:
            - { name: rate-limiting, consumer: 44444444-4444-4444-8444-444444444444, config: { minute: 3 } }
            """;
        using var content = new StringContent(file, Encoding.UTF8, "application/yaml");
        using var answer = await server.Admin.PostAsync("/v1/config/kong", content, TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal((2, 3), (await server.PassAsync("/v1/a", "fred-key", 5), await server.PassAsync("/v1/a", "anna-key", 5)));
    }

    private static async Task<TestServer> StartAsync(TestUpstream upstream, TempFolder? folder = null)
    {
        var server = await TestServer.StartAsync(folder: folder);
        await server.FormAsync("/services", 201, ("name", "s"), ("url", upstream.Address));
        await server.FormAsync("/services/s/routes", 201, ("paths", "/v1"));
        await server.FormAsync("/services/s/plugins", 201, ("name", "key-auth"));
        foreach (var name in (string[])["fred", "anna"]) await server.ConsumerAsync(name, name + "-key");
        return server;
    }

    private static async Task GroupAsync(TestServer server, string group, params string[] consumers)
    {
        await server.FormAsync("/consumer_groups", 201, ("name", group));
        foreach (var name in consumers) await server.FormAsync($"/consumers/{name}/consumer_groups", 201, ("group", group));
    }
}
