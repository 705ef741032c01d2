using System.Net;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>A limit of 100 admits 100: not one more, not one fewer, whatever happens at once.</summary>
public sealed class LimitTests
{
    [Fact]
    public async Task Of_130_parallel_calls_in_one_minute_exactly_100_pass()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        await server.AdvanceAsync("PT23S");
        var answers = await Task.WhenAll(Enumerable.Range(0, 130).Select(_ => server.CallAsync("/v1/public/data", key)));
        Assert.Equal(100, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
        Assert.Equal(30, answers.Count(a => a.StatusCode == HttpStatusCode.TooManyRequests));
        Assert.All(answers.Where(a => a.StatusCode == HttpStatusCode.TooManyRequests),
            a => Assert.Equal(TimeSpan.FromSeconds(37), a.Headers.RetryAfter!.Delta));
        Assert.Equal(100, upstream.Seen.Count);
        Assert.Equal(100, await server.UsageAsync());

        // a second too early is refused, the time that was told is not
        await server.AdvanceAsync("PT36S");
        using var early = await server.CallAsync("/v1/public/data", key);
        Assert.Equal(HttpStatusCode.TooManyRequests, early.StatusCode);
        await server.AdvanceAsync("PT1S");
        using var due = await server.CallAsync("/v1/public/data", key);
        Assert.Equal(HttpStatusCode.OK, due.StatusCode);
    }

    [Fact]
    public async Task Every_answer_says_where_the_limit_stands()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        using var first = await server.CallAsync("/v1/public/data", key);
        Assert.Equal("100", Header(first, "X-RateLimit-Limit-Minute"));
        Assert.Equal("99", Header(first, "X-RateLimit-Remaining-Minute"));
        Assert.Equal("100", Header(first, "RateLimit-Limit"));
        Assert.Equal("99", Header(first, "RateLimit-Remaining"));
        Assert.Equal("60", Header(first, "RateLimit-Reset"));
        for (var i = 0; i < 99; i++) (await server.CallAsync("/v1/public/data", key)).Dispose();
        using var refused = await server.CallAsync("/v1/public/data", key);
        Assert.Equal("0", Header(refused, "X-RateLimit-Remaining-Minute"));
        Assert.Equal("60", Header(refused, "Retry-After"));
        var body = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal("API rate limit exceeded", body.GetProperty("message").GetString());
        Assert.Equal("100/minute", body.GetProperty("limit").GetString());
        Assert.Equal(100, body.GetProperty("used").GetInt64());
        Assert.Equal("2026-01-10T12:01:00Z", body.GetProperty("reset_at").GetString());
    }

    [Fact]
    public async Task A_refusal_by_one_limit_takes_nothing_from_the_others()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(
            Yaml.Tiers.Replace("[100/minute]", "[2/second, 5/hour]", StringComparison.Ordinal), upstream);
        var key = await server.SubscribeAsync("fred", "free");
        for (var i = 0; i < 50; i++) (await server.CallAsync("/v1/public/data", key)).Dispose();
        using var refused = await server.CallAsync("/v1/public/data", key);
        Assert.Equal("3", Header(refused, "X-RateLimit-Remaining-Hour"));
        await server.AdvanceAsync("PT1S");
        using var next = await server.CallAsync("/v1/public/data", key);
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
        Assert.Equal("2", Header(next, "X-RateLimit-Remaining-Hour"));
    }

    [Fact]
    public async Task A_clock_that_jumps_back_opens_no_window_again()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        await server.AdvanceAsync("PT5M");
        for (var i = 0; i < 100; i++) (await server.CallAsync("/v1/public/data", key)).Dispose();
        await server.PostAsync("/v1/test_clock", new { now = "2026-01-10T12:04:10Z" });
        using var refused = await server.CallAsync("/v1/public/data", key);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal("110", Header(refused, "Retry-After"));
    }

    [Fact]
    public async Task A_restart_gives_nobody_a_second_window()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        var yaml = Yaml.Tiers.Replace("[100/minute]", "[100/minute, 150/day]", StringComparison.Ordinal);
        string key;
        await using (var first = await TestServer.StartAsync(yaml, upstream, folder))
        {
            key = await first.SubscribeAsync("fred", "free");
            for (var i = 0; i < 60; i++) (await first.CallAsync("/v1/public/data", key)).Dispose();
        }

        await using (var second = await TestServer.StartAsync(yaml, upstream, folder))
        {
            using var answer = await second.CallAsync("/v1/public/data", key);
            Assert.Equal("39", Header(answer, "X-RateLimit-Remaining-Minute"));
            Assert.Equal("89", Header(answer, "X-RateLimit-Remaining-Day"));
        }

        await using var third = await TestServer.StartAsync(yaml, upstream, folder, TestServer.Start.AddMinutes(1));
        using var later = await third.CallAsync("/v1/public/data", key);
        Assert.Equal("99", Header(later, "X-RateLimit-Remaining-Minute"));
        Assert.Equal("88", Header(later, "X-RateLimit-Remaining-Day"));
    }

    [Fact]
    public async Task A_changed_limit_works_on_the_next_call_and_keeps_what_was_used()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var first = await TestServer.StartAsync(Yaml.Tiers, upstream, folder))
        {
            key = await first.SubscribeAsync("fred", "free");
            for (var i = 0; i < 60; i++) (await first.CallAsync("/v1/public/data", key)).Dispose();
        }

        await using var second = await TestServer.StartAsync(
            Yaml.Tiers.Replace("[100/minute]", "[70/minute]", StringComparison.Ordinal), upstream, folder);
        using var answer = await second.CallAsync("/v1/public/data", key);
        Assert.Equal("9", Header(answer, "X-RateLimit-Remaining-Minute"));
    }

    private static string Header(HttpResponseMessage answer, string name) =>
        answer.Headers.TryGetValues(name, out var values) ? values.Single() : "(none)";
}
