using System.Net;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>Pages of other origins: a preflight needs no key, opens nothing and costs nothing.</summary>
public sealed class CorsTests
{
    private const string App = "https://app.example.com";

    [Fact]
    public async Task A_preflight_of_a_declared_operation_is_answered_without_a_key_and_never_billed()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        using var answer = await PreflightAsync(server, "/v1/data", App, "PUT", "apikey, x-thing");
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Equal(App, answer.Header("Access-Control-Allow-Origin"));
        Assert.Equal("PUT", answer.Header("Access-Control-Allow-Methods"));
        Assert.Equal("apikey, x-thing", answer.Header("Access-Control-Allow-Headers"));
        Assert.Equal("true", answer.Header("Access-Control-Allow-Credentials"));
        Assert.Equal("600", answer.Header("Access-Control-Max-Age"));
        Assert.StartsWith("Origin", answer.Header("Vary"), StringComparison.Ordinal);
        Assert.Empty(upstream.Seen);
        Assert.Equal(0, await server.UsageAsync());
        Assert.Equal(0UL, server.Node.Journal.NextSequence - server.Node.Journal.BootFirst);
    }

    [Theory]
    [InlineData("/v1/other", App, "GET", 404)]
    [InlineData("/v1%2Fdata", App, "GET", 400)]
    [InlineData("/v1/data", App, "DELETE", 404)]
    [InlineData("/v1/data", App, "put", 404)]
    [InlineData("/v1/data", App, null, 404)]
    [InlineData("/v1/data", null, "GET", 404)]
    [InlineData("/v1/plain", App, "GET", 404)]
    public async Task What_is_no_preflight_of_a_declared_operation_is_a_call_like_any_other(
        string path, string? origin, string? method, int status)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var got = await RawCall.SendAsync(server.Proxy, $"OPTIONS {path} HTTP/1.1\r\nHost: {server.Proxy.Authority}\r\n" +
            (origin is null ? "" : $"Origin: {origin}\r\n") + (method is null ? "" : $"Access-Control-Request-Method: {method}\r\n") +
            "Connection: close\r\n\r\n");
        Assert.Equal(status, got.Status);
        Assert.Null(got.Header("Access-Control-Allow-Origin"));
        Assert.Empty(upstream.Seen);
    }

    [Fact]
    public async Task An_OPTIONS_operation_without_the_headers_of_a_preflight_needs_a_key_and_is_billed()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        Assert.Equal(HttpStatusCode.Unauthorized,
            (await server.SendAsync(server.Request("/v1/options", null, HttpMethod.Options))).StatusCode);
        Assert.Equal(HttpStatusCode.OK,
            (await server.SendAsync(server.Request("/v1/options", key, HttpMethod.Options))).StatusCode);
        Assert.Equal(1, await server.UsageAsync());
    }

    [Fact]
    public async Task A_page_sees_answers_and_refusals_and_what_the_upstream_says_of_origins_is_replaced()
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = context =>
        {
            context.Response.Headers["Access-Control-Allow-Origin"] = "*";
            context.Response.Headers["Access-Control-Allow-Credentials"] = "true";
            return Task.CompletedTask;
        };
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        using var mine = await server.SendAsync(server.Request("/v1/data", key, headers: ("Origin", App)));
        Assert.Equal(App, mine.Header("Access-Control-Allow-Origin"));
        Assert.Equal("X-RateLimit-Remaining-Minute", mine.Header("Access-Control-Expose-Headers"));
        using var refused = await server.SendAsync(server.Request("/v1/data", null, headers: ("Origin", App)));
        Assert.Equal((HttpStatusCode.Unauthorized, App), (refused.StatusCode, refused.Header("Access-Control-Allow-Origin")));
        using var foreign = await server.SendAsync(server.Request("/v1/data", key, headers: ("Origin", "https://evil.example")));
        Assert.Null(foreign.Header("Access-Control-Allow-Origin"));
        Assert.Null(foreign.Header("Access-Control-Allow-Credentials"));
        Assert.Equal("Origin", foreign.Header("Vary"));
        using var preflight = await PreflightAsync(server, "/v1/data", "https://evil.example", "GET", null);
        Assert.Null(preflight.Header("Access-Control-Allow-Origin"));
    }

    private static Task<HttpResponseMessage> PreflightAsync(
        TestServer server, string path, string origin, string method, string? headers)
    {
        var request = server.Request(path, null, HttpMethod.Options, null, ("Origin", origin), ("Access-Control-Request-Method", method));
        if (headers is not null) request.Headers.Add("Access-Control-Request-Headers", headers);
        return server.SendAsync(request);
    }

    private static Task<TestServer> StartAsync(TestUpstream upstream) => TestServer.StartAsync($$"""
        version: 1
        currency: USD
        apis:
          sample:
            upstream: UPSTREAM
            cors: { origins: ["{{App}}"], credentials: true, max_age: 600, expose: [X-RateLimit-Remaining-Minute] }
            operations: { get: GET /v1/data, put: PUT /v1/data, options: OPTIONS /v1/options }
          plain:
            upstream: UPSTREAM
            operations: { plain: GET /v1/plain }
        plans:
          pro: { operations: ["*"], limits: [100/minute] }
        """, upstream);
}
