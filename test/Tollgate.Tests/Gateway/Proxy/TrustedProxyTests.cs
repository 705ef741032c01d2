using Tollgate.Front;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>Balancers in front of the gate: whose word is taken for where a caller is.</summary>
public sealed class TrustedProxyTests
{
    private const string Balancer = "127.0.0.1", Stranger = "127.0.0.9";

    [Fact]
    public async Task Behind_a_balancer_a_caller_is_where_it_says_and_each_has_its_own_limit()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        Assert.Equal("200, 200, 429", await CallAsync(server, key, Balancer, "192.0.2.1", "192.0.2.1", "192.0.2.1"));
        Assert.Equal("200, 200, 429", await CallAsync(server, key, Balancer, "2001:db8::7", "[2001:db8::7]:443", "2001:db8::7"));
        // itself, when it names nobody
        Assert.Equal("200, 200, 429", await CallAsync(server, key, Balancer, null, null, null));
        Assert.Equal("192.0.2.1, 192.0.2.1, 2001:db8::7, 2001:db8::7, 127.0.0.1, 127.0.0.1", SeenOf(upstream, "X-Forwarded-For"));
        var names = upstream.Seen.SelectMany(s => s.Headers.Keys).Where(n => n.StartsWith("X-Forwarded", StringComparison.Ordinal));
        Assert.Equal(["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"], names.Distinct().Order());
    }

    [Theory]
    [InlineData("203.0.113.9, 192.0.2.1", "192.0.2.1")]
    [InlineData("203.0.113.9, 192.0.2.1, 10.1.2.3, 127.0.0.1", "192.0.2.1")]
    [InlineData("192.0.2.1:4711", "192.0.2.1")]
    [InlineData("10.1.2.3", "10.1.2.3")]
    [InlineData("192.0.2.1, nobody, 10.1.2.3", "10.1.2.3")]
    [InlineData("nobody", "127.0.0.1")]
    [InlineData("192.0.2.1,", "192.0.2.1")]
    [InlineData("999.0.2.1", "127.0.0.1")]
    public async Task Only_what_the_balancers_wrote_counts_and_what_is_no_address_ends_it(string header, string caller)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        Assert.Equal("200", await CallAsync(server, key, Balancer, header));
        Assert.Equal(caller, SeenOf(upstream, "X-Forwarded-For"));
    }

    [Fact]
    public async Task A_header_as_long_as_headers_may_be_is_read_or_refused()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        Assert.Equal("200, 200", await CallAsync(server, key, Balancer,
            string.Join(", ", Enumerable.Repeat("10.0.0.1", 2_900)), new string(',', 30_000)));
        Assert.Equal("10.0.0.1, 127.0.0.1", SeenOf(upstream, "X-Forwarded-For"));
    }

    [Fact]
    public async Task What_anybody_else_says_of_a_caller_is_nothing()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        Assert.Equal("200, 200, 429", await CallAsync(server, key, Stranger, "192.0.2.1", "192.0.2.2", "192.0.2.3"));
        Assert.Equal($"{Stranger}, {Stranger}", SeenOf(upstream, "X-Forwarded-For"));
        Assert.Equal("http, http", SeenOf(upstream, "X-Forwarded-Proto"));
    }

    [Fact]
    public async Task The_scheme_is_what_a_balancer_says_and_over_HTTP_2_what_only_a_balancer_may_say()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        Assert.Equal("200", await CallAsync(server, key, Balancer, "192.0.2.1"));
        await using (var balancer = await RawHttp2.ConnectAsync(server.Proxies[1]))
            Assert.Equal(200, (await balancer.CallAsync(Fields(key))).Status);
        await using var strict = await StartAsync(upstream, "10.0.0.0/8");
        var other = await strict.SubscribeAsync("paul", "pro");
        await using var stranger = await RawHttp2.ConnectAsync(strict.Proxies[1]);
        Assert.Equal(200, (await stranger.CallAsync(Fields(other))).Status);
        Assert.Equal("https, https, http", SeenOf(upstream, "X-Forwarded-Proto"));

        static (string, string)[] Fields(string key) =>
            [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/v1/data"), ("apikey", key)];
    }

    [Theory]
    [InlineData("10.0.0.5", "10.0.0.5/32")]
    [InlineData("10.0.0.0/8", "10.0.0.0/8")]
    [InlineData("fd00::/8", "fd00::/8")]
    [InlineData("::1", "::1/128")]
    [InlineData("10", null)]
    [InlineData("10.1", null)]
    [InlineData("0x0a.0.0.1", null)]
    [InlineData("10.0.0.1/8", "10.0.0.0/8")]
    [InlineData("10.0.0.0/33", null)]
    [InlineData("0.0.0.0/0", null)]
    [InlineData("::/0", null)]
    [InlineData("fe80::1%1", null)]
    [InlineData("balancer", null)]
    [InlineData("", null)]
    public void An_address_or_a_network_is_read_and_one_of_everybody_is_none(string text, string? network) =>
        Assert.Equal(network, TrustedProxies.TryRead(text, out var read) ? read.ToString() : null);

    private static Task<TestServer> StartAsync(TestUpstream upstream, string trusted = "127.0.0.1, 10.0.0.0/8") => ProxyHost.StartAsync(
        upstream, "", limits: "2/hour by ip", change: o => o with
        {
            MoreProxies = [new Uri("h2c://127.0.0.1:0")],
            TrustedProxies = [.. trusted.Split(", ").Select(t => TrustedProxies.TryRead(t, out var network) ? network : default)],
        });

    /// <summary>Calls, each with its X-Forwarded-For, from an address of this machine.</summary>
    /// <returns>The statuses.</returns>
    private static async Task<string> CallAsync(TestServer server, string key, string from, params string?[] forwarded)
    {
        using var client = ProxyHost.ClientAt(from);
        var statuses = new int[forwarded.Length];
        for (var i = 0; i < statuses.Length; i++)
        {
            (string, string)[] headers = forwarded[i] is { } value ? [("X-Forwarded-For", value), ("X-Forwarded-Proto", "https")] : [];
            using var answer = await client.SendAsync(server.Request("/v1/data", key, headers: headers));
            statuses[i] = (int)answer.StatusCode;
        }

        return string.Join(", ", statuses);
    }

    private static string SeenOf(TestUpstream upstream, string header) =>
        string.Join(", ", upstream.Seen.Select(s => s.Headers.GetValueOrDefault(header)));
}
