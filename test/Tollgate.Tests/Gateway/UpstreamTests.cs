using System.Net;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>Upstreams of several servers, and answers that stream: a call is counted once whatever happens to it.
/// </summary>
public sealed class UpstreamTests
{
    [Fact]
    public async Task Servers_take_calls_in_turn_by_their_weights()
    {
        await using var first = await TestUpstream.StartAsync();
        await using var second = await TestUpstream.StartAsync();
        await using var server = await StartAsync($"[{{ url: {first.Address}, weight: 3 }}, {{ url: {second.Address} }}]");
        var key = await server.SubscribeAsync("paul", "pro");
        for (var i = 0; i < 8; i++) Assert.Equal(200, await StatusAsync(server, key));
        Assert.Equal((6, 2), (first.Seen.Count, second.Seen.Count));
    }

    [Fact]
    public async Task A_call_without_an_answer_is_sent_again_to_another_server_and_billed_once()
    {
        await using var good = await TestUpstream.StartAsync();
        await using var server = await StartAsync($"[{{ url: {Closed()} }}, {{ url: {good.Address} }}]", retries: 1);
        var key = await server.SubscribeAsync("paul", "pro");
        for (var i = 0; i < 12; i++) Assert.Equal(200, await StatusAsync(server, key));
        Assert.Equal(12, good.Seen.Count);
        Assert.Equal(12, await server.UsageAsync());
        using var answer = await server.CallAsync("/v1/public/data", key);
        Assert.Equal("987", answer.Headers.GetValues("X-RateLimit-Remaining-Minute").Single());
        Assert.Null(server.Node.Journal.Trouble);
    }

    [Fact]
    public async Task A_call_with_a_body_is_never_sent_again()
    {
        await using var good = await TestUpstream.StartAsync();
        await using var server = await StartAsync($"[{{ url: {Closed()} }}, {{ url: {good.Address} }}]", retries: 5);
        var key = await server.SubscribeAsync("paul", "pro");
        var statuses = new List<int>();
        for (var i = 0; i < 2; i++)
        {
            using var post = new HttpRequestMessage(HttpMethod.Post, "/v1/orders") { Content = new StringContent("x") };
            post.Headers.Add("apikey", key);
            using var answer = await server.SendAsync(post);
            statuses.Add((int)answer.StatusCode);
        }

        Assert.Equal([200, 502], statuses.Order());
        Assert.Single(good.Seen);
        Assert.Equal(1, await server.UsageAsync());
    }

    [Fact]
    public async Task A_server_that_fails_five_times_in_a_row_is_left_out_and_the_last_one_never_is()
    {
        await using var bad = await TestUpstream.StartAsync();
        await using var good = await TestUpstream.StartAsync();
        bad.Answer = context =>
        {
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        };
        await using var server = await StartAsync($"[{{ url: {bad.Address} }}, {{ url: {good.Address} }}]");
        var key = await server.SubscribeAsync("paul", "pro");
        var statuses = new List<int>();
        for (var i = 0; i < 20; i++) statuses.Add(await StatusAsync(server, key));
        Assert.Equal(5, statuses.Count(s => s == 503));
        Assert.Equal(15, await server.UsageAsync());

        good.Answer = bad.Answer;
        for (var i = 0; i < 10; i++) Assert.Equal(503, await StatusAsync(server, key));
        Assert.True(bad.Seen.Count > 5, "With all of them out, all are asked.");
    }

    [Fact]
    public async Task When_no_server_answers_the_call_is_502_and_costs_nothing()
    {
        await using var server = await StartAsync($"[{{ url: {Closed()} }}, {{ url: {Closed()} }}]", retries: 3);
        var key = await server.SubscribeAsync("paul", "pro");
        using var answer = await server.CallAsync("/v1/public/data", key);
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.Contains("upstream_unreachable", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(0, await server.UsageAsync());
        Assert.Null(server.Node.Journal.Trouble);
    }

    [Fact]
    public async Task The_first_event_of_a_stream_arrives_before_the_second_is_made()
    {
        var go = new TaskCompletionSource();
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = async context =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.WriteAsync("data: one\n\n");
            await context.Response.Body.FlushAsync();
            await go.Task;
            await context.Response.WriteAsync("data: two\n\n");
        };
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        using var client = new HttpClient { BaseAddress = server.Proxy };
        client.DefaultRequestHeaders.Add("apikey", key);
        await using var stream = await client.GetStreamAsync("/v1/public/data", TestContext.Current.CancellationToken);
        using var reader = new StreamReader(stream);
        Assert.Equal("data: one", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        go.SetResult();
        Assert.Contains("two", await reader.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal(1, await server.UsageAsync());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_web_socket_is_one_call(int version)
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = Proxy.ConnectionTests.EchoAsync;
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream,
            change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });
        var key = await server.SubscribeAsync("paul", "pro");
        using var client = new ClientWebSocket();
        using var http = new HttpClient();
        client.Options.SetRequestHeader("apikey", key);
        client.Options.HttpVersion = new Version(version, version == 1 ? 1 : 0);
        client.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        var token = TestContext.Current.CancellationToken;
        var front = new UriBuilder(server.Proxies[version - 1]) { Scheme = "ws", Path = "/v1/public/data" }.Uri;
        await client.ConnectAsync(front, http, token);
        await client.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, token);
        var answer = new byte[64];
        Assert.Equal(5, (await client.ReceiveAsync(answer, token)).Count);
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, token);
        Assert.Equal(1, await server.UsageAsync());
        var seen = Assert.Single(upstream.Seen);
        Assert.Equal("GET", seen.Method);
        Assert.DoesNotContain("apikey", seen.Headers.Keys);

        // it is held to the plan as the GET that it is
        using var other = new ClientWebSocket();
        other.Options.SetRequestHeader("apikey", key);
        (other.Options.HttpVersion, other.Options.HttpVersionPolicy) = (client.Options.HttpVersion, client.Options.HttpVersionPolicy);
        other.Options.CollectHttpResponseDetails = true;
        var forbidden = new UriBuilder(front) { Path = "/v1/enterprise/advanced" }.Uri;
        await Assert.ThrowsAsync<WebSocketException>(() => other.ConnectAsync(forbidden, http, token));
        Assert.Equal(HttpStatusCode.Forbidden, other.HttpStatusCode);
        Assert.Single(upstream.Seen);
    }

    [Fact]
    public async Task Who_asks_for_a_web_socket_where_there_is_none_puts_no_server_out()
    {
        await using var first = await TestUpstream.StartAsync();
        await using var second = await TestUpstream.StartAsync();
        await using var server = await StartAsync(
            $"[{{ url: {first.Address}, weight: 100 }}, {{ url: {second.Address} }}]", more: [new Uri("h2c://127.0.0.1:0")]);
        var key = await server.SubscribeAsync("paul", "pro");
        using var http = new HttpClient();
        for (var i = 0; i < 6; i++)
        {
            using var client = new ClientWebSocket();
            client.Options.SetRequestHeader("apikey", key);
            (client.Options.HttpVersion, client.Options.HttpVersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
            client.Options.CollectHttpResponseDetails = true;
            var front = new UriBuilder(server.Proxies[1]) { Scheme = "ws", Path = "/v1/public/data" }.Uri;
            await Assert.ThrowsAsync<WebSocketException>(() => client.ConnectAsync(front, http, TestContext.Current.CancellationToken));
            Assert.Equal(HttpStatusCode.BadGateway, client.HttpStatusCode);
        }

        for (var i = 0; i < 3; i++) Assert.Equal(200, await StatusAsync(server, key));
        Assert.Equal((9, 0), (first.Seen.Count, second.Seen.Count));
        Assert.Equal(3, await server.UsageAsync());
    }

    private static Task<TestServer> StartAsync(string servers, int retries = 0, Uri[]? more = null) => TestServer.StartAsync(
        Yaml.Tiers.Replace("upstream: UPSTREAM", $"upstream: {servers}\n    retries: {retries}", StringComparison.Ordinal),
        change: o => o with { MoreProxies = more ?? [] });

    private static async Task<int> StatusAsync(TestServer server, string key)
    {
        using var answer = await server.CallAsync("/v1/public/data", key);
        return (int)answer.StatusCode;
    }

    /// <summary>An address at which nobody listens.</summary>
    private static string Closed() => $"http://127.0.0.1:{Ports.Free()}";

    // RFC 6455 4.2.2 asks for SHA-1
#pragma warning disable CA5350 // the protocol knows no other
    internal static string Accept(string key) => Convert.ToBase64String(System.Security.Cryptography.SHA1.HashData(
        System.Text.Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
#pragma warning restore CA5350
}
