using System.Net;
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

    [Fact]
    public async Task A_key_that_is_bound_to_a_subscription_is_good_for_that_one_alone()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Shop, upstream);
        await server.SubscribeAsync("ann", "pro");
        await server.SubscribeAsync("bob", "pro");
        var free = (await server.PostAsync("/v1/subscriptions", new { customer = "ann", plan = "free", priority = 9 }))
            .GetProperty("id").GetString()!;
        var all = (await server.GetAsync("/v1/subscriptions")).GetProperty("data").EnumerateArray().ToArray();
        var (pro, bobs) = (all[0].GetProperty("id").GetString()!, all[1].GetProperty("id").GetString()!);
        async Task<string> KeyAsync(string subscription)
        {
            var made = await server.PostAsync("/v1/consumers/ann/keys", new { subscription });
            Assert.Equal(subscription, made.GetProperty("subscription").GetString());
            return made.GetProperty("key").GetString()!;
        }

        var (freeKey, proKey) = (await KeyAsync(free), await KeyAsync(pro));
        Assert.Equal(403, (await SentAsync(server, "/other", $"apikey: {freeKey}")).Status);
        Assert.Equal(200, (await SentAsync(server, "/other", $"apikey: {proKey}")).Status);
        foreach (var status in (int[])[200, 200, 429])
            Assert.Equal(status, (await SentAsync(server, "/data", $"X-Pass: {freeKey}")).Status);
        Assert.Equal(200, (await SentAsync(server, "/data", $"X-Pass: {proKey}")).Status);
        Assert.Equal("pro", upstream.Seen.Last().Headers["X-Consumer-Groups"]);
        var told = await server.PostAsync("/v1/explain", new { key = proKey, path = "/data" });
        Assert.Equal(pro, told.GetProperty("subscriptions").EnumerateArray()
            .Single(s => s.GetProperty("chosen").GetBoolean()).GetProperty("id").GetString());

        // the binding outlives a rotation, and nobody is bound to what others pay
        var list = (await server.GetAsync("/v1/consumers/ann/keys")).GetProperty("data").EnumerateArray().ToArray();
        var rotated = await server.PostAsync($"/v1/consumers/ann/keys/{list[1].GetProperty("id")}/rotate", new { });
        Assert.Equal(403, (await SentAsync(server, "/other", $"apikey: {rotated.GetProperty("key")}")).Status);
        foreach (var wrong in (string[])[bobs, "sub_nothing"])
        {
            using var content = new StringContent($$"""{"subscription": "{{wrong}}"}""");
            using var refused = await server.Admin.PostAsync("/v1/consumers/ann/keys", content);
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        }
    }

    [Fact]
    public async Task Kongs_key_auth_takes_keys_from_queries_and_lets_anonymous_calls_be_a_consumers()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        async Task PostAsync(string path, string form)
        {
            using var content = new StringContent(form, System.Text.Encoding.ASCII, "application/x-www-form-urlencoded");
            using var answer = await server.Admin.PostAsync(path, content);
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }

        await PostAsync("/services", $"name=s&url={upstream.Address}");
        await PostAsync("/services/s/routes", "paths[]=/s&strip_path=false");
        await PostAsync("/consumers", "username=ann");
        await PostAsync("/consumers", "username=guest");
        await PostAsync("/consumers/ann/key-auth", "key=key-of-ann-000");
        await PostAsync("/services/s/plugins", "name=key-auth&config.key_in_query=true&config.key_names[]=pass&config.anonymous=guest");
        Assert.Equal(200, (await SentAsync(server, "/s?pass=key-of-ann-000&a=1")).Status);
        Assert.Equal(200, (await SentAsync(server, "/s", "pass: key-of-ann-000")).Status);
        Assert.Equal(200, (await SentAsync(server, "/s")).Status);
        Assert.Equal(401, (await SentAsync(server, "/s?pass=wrong")).Status);
        Assert.Equal(["/s?a=1 ann", "/s ann", "/s guest"],
            upstream.Seen.Select(s => $"{s.Target} {s.Headers["X-Consumer-Username"]}"));
    }

    private static async Task<(int Status, string Body)> SentAsync(TestServer server, string target, string? header = null)
    {
        var answer = await RawCall.SendAsync(server.Proxy, $"GET {target} HTTP/1.1\r\nHost: {server.Proxy.Authority}\r\n" +
            $"Connection: close\r\n{(header is null ? "" : header + "\r\n")}\r\n");
        return (answer.Status, answer.Body);
    }
}
