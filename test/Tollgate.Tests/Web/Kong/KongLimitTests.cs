using Tollgate.Catalog;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>Kong's limits by windows in seconds are limits of the group's plan.</summary>
public sealed class KongLimitTests
{
    [Theory]
    [InlineData("sliding", WindowKind.Sliding)]
    [InlineData("fixed", WindowKind.Fixed)]
    public async Task Windows_in_seconds_are_limits_of_the_plan_and_hold(string type, WindowKind kind)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await server.FormAsync("/services", 201, ("name", "s"), ("url", upstream.Address));
        await server.FormAsync("/services/s/routes", 201, ("paths", "/v1"));
        await server.FormAsync("/services/s/plugins", 201, ("name", "key-auth"));
        await server.FormAsync("/consumer_groups", 201, ("name", "g"));
        await server.ConsumerAsync("fred", "fred");
        await server.FormAsync("/consumers/fred/consumer_groups", 201, ("group", "g"));
        await server.FormAsync("/consumer_groups/g/plugins", 201, ("name", "rate-limiting-advanced"), ("config.limit", "3,5"),
            ("config.window_size", "60,3600"), ("config.window_type", type));
        await server.FormAsync("/consumer_groups/g/plugins", 400, ("name", "rate-limiting"), ("config.minute", "1"));
        Assert.Equal([(3, WindowUnit.Minute, kind), (5, WindowUnit.Hour, kind)], server.Node.Publisher.Current.Plans.Single().Limits
            .Select(l => ((int)l.Count, l.Per, l.Window)));
        Assert.Equal(3, await server.PassAsync("/v1/a", "fred", 6));
        await server.AdvanceAsync("PT61S");
        Assert.Equal(2, await server.PassAsync("/v1/a", "fred", 6));
        await server.AdvanceAsync("PT3600S");
        Assert.Equal(3, await server.PassAsync("/v1/a", "fred", 6));

        // changed in place, what was used stays used
        var group = (await server.GetAsync("/consumer_groups/g/plugins")).GetProperty("data")[0].GetProperty("id").GetString();
        using var raised = new FormUrlEncodedContent([new("config.limit", "4,9"), new("config.window_size", "60,3600")]);
        using (var changed = await server.Admin.PatchAsync($"/plugins/{group}", raised, TestContext.Current.CancellationToken))
            Assert.Contains($"\"window_type\":\"{type}\"", await changed.Content.ReadAsStringAsync(
                TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal(1, await server.PassAsync("/v1/a", "fred", 6));
        await server.FormAsync("/plugins", 201, ("name", "prometheus"), ("config.per_consumer", "true"));
        Assert.Contains("rate-limiting-advanced", (await server.GetAsync("/plugins/enabled")).ToString());
    }
}
