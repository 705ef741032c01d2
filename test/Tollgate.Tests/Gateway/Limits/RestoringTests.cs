using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>What a restart knows of limits and quotas of every kind: never less than was used.</summary>
public sealed class RestoringTests
{
    [Theory]
    [InlineData("limits: [5/minute sliding]")]
    [InlineData("limits: [5/hour sliding]")]
    [InlineData("limits: [5/day sliding by customer]")]
    [InlineData("limits: [5/hour bucket burst 5]")]
    [InlineData("limits: [5/minute by key]")]
    [InlineData("limits: [5/day by key]")]
    [InlineData("limits: [5/minute by operation]")]
    [InlineData("limits: [5/day by operation]")]
    [InlineData("limits: [5/month by customer]")]
    [InlineData("limits: [5/year]")]
    [InlineData("quotas: [{ meter: calls, allowance: 5, per: calendar day }]")]
    [InlineData("quotas: [{ meter: calls, where: { operation: data }, allowance: 5, per: calendar quarter }]")]
    [InlineData("quotas: [{ meter: bytes, allowance: 10, per: calendar week }]")]
    [InlineData("quotas: [{ meter: gets, allowance: 5, per: year }]")]
    public async Task What_was_used_before_a_restart_is_used_after_it(string terms)
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        var file = $$"""
            version: 1
            currency: USD
            apis:
              m: { upstream: UPSTREAM, operations: { data: GET /data } }
            meters:
              bytes: { aggregation: sum, value: response.bytes }
              gets: { aggregation: count, where: { method: GET } }
            plans:
              p: { operations: [data], {{terms}} }
            """;
        string key;
        await using (var server = await TestServer.StartAsync(file, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "p");
            for (var i = 0; i < 3; i++) Assert.Equal(200, await StatusAsync(server, key));
        }

        // five in all, whichever process counted them: "ok" has two bytes
        await using var again = await TestServer.StartAsync(file, upstream, folder);
        for (var i = 0; i < 2; i++) Assert.Equal(200, await StatusAsync(again, key));
        for (var i = 0; i < 3; i++) Assert.Equal(429, await StatusAsync(again, key));
        Assert.Equal(5, await again.UsageAsync());
    }

    [Fact]
    public async Task Calls_at_a_time_of_a_dead_process_are_under_way_no_more()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        const string file = """
            version: 1
            currency: USD
            apis:
              m: { upstream: UPSTREAM, operations: { data: GET /data } }
            plans:
              p: { operations: [data], limits: [{ concurrent: 1 }] }
            """;
        string key;
        await using (var server = await TestServer.StartAsync(file, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "p");
            Assert.Equal(200, await StatusAsync(server, key));
        }

        await using var again = await TestServer.StartAsync(file, upstream, folder);
        Assert.Equal(200, await StatusAsync(again, key));
    }

    private static async Task<int> StatusAsync(TestServer server, string key)
    {
        using var answer = await server.CallAsync("/data", key);
        await answer.Content.ReadAsStringAsync();
        return (int)answer.StatusCode;
    }
}
