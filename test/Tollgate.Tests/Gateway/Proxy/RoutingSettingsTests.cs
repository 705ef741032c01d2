using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>Which calls an API takes, and what its upstream gets of them: hosts, paths, headers.</summary>
public sealed class RoutingSettingsTests
{
    [Fact]
    public async Task An_exact_host_comes_before_the_longest_wildcard_and_that_before_everywhere()
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = context => context.Response.WriteAsync(context.Request.Headers["X-Api"]!);
        await using var server = await TestServer.StartAsync("""
            version: 1
            currency: USD
            apis:
              exact:
                upstream: UPSTREAM
                hosts: Api.Example.com
                request_headers: { set: { X-Api: exact } }
                operations: { a: GET /v1/data }
              wild:
                upstream: UPSTREAM
                hosts: ["*.example.com"]
                request_headers: { set: { X-Api: wild } }
                operations: { b: GET /v1/data, c: GET /v1/more }
              deep:
                upstream: UPSTREAM
                hosts: ["*.eu.example.com"]
                request_headers: { set: { X-Api: deep } }
                operations: { d: GET /v1/data }
              rest: { upstream: UPSTREAM, request_headers: { set: { X-Api: rest } }, operations: { e: GET /v1/data } }
            plans:
              pro: { operations: ["*"] }
            """, upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        (string Host, string Path, string Expected)[] cases =
        [
            ("api.example.com", "/v1/data", "exact"), ("API.EXAMPLE.COM:8080", "/v1/data", "exact"),
            ("api.example.com.", "/v1/data", "exact"), ("other.example.com", "/v1/data", "wild"),
            ("a.eu.example.com", "/v1/data", "deep"), ("a.eu.example.com", "/v1/more", "wild"),
            ("api.example.com", "/v1/more", "wild"), ("example.com", "/v1/data", "rest"),
            ("evilexample.com", "/v1/data", "rest"), ("127.0.0.1", "/v1/more", "404"),
        ];
        var wrong = new List<string>();
        foreach (var (host, path, expected) in cases)
        {
            using var answer = await server.SendAsync(server.Request(path, key, host: host));
            var got = answer.IsSuccessStatusCode
                ? await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken) : $"{(int)answer.StatusCode}";
            if (got != expected) wrong.Add($"{host}{path}: {got}, not {expected}");
        }

        Assert.Empty(wrong);
        Assert.Equal(1, await server.UsageAsync("&operation=d"));
    }

    [Fact]
    public async Task What_is_taken_off_and_rewritten_is_the_canonical_path()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await ProxyHost.StartAsync(upstream,
            "upstream: " + upstream.Address + "/base\nstrip_prefix: /market", """
            root: GET /market
            list: GET /market/list
            quote: { match: "GET /market/{a}/quotes/{b}", rewrite: "/q/{b}/of/{a}/end" }
            raw: { match: "GET /raw/{x}", rewrite: "/{x}" }
            """);
        var key = await server.SubscribeAsync("paul", "pro");
        (string Sent, string Got)[] cases =
        [
            ("/market", "/base/"), ("/market/list", "/base/list"), ("/market/list?x=/market", "/base/list?x=/market"),
            ("/x/../market//list", "/base/list"), ("/market/l%69st", "/base/list"), ("/market/list", "/base/list"),
            ("/market/eu/quotes/a%20b?c=1", "/base/q/a%20b/of/eu/end?c=1"), ("/raw/..%2Fx", ""), ("/raw/x", "/base/x"),
            ("/market/eu/quotes/c", "/base/q/c/of/eu/end"),
        ];
        var wrong = new List<string>();
        foreach (var (sent, got) in cases)
        {
            upstream.Seen.Clear();
            await RawCall.GetAsync(server.Proxy, sent, key);
            var seen = upstream.Seen.SingleOrDefault()?.Target ?? "";
            if (seen != got) wrong.Add($"{sent}: {seen}, not {got}");
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public async Task Headers_are_set_added_and_taken_off_both_ways()
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = context =>
        {
            context.Response.Headers["Server"] = "secret/1.0";
            context.Response.Headers["X-Env"] = "theirs";
            context.Response.Headers["Vary"] = "Accept";
            return context.Response.WriteAsync("ok");
        };
        await using var server = await ProxyHost.StartAsync(upstream, """
            preserve_host: true
            request_headers: { set: { X-Env: live, Content-Language: en }, add: { X-Via: tollgate }, remove: [X-Debug, User-Agent] }
            response_headers: { set: { X-Env: ours }, add: { Vary: Accept-Language }, remove: [Server] }
            """, "post: POST /v1/data");
        var key = await server.SubscribeAsync("paul", "pro");
        var request = server.Request("/v1/data", key, HttpMethod.Post, "shop.test", ("X-Env", "mine"), ("X-Via", "client"),
            ("X-Debug", "1"), ("User-Agent", "x"));
        request.Content = new StringContent("body");
        using var answer = await server.SendAsync(request);
        var seen = Assert.Single(upstream.Seen).Headers;
        Assert.Equal("live", seen["X-Env"]);
        Assert.Equal("en", seen["Content-Language"]);
        Assert.Equal("shop.test", seen["Host"]);
        Assert.Equal(["client", "tollgate"], seen["X-Via"].Split(',', StringSplitOptions.TrimEntries));
        Assert.DoesNotContain("X-Debug", seen.Keys);
        Assert.DoesNotContain("User-Agent", seen.Keys);
        Assert.Equal("ours", answer.Header("X-Env"));
        Assert.Equal("Accept, Accept-Language", answer.Header("Vary"));
        Assert.Null(answer.Header("Server"));
        Assert.NotNull(answer.Header("X-Request-Id"));
    }
}
