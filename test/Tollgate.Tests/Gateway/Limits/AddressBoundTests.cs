using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Addresses are what strangers can have many of: how many are counted apart is bounded, and it shows.</summary>
public sealed class AddressBoundTests
{
    [Fact]
    public async Task Beyond_the_most_addresses_share_one_count_and_the_metrics_say_so()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync("""
            version: 1
            currency: USD
            apis: { a: { upstream: UPSTREAM, operations: { x: GET /x } } }
            plans:
              pro: { operations: [x], limits: ["2/hour by ip"] }
            """, upstream, change: options => options with { MaxAddresses = 3 });
        var key = await server.SubscribeAsync("fred", "pro");
        // all of 127.0.0.0/8 is this machine
        for (var i = 1; i <= 3; i++) Assert.Equal("200, 200, 429", await CallAsync(server, key, $"127.0.0.{i}", 3));
        Assert.Equal((3, 0), await MetricsAsync(server));
        Assert.Equal("200", await CallAsync(server, key, "127.0.0.4", 1));
        Assert.Equal("200, 429", await CallAsync(server, key, "127.0.0.5", 2));
        Assert.Equal("429", await CallAsync(server, key, "127.0.0.6", 1));
        Assert.Equal((3, 4), await MetricsAsync(server));
        await server.AdvanceAsync("PT1H");
        Assert.Equal("200, 200, 429", await CallAsync(server, key, "127.0.0.6", 3));
        Assert.Equal(1, (await MetricsAsync(server)).Counted);
    }

    private static async Task<string> CallAsync(TestServer server, string key, string from, int calls)
    {
        using var client = Proxy.ProxyHost.ClientAt(from);
        var statuses = new int[calls];
        for (var i = 0; i < calls; i++)
        {
            using var answer = await client.SendAsync(Proxy.ProxyHost.Request(server, "/x", key));
            statuses[i] = (int)answer.StatusCode;
        }

        return string.Join(", ", statuses);
    }

    private static async Task<(int Counted, int Shared)> MetricsAsync(TestServer server)
    {
        var lines = (await server.TextAsync("/metrics")).Split('\n');
        return (Value("tollgate_limit_addresses "), Value("tollgate_limit_addresses_shared_total "));

        int Value(string name) => int.Parse(lines.Single(l => l.StartsWith(name, StringComparison.Ordinal))[name.Length..]);
    }
}
