using System.Net;
using System.Net.Http.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Bugs;

/// <summary>
/// Those bugs of other gateways (field notes, gateways 2.2) that show only over the whole product. The table in the README
/// of the Gateway says where the deeper tests of each stand.
/// </summary>
public sealed class GateBugTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          m:
            upstream: UPSTREAM
            operations: { data: GET /data, premium: GET /premium }
        meters:
          jobs: { aggregation: count, event: job.done }
        plans:
          free: { operations: [data], limits: [1/minute] }
          all: { operations: [data, premium] }
          a-small: { operations: [data], limits: [10/day] }
          z-large: { operations: [data], limits: [1000/day] }
        """;

    [Fact]
    public async Task B6_a_client_that_waits_as_long_as_it_is_told_passes_and_a_second_less_does_not()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        await server.AdvanceAsync("PT13S");
        Assert.Equal(200, await StatusAsync(server, key));
        using var refused = await server.CallAsync("/data", key);
        var wait = (int)refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds;
        Assert.Equal((47, "47"), (wait, refused.Headers.GetValues("RateLimit-Reset").Single()));
        await server.AdvanceAsync($"PT{wait - 1}S");
        Assert.Equal(429, await StatusAsync(server, key));
        await server.AdvanceAsync("PT1S");
        Assert.Equal(200, await StatusAsync(server, key));
    }

    [Fact]
    public async Task B10_an_event_that_is_sent_again_and_a_call_that_is_sent_again_to_an_upstream_count_once()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var yaml = File.Replace("upstream: UPSTREAM",
            "upstream: [{ url: \"http://127.0.0.1:1\" }, { url: UPSTREAM }]\n    retries: 1", StringComparison.Ordinal);
        await using var server = await TestServer.StartAsync(yaml, upstream);
        var key = await server.SubscribeAsync("fred", "all");
        for (var i = 0; i < 4; i++) Assert.Equal(200, await StatusAsync(server, key));
        Assert.Equal(4, await server.UsageAsync());
        for (var i = 0; i < 3; i++) await SendAsync(server, "fred");
        Assert.Equal("1", await JobsAsync(server));
    }

    [Fact]
    public async Task B11_usage_of_somebody_who_is_not_known_yet_is_kept_and_is_theirs_later()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("fred", "all");
        await SendAsync(server, "late");
        Assert.Equal("0", await JobsAsync(server));
        await server.PostAsync("/v1/customers", new { name = "late" });
        await server.PostAsync("/v1/subscriptions",
            new { customer = "late", plan = "all", start_at = "2026-01-10T00:00:00Z" });
        Assert.Equal("1", await JobsAsync(server));
    }

    [Fact]
    public async Task B9_a_counter_goes_on_when_all_that_is_around_it_is_made_again_and_after_a_restart()
    {
        const string plan = "  by-operation: { operations: [data, premium], limits: [5/day by operation, 9/day by key] }\n";
        var before = File.Replace("plans:\n", "plans:\n" + plan, StringComparison.Ordinal);
        // another API before it, the operations the other way round, the plan last
        var after = File.Replace("apis:\n", "apis:\n  another: { upstream: UPSTREAM, operations: { first: GET /first } }\n",
            StringComparison.Ordinal).Replace("data: GET /data, premium: GET /premium", "premium: GET /premium, data: GET /data",
            StringComparison.Ordinal) + "\n" + plan;
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(before, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "by-operation");
            Assert.Equal((2, 1), (await server.PassAsync("/data", key, 2), await server.PassAsync("/premium", key, 1)));
            using var file = new StringContent(after.Replace("UPSTREAM", upstream.Address, StringComparison.Ordinal));
            using var applied = await server.Admin.PostAsync("/v1/config/apply", file, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, applied.StatusCode);
            Assert.Equal((1, 1), (await server.PassAsync("/data", key, 1), await server.PassAsync("/premium", key, 1)));
        }

        await using var again = await TestServer.StartAsync(after, upstream, folder);
        Assert.Equal((2, 2), (await again.PassAsync("/data", key, 9), await again.PassAsync("/premium", key, 9)));
    }

    [Fact]
    public async Task B12_a_key_that_is_revoked_deleted_or_over_is_refused_on_the_next_call()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("fred", "all");
        var over = (await server.PostAsync("/v1/consumers/fred/keys", new { expires_at = "2026-01-10T12:00:01Z" }))
            .GetProperty("key").GetString()!;
        Assert.Equal(200, await StatusAsync(server, over));
        await server.AdvanceAsync("PT1S");
        Assert.Equal(401, await StatusAsync(server, over));
        foreach (var keys in (string[])["/v1/consumers/fred/keys", "/consumers/fred/key-auth"])
        {
            for (var i = 0; i < 5; i++)
            {
                var made = await server.PostAsync(keys, new { });
                var key = made.GetProperty("key").GetString()!;
                Assert.Equal(200, await StatusAsync(server, key));
                using var gone = await server.Admin.DeleteAsync($"{keys}/{made.GetProperty("id").GetString()}");
                Assert.True(gone.IsSuccessStatusCode, $"{gone.StatusCode}");
                Assert.Equal(401, await StatusAsync(server, key));
            }
        }
    }

    [Fact]
    public async Task B13_a_key_stands_in_no_file_of_the_store_and_is_told_once()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(File, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "all");
            Assert.Equal(200, await StatusAsync(server, key));
            Assert.DoesNotContain(key, await server.TextAsync("/v1/consumers/fred/keys"), StringComparison.Ordinal);
        }

        var secret = System.Text.Encoding.ASCII.GetBytes(key.Split('_')[2]);
        foreach (var file in Directory.EnumerateFiles(folder.Path, "*", SearchOption.AllDirectories))
            Assert.True(System.IO.File.ReadAllBytes(file).AsSpan().IndexOf(secret) < 0, file);
    }

    [Theory]
    [InlineData("//premium")]
    [InlineData("/./premium")]
    [InlineData("/data/../premium")]
    [InlineData("/data/%2e%2e/premium")]
    [InlineData("/data%2F..%2Fpremium")]
    [InlineData("/data%252F..%252Fpremium")]
    [InlineData("/premium;jsessionid=1")]
    [InlineData("/data/..;/premium")]
    [InlineData("/data\\..\\premium")]
    [InlineData("/data/..%5Cpremium")]
    [InlineData("/premium%00")]
    [InlineData("/premium/")]
    [InlineData("/premium/.")]
    [InlineData("/PREMIUM")]
    [InlineData("http://elsewhere/premium")]
    public async Task B14_no_form_of_a_path_passes_a_gate_that_its_plain_form_does_not(string form)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "a-small");
        var call = await RawCall.SendAsync(server.Proxy, $"GET {form} HTTP/1.1\r\nHost: {server.Proxy.Authority}\r\n" +
            $"Connection: close\r\napikey: {key}\r\nX-Original-URL: /premium\r\nX-Rewrite-URL: /premium\r\n\r\n");
        Assert.True(call.Status is 400 or 403 or 404, $"{form}: {call.Status}");
        Assert.Empty(upstream.Seen);
    }

    [Theory]
    [InlineData("get", "", 404)]
    [InlineData("Get", "", 404)]
    [InlineData("POST", "X-HTTP-Method-Override: GET\r\n", 404)]
    [InlineData("OPTIONS", "", 404)]
    [InlineData("HEAD", "", 200)]
    [InlineData("GET", "X-HTTP-Method-Override: DELETE\r\n", 200)]
    public async Task B15_a_method_is_what_it_says_and_HEAD_is_gated_as_GET(string method, string header, int status)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "a-small");
        Task<RawCall> CallAsync(string path) => RawCall.SendAsync(server.Proxy, $"{method} {path} HTTP/1.1\r\n" +
            $"Host: {server.Proxy.Authority}\r\nConnection: close\r\napikey: {key}\r\nContent-Length: 0\r\n{header}\r\n");
        Assert.Equal(status, (await CallAsync("/data")).Status);
        Assert.Equal(status == 200 ? 1 : 0, upstream.Seen.Count);
        Assert.DoesNotContain(upstream.Seen, s => s.Headers.ContainsKey("X-HTTP-Method-Override"));
        Assert.Equal(status == 200 ? 403 : 404, (await CallAsync("/premium")).Status);
    }

    [Fact]
    public async Task B16_plans_that_change_under_load_make_no_wrong_answer_and_lose_no_count()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "all");
        var done = 0;
        var changes = Task.Run(async () =>
        {
            for (var i = 0; i < 40; i++) await server.PostAsync("/v1/consumers", new { username = $"other-{i}" });
            for (var i = 0; i < 20; i++) await server.Node.Publisher.RepublishAsync();
            Volatile.Write(ref done, 1);
        }, TestContext.Current.CancellationToken);
        var calls = 0;
        while (Volatile.Read(ref done) == 0)
        {
            Assert.Equal(200, await StatusAsync(server, key));
            calls++;
        }

        await changes;
        Assert.Equal(calls, await server.UsageAsync());
    }

    [Theory]
    [InlineData("a-small", "z-large", "9")]
    [InlineData("z-large", "a-small", "999")]
    public async Task B17_of_several_subscriptions_the_priority_decides_and_no_name_does(
        string first, string second, string remaining)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", null);
        await server.PostAsync("/v1/subscriptions", new { customer = "fred", plan = second, priority = 1 });
        await server.PostAsync("/v1/subscriptions", new { customer = "fred", plan = first, priority = 2 });
        using var answer = await server.CallAsync("/data", key);
        Assert.Equal(remaining, answer.Headers.GetValues("X-RateLimit-Remaining-Day").Single());
    }

    private static async Task<int> StatusAsync(TestServer server, string key)
    {
        using var answer = await server.CallAsync("/data", key);
        return (int)answer.StatusCode;
    }

    private static async Task SendAsync(TestServer server, string subject)
    {
        using var content = JsonContent.Create(new
        {
            specversion = "1.0", id = "1", source = "test", type = "job.done", subject, time = "2026-01-10T12:00:00Z",
        });
        content.Headers.ContentType = new("application/cloudevents+json");
        using var answer = await server.Admin.PostAsync("/v1/events", content);
        Assert.True(answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.Accepted or HttpStatusCode.NoContent);
    }

    private static async Task<string> JobsAsync(TestServer server)
    {
        await server.Node.Drain.CatchUpAsync();
        return (await server.GetAsync("/v1/usage?meter=jobs")).GetProperty("data").EnumerateArray()
            .Sum(u => long.Parse(u.GetProperty("value").ToString())).ToString();
    }
}
