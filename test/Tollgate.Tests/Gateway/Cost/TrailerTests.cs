using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Tollgate.Tests.Gateway.Proxy;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Cost;

/// <summary>What an upstream tells behind its answer: units count where the call is not settled yet, and no caller sees them.
/// </summary>
public sealed class TrailerTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          ai:
            upstream: UPSTREAM
            protocol: http2
            operations:
              chat: GET /chat
              rpc: { match: POST /ai.Chat/Say, reserve: { tokens: 10 } }
              data: GET /data
        meters:
          tokens: { aggregation: sum, value: response.body $.tokens, where: { operation: [chat, rpc] } }
          credits: { aggregation: sum, value: response.header, where: { operation: [rpc, data] } }
        plans:
          pro: { operations: ["*"], limits: [100/minute], quotas: [{ meter: tokens, allowance: 1_000, per: month }] }
        """;

    [Theory]
    [InlineData("/chat", "text/event-stream", "tokens=350, calls=2", 350, 0, 2)]
    [InlineData("/ai.Chat/Say", "application/grpc", "tokens=350,credits=7", 350, 7, 1)]
    [InlineData("/ai.Chat/Say", "application/grpc", "tokens=2000", 1_000, 0, 1)]
    public async Task Units_of_a_trailer_count_and_stay_behind(string path, string type, string told, int tokens, int credits, int calls)
    {
        await using var upstream = await TestUpstream.StartAsync(HttpProtocols.Http2);
        await using var server = await StartAsync(upstream, type, told);
        var key = await server.SubscribeAsync("fred", "pro");
        var trailers = await CallAsync(server, path, type, key);
        Assert.Equal(type == "application/grpc" ? "grpc-status: 0 | x-sum: abc" : "x-sum: abc", trailers);
        await server.NothingIsOpenAsync();
        Assert.Equal($"{tokens} {credits} {calls}", $"{await CallCostTests.ValueAsync(server, "tokens")} " +
            $"{await CallCostTests.ValueAsync(server, "credits")} {await server.UsageAsync()}");
    }

    [Fact]
    public async Task Units_of_a_trailer_that_come_when_the_call_is_settled_are_told_to_be_late()
    {
        await using var upstream = await TestUpstream.StartAsync(HttpProtocols.Http2);
        await using var server = await StartAsync(upstream, "text/plain", "credits=7");
        var key = await server.SubscribeAsync("fred", "pro");
        Assert.Equal("x-sum: abc", await CallAsync(server, "/data", "text/plain", key));
        Assert.Equal("0", await CallCostTests.ValueAsync(server, "credits"));
        using var metrics = await server.Admin.GetAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Contains("tollgate_units_not_counted_total{reason=\"late\"} 1",
            await metrics.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private static Task<TestServer> StartAsync(TestUpstream upstream, string type, string told)
    {
        upstream.Answer = async context =>
        {
            context.Response.ContentType = type;
            await context.Response.WriteAsync(type == "text/event-stream" ? "data: {\"tokens\":1}\n\n" : "12345");
            await context.Response.Body.FlushAsync();
            context.Response.AppendTrailer("Tollgate-Units", told);
            context.Response.AppendTrailer("X-Request-Id", "mine");
            context.Response.AppendTrailer("RateLimit-Limit", "1");
            context.Response.AppendTrailer("X-Sum", "abc");
            if (type == "application/grpc") context.Response.AppendTrailer("grpc-status", "0");
        };
        return TestServer.StartAsync(File, upstream, change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });
    }

    /// <returns>The trailers that the caller sees.</returns>
    private static async Task<string> CallAsync(TestServer server, string path, string type, string key)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(type == "application/grpc" ? HttpMethod.Post : HttpMethod.Get,
            new UriBuilder(server.Proxies[1]) { Scheme = "http", Path = path }.Uri)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        if (type == "application/grpc")
        {
            request.Content = new ByteArrayContent([0, 0, 0, 0, 0]);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        }

        request.Headers.Add("TE", "trailers");
        request.Headers.Add("apikey", key);
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        return string.Join(" | ", answer.TrailingHeaders.Select(t => $"{t.Key.ToLowerInvariant()}: {string.Join(',', t.Value)}").Order());
    }
}
