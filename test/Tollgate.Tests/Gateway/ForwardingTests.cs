using System.Net;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>What reaches the upstream, what comes back, and what is billed.</summary>
public sealed class ForwardingTests
{
    [Fact]
    public async Task The_upstream_learns_who_calls_and_never_the_key()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/public/data?q=a%20b&x=1");
        request.Headers.Add("apikey", key);
        request.Headers.Add("X-API-Key", key);
        request.Headers.Add("Authorization", "Bearer " + key);
        request.Headers.Add("X-Consumer-Username", "the-boss");
        request.Headers.Add("X-Consumer-Groups", "enterprise");
        request.Headers.Add("X-Forwarded-For", "203.0.113.9");
        request.Headers.Add("X-Custom", "kept");
        using var answer = await server.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var seen = Assert.Single(upstream.Seen);
        Assert.Equal("/v1/public/data?q=a%20b&x=1", seen.Target);
        Assert.Equal("fred", seen.Headers["X-Consumer-Username"]);
        Assert.Equal("free", seen.Headers["X-Consumer-Groups"]);
        Assert.StartsWith("con_", seen.Headers["X-Consumer-ID"]);
        Assert.StartsWith("key_", seen.Headers["X-Credential-Identifier"]);
        Assert.Equal("127.0.0.1", seen.Headers["X-Forwarded-For"]);
        Assert.Equal("kept", seen.Headers["X-Custom"]);
        Assert.Equal(answer.Headers.GetValues("X-Request-Id").Single(), seen.Headers["X-Request-Id"]);
        Assert.DoesNotContain(key, string.Join("|", seen.Headers.Values));
    }

    [Fact]
    public async Task A_token_that_is_not_ours_passes_through()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/public/data");
        request.Headers.Add("apikey", key);
        request.Headers.Add("Authorization", "Bearer theirs");
        using var answer = await server.SendAsync(request);
        Assert.Equal("Bearer theirs", Assert.Single(upstream.Seen).Headers["Authorization"]);
    }

    [Theory]
    [InlineData("/v1//public/./data", "/v1/public/data")]
    [InlineData("/v1/x/../public/data", "/v1/public/data")]
    [InlineData("/v1/%70ublic/data", "/v1/public/data")]
    [InlineData("/v1/quotes/caf%c3%a9", "/v1/quotes/caf%C3%A9")]
    public async Task The_upstream_gets_the_one_canonical_path(string sent, string received)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        var answer = await RawCall.GetAsync(server.Proxy, sent, key);
        Assert.Equal(200, answer.Status);
        Assert.Equal(received, Assert.Single(upstream.Seen).Target);
    }

    [Fact]
    public async Task An_answer_below_500_is_billed_and_a_failure_of_the_upstream_is_not()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        foreach (var status in (int[])[200, 404, 500, 503])
        {
            upstream.Answer = context =>
            {
                context.Response.StatusCode = status;
                return Task.CompletedTask;
            };
            using var answer = await server.CallAsync("/v1/public/data", key);
            Assert.Equal(status, (int)answer.StatusCode);
        }

        Assert.Equal(2, await server.UsageAsync());
    }

    [Theory]
    [InlineData("pro", false)]
    [InlineData("enterprise", true)]
    public async Task What_an_upstream_says_of_limits_of_its_own_reaches_only_callers_who_have_none_here(string plan, bool passes)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("paul", plan);
        string[] names =
        [
            "X-RateLimit-Limit-Day", "x-ratelimit-remaining-hour", "X-RateLimit-Reset", "RateLimit", "RateLimit-Reset", "RateLimit-Policy",
        ];
        upstream.Answer = context =>
        {
            foreach (var name in names) context.Response.Headers[name] = "7";
            context.Response.Headers["X-RateLimit-Cost"] = "3";
            return Task.CompletedTask;
        };
        using var answer = await server.CallAsync("/v1/public/data", key);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        foreach (var name in names)
            Assert.Equal(passes, answer.Headers.TryGetValues(name, out var values) && values.Single() == "7");
        Assert.Equal("3", answer.Headers.GetValues("X-RateLimit-Cost").Single());
        Assert.Equal(!passes, answer.Headers.Contains("X-RateLimit-Remaining-Minute"));
    }

    [Fact]
    public async Task An_upstream_that_is_away_is_a_502_and_costs_nothing()
    {
        var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        await upstream.DisposeAsync();
        using var answer = await server.CallAsync("/v1/public/data", key);
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.Contains("upstream_unreachable", await answer.Content.ReadAsStringAsync());
        Assert.Equal("999", answer.Headers.GetValues("X-RateLimit-Remaining-Minute").Single());
        Assert.Equal(0, await server.UsageAsync());
    }

    [Fact]
    public async Task A_body_goes_both_ways_and_a_HEAD_is_gated_as_a_GET()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        upstream.Answer = context => context.Request.Body.CopyToAsync(context.Response.Body);
        using var post = new HttpRequestMessage(HttpMethod.Post, "/v1/orders")
        {
            Content = new ByteArrayContent(new byte[3_000_000]),
        };
        post.Headers.Add("apikey", key);
        using var answer = await server.SendAsync(post);
        Assert.Equal(3_000_000, (await answer.Content.ReadAsByteArrayAsync()).Length);
        upstream.Answer = _ => Task.CompletedTask;
        using var head = await server.CallAsync("/v1/public/data", key, HttpMethod.Head);
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        using var get = await server.CallAsync("/v1/orders", key);
        Assert.Equal(HttpStatusCode.NotFound, get.StatusCode);
    }

    [Fact]
    public async Task A_new_key_works_at_once_and_a_revoked_one_stops_at_once()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var old = await server.SubscribeAsync("paul", "pro");
        var made = await server.PostAsync("/v1/consumers/paul/keys", new { });
        Assert.Equal(200, await StatusAsync(made.GetProperty("key").GetString()));
        var first = (await server.GetAsync("/v1/consumers/paul/keys")).GetProperty("data")[0].GetProperty("id");
        await server.Admin.DeleteAsync($"/v1/consumers/paul/keys/{first}");
        Assert.Equal(401, await StatusAsync(old));
        Assert.Equal(200, await StatusAsync(made.GetProperty("key").GetString()));

        async Task<int> StatusAsync(string? key)
        {
            using var answer = await server.CallAsync("/v1/public/data", key);
            return (int)answer.StatusCode;
        }
    }

    [Fact]
    public async Task No_key_stands_in_the_data_folder()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(Yaml.Tiers, upstream, folder))
        {
            key = await server.SubscribeAsync("paul", "pro");
            await server.PostAsync("/v1/consumers/paul/keys", new { key = "an-imported-key-of-the-past" });
            (await server.CallAsync("/v1/public/data", key)).Dispose();
        }

        foreach (var file in Directory.EnumerateFiles(folder.Path, "*", SearchOption.AllDirectories))
        {
            var bytes = await File.ReadAllBytesAsync(file);
            Assert.True(bytes.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(key[8..])) < 0, file);
            Assert.True(bytes.AsSpan().IndexOf("an-imported-key-of-the-past"u8) < 0, file);
        }
    }
}
