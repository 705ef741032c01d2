using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>Where a credential may stand, and that it goes no further than the gate.</summary>
public sealed class CredentialPlaceTests
{
    private const string Shop = """
        version: 1
        currency: USD
        apis:
          open:  { upstream: UPSTREAM, operations: { data: GET /data }, key_headers: [X-Pass], key_query: api_key, anonymous: guest }
          other: { upstream: UPSTREAM, operations: { other: GET /other } }
        plans:
          free:  { operations: [data], limits: [2/minute] }
          pro:   { operations: [data, other] }
        """;

    [Fact]
    public async Task A_key_is_found_where_the_API_looks_and_is_gone_at_the_upstream()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Shop, upstream);
        var key = await server.SubscribeAsync("ann", "pro");
        string[] found =
            [$"/data?api_key={key}", $"/data?a=1&api%5Fkey={key}&b=%20", $"/data?api_key={key}&x&api_key={key}"];
        foreach (var target in found) Assert.Equal(200, (await SentAsync(server, target)).Status);
        Assert.Equal(["/data", "/data?a=1&b=%20", "/data?x"], upstream.Seen.Select(s => s.Target));
        Assert.All(upstream.Seen, s => Assert.Equal("ann", s.Headers["X-Consumer-Username"]));
        Assert.Equal(200, (await SentAsync(server, "/data", $"X-Pass: {key}")).Status);
        Assert.Equal(401, (await SentAsync(server, $"/data?api_key={key}", "X-Pass: other")).Status);
        Assert.Equal(401, (await SentAsync(server, $"/data?api_key={key}&api_key=tg_live_other")).Status);

        // what is a credential at one API reaches no other's upstream
        Assert.Equal(401, (await SentAsync(server, $"/other?api_key={key}")).Status);
        Assert.Equal(200, (await SentAsync(server, $"/other?api_key={key}", $"apikey: {key}")).Status);
        Assert.Equal("/other", upstream.Seen.Last().Target);
        Assert.DoesNotContain(upstream.Seen, s => s.Headers.Values.Any(v => v.Contains(key, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Calls_without_a_credential_are_a_consumers_where_an_API_says_so()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Shop, upstream);
        Assert.Equal(401, (await SentAsync(server, "/data")).Status); // nobody is called guest yet
        await server.SubscribeAsync("guest", "free");
        foreach (var status in (int[])[200, 200, 429]) Assert.Equal(status, (await SentAsync(server, "/data")).Status);
        Assert.Equal("guest", upstream.Seen.First().Headers["X-Consumer-Username"]);
        Assert.Equal(401, (await SentAsync(server, "/data", "X-Pass: tg_live_wrong")).Status);
        Assert.Equal(401, (await SentAsync(server, "/other")).Status);
        var told = await server.PostAsync("/v1/explain", new { path = "/data" });
        Assert.Equal(("guest", "rate_exceeded"), (told.GetProperty("consumer").GetProperty("username").GetString(),
            told.GetProperty("verdict").GetProperty("code").GetString()));
        await server.AdvanceAsync("PT1S");
        Assert.Equal(2, await server.UsageAsync("&consumer=guest"));
    }

    private static async Task<(int Status, string Body)> SentAsync(TestServer server, string target, string? header = null)
    {
        var answer = await RawCall.SendAsync(server.Proxy, $"GET {target} HTTP/1.1\r\nHost: {server.Proxy.Authority}\r\n" +
            $"Connection: close\r\n{(header is null ? "" : header + "\r\n")}\r\n");
        return (answer.Status, answer.Body);
    }
}
