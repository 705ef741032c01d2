using System.Text;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>What a caller may not make the upstream believe, and what may not leave with the call.</summary>
public sealed class SpoofingTests
{
    [Fact]
    public async Task No_spelling_of_a_header_that_only_the_gate_may_say_gets_through()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/public/data");
        request.Headers.Add("apikey", key);
        string[] forged =
        [
            "X_Consumer_Username", "X-Consumer_Groups", "x-consumer-tags", "X_Forwarded_For", "X-Forwarded-Server",
            "X-Forwarded-User", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Method-Override",
            "X-Real-IP", "True-Client-IP", "Forwarded", "X-Authenticated-Userid", "X_Request_Id", "X-Anonymous-Consumer",
        ];
        foreach (var name in forged) request.Headers.TryAddWithoutValidation(name, "forged");
        request.Headers.TryAddWithoutValidation("X-Trace", "kept");
        using var answer = await server.SendAsync(request);
        Assert.Equal(200, (int)answer.StatusCode);
        var seen = Assert.Single(upstream.Seen).Headers;
        Assert.DoesNotContain("forged", seen.Values);
        Assert.Equal("kept", seen["X-Trace"]);
    }

    [Fact]
    public async Task A_method_in_small_letters_is_no_method()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(
            Yaml.Tiers.Replace("order:       POST /v1/orders", "anything:    /v1/premium/{x}", StringComparison.Ordinal)
                .Replace("[public-data, analytics, quote, order]", "[public-data, analytics]", StringComparison.Ordinal)
                .Replace("operations: [public-data]\n", "operations: [public-data, anything]\n", StringComparison.Ordinal),
            upstream);
        var key = await server.SubscribeAsync("fred", "free");
        foreach (var (method, status) in ((string, int)[])[("GET", 403), ("get", 404), ("Get", 404), ("PUT", 200), ("put", 404)])
        {
            var got = await RawCall.SendAsync(server.Proxy, $"{method} /v1/premium/analytics HTTP/1.1\r\n" +
                $"Host: {server.Proxy.Authority}\r\napikey: {key}\r\nConnection: close\r\n\r\n");
            Assert.True(status == got.Status, $"{method}: {got.Status} {got.Body}");
        }
    }

    [Fact]
    public async Task A_key_does_not_reach_an_API_that_asks_for_none_or_looks_elsewhere()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await FormAsync(server, "/services", $"name=open&url={upstream.Address}");
        await FormAsync(server, "/services/open/routes", "paths[]=/open&strip_path=false");
        await FormAsync(server, "/services", $"name=other&url={upstream.Address}");
        await FormAsync(server, "/services/other/plugins", "name=key-auth&config.key_names[]=X-Their-Key");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/open/x");
        foreach (var name in (string[])["apikey", "X-API-Key", "X-Their-Key"]) request.Headers.Add(name, "the-secret");
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer\ttg_live_the-secret");
        using var answer = await server.SendAsync(request);
        Assert.Equal(200, (int)answer.StatusCode);
        Assert.DoesNotContain("the-secret", string.Join("|", Assert.Single(upstream.Seen).Headers.Values));
    }

    [Fact]
    public async Task Names_and_headers_beyond_ASCII_pass_both_ways()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        upstream.Answer = context =>
        {
            context.Response.StatusCode = 200;
            return Task.CompletedTask;
        };
        var key = await server.SubscribeAsync("zoë", "pro");
        var got = await RawCall.SendAsync(server.Proxy, "GET /v1/public/data HTTP/1.1\r\n" +
            $"Host: {server.Proxy.Authority}\r\napikey: {key}\r\nX-Name: J\u00c3\u00bcrgen\r\nConnection: close\r\n\r\n");
        Assert.Equal(200, got.Status);
        Assert.Equal("zo%C3%AB", Assert.Single(upstream.Seen).Headers["X-Consumer-Username"]);
        Assert.Equal("Jürgen", upstream.Seen.Single().Headers["X-Name"]);
    }

    private static async Task FormAsync(TestServer server, string path, string form)
    {
        using var content = new StringContent(form, Encoding.ASCII, "application/x-www-form-urlencoded");
        using var answer = await server.Admin.PostAsync(path, content);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }
}
