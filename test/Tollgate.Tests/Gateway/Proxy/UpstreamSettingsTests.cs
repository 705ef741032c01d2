using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>How long an upstream may take, how large a body may be, and which server is asked.</summary>
public sealed class UpstreamSettingsTests
{
    [Theory]
    [InlineData("timeouts: { first_byte: 200ms }", "before", 504)]
    [InlineData("timeouts: { total: 200ms }", "before", 504)]
    [InlineData("timeouts: { idle: 200ms }", "before", 504)]
    [InlineData("timeouts: { first_byte: 200ms }\nretries: 2", "before", 504)]
    [InlineData("timeouts: { first_byte: 250ms }", "after", 200)]
    public async Task An_upstream_that_takes_too_long_is_504_and_costs_nothing(string settings, string when, int status)
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = async context =>
        {
            if (when == "after")
            {
                await context.Response.WriteAsync("begun");
                await context.Response.Body.FlushAsync();
            }

            try { await Task.Delay(when == "after" ? 500 : 5_000, context.RequestAborted); }
            catch (OperationCanceledException) { }
        };
        await using var server = await ProxyHost.StartAsync(upstream, settings);
        var key = await server.SubscribeAsync("paul", "pro");
        using var answer = await server.CallAsync("/v1/data", key);
        Assert.Equal(status, (int)answer.StatusCode);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains(status == 504 ? "upstream_timeout" : "begun", text, StringComparison.Ordinal);
        Assert.Equal(settings.Contains("retries", StringComparison.Ordinal) ? 3 : 1, upstream.Seen.Count);
        await server.NothingIsOpenAsync();
        Assert.Equal(status == 504 ? 0 : 1, await server.UsageAsync());
    }

    [Fact]
    public async Task A_total_time_cuts_an_answer_that_has_begun_and_it_is_billed_as_answered()
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = async context =>
        {
            await context.Response.WriteAsync("begun");
            await context.Response.Body.FlushAsync();
            try { await Task.Delay(5_000, context.RequestAborted); }
            catch (OperationCanceledException) { }
        };
        await using var server = await ProxyHost.StartAsync(upstream, "timeouts: { total: 300ms }");
        var key = await server.SubscribeAsync("paul", "pro");
        await Assert.ThrowsAsync<HttpRequestException>(() => server.CallAsync("/v1/data", key));
        await server.NothingIsOpenAsync();
        Assert.Equal(1, await server.UsageAsync());
    }

    [Theory]
    [InlineData(100, false, 200)]
    [InlineData(101, false, 413)]
    [InlineData(100, true, 200)]
    [InlineData(101, true, 413)]
    [InlineData(200_000, true, 413)]
    public async Task A_body_beyond_the_most_is_413_and_costs_nothing(int bytes, bool chunked, int status)
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = context => context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
        await using var server = await ProxyHost.StartAsync(upstream, "max_body: 100", "post: POST /v1/data");
        var key = await server.SubscribeAsync("paul", "pro");
        var request = server.Request("/v1/data", key, HttpMethod.Post);
        request.Content = new ByteArrayContent(new byte[bytes]);
        request.Headers.TransferEncodingChunked = chunked;
        using var answer = await server.SendAsync(request);
        Assert.Equal(status, (int)answer.StatusCode);
        await server.NothingIsOpenAsync();
        Assert.Equal(status == 200 ? 1 : 0, await server.UsageAsync());
        if (status != 413) return;
        Assert.Contains("Request size limit exceeded",
            await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        if (!chunked) Assert.Empty(upstream.Seen);
        // what a length gives away takes nothing; what had to be read was admitted, and counts against the limit
        using var next = await server.SendAsync(server.Request("/v1/data", key, HttpMethod.Post));
        Assert.Equal(chunked ? "998" : "999", next.Header("X-RateLimit-Remaining-Minute"));
    }

    [Fact]
    public async Task Who_has_no_key_is_told_that_before_the_size_of_the_body()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await ProxyHost.StartAsync(upstream, "max_body: 1", "post: POST /v1/data", "1/minute");
        var key = await server.SubscribeAsync("paul", "pro");
        foreach (var (with, status) in new[] { (null, 401), (key, 413), (key, 413) })
        {
            var request = server.Request("/v1/data", with, HttpMethod.Post);
            request.Content = new StringContent("long");
            using var answer = await server.SendAsync(request);
            Assert.Equal(status, (int)answer.StatusCode);
        }
    }

    [Fact]
    public async Task A_server_that_fails_its_checks_takes_no_calls_until_it_passes_them()
    {
        await using var first = await TestUpstream.StartAsync();
        await using var second = await TestUpstream.StartAsync();
        var well = false;
        first.Answer = context =>
        {
            if (context.Request.Path == "/healthz") context.Response.StatusCode = Volatile.Read(ref well) ? 200 : 500;
            return Task.CompletedTask;
        };
        await using var server = await ProxyHost.StartAsync(null, $$"""
            upstream: [{ url: {{first.Address}} }, { url: {{second.Address}} }]
            health: { path: /healthz, interval: 100ms, timeout: 1s, healthy: 2, unhealthy: 2 }
            """);
        var key = await server.SubscribeAsync("paul", "pro");
        await UntilAsync(async () => await ShareAsync(server, first, key) == 0);
        Volatile.Write(ref well, true);
        await UntilAsync(async () => await ShareAsync(server, first, key) == 2);
        Assert.Contains(second.Seen, s => s.Target == "/healthz" && !s.Headers.ContainsKey("X-Request-Id"));
    }

    [Theory]
    [InlineData("round_robin", 4)]
    [InlineData("weighted", 6)]
    public async Task Turns_are_by_weight_unless_the_file_says_otherwise(string balancing, int expected)
    {
        await using var first = await TestUpstream.StartAsync();
        await using var second = await TestUpstream.StartAsync();
        await using var server = await ProxyHost.StartAsync(null, $$"""
            upstream: [{ url: {{first.Address}}, weight: 3 }, { url: {{second.Address}} }]
            load_balancing: {{balancing}}
            """);
        var key = await server.SubscribeAsync("paul", "pro");
        for (var i = 0; i < 8; i++) (await server.CallAsync("/v1/data", key)).Dispose();
        Assert.Equal((expected, 8 - expected), (first.Seen.Count, second.Seen.Count));
    }

    [Fact]
    public async Task A_server_with_calls_under_way_is_passed_over_by_least_requests()
    {
        await using var slow = await TestUpstream.StartAsync();
        await using var quick = await TestUpstream.StartAsync();
        var go = new TaskCompletionSource();
        slow.Answer = _ => go.Task;
        await using var server = await ProxyHost.StartAsync(null, $$"""
            upstream: [{ url: {{slow.Address}} }, { url: {{quick.Address}} }]
            load_balancing: least_requests
            """);
        var key = await server.SubscribeAsync("paul", "pro");
        var calls = new List<Task<HttpResponseMessage>>();
        while (slow.Seen.IsEmpty)
        {
            calls.Add(server.CallAsync("/v1/data", key));
            await Task.WhenAny(calls[^1], UntilAsync(() => Task.FromResult(!slow.Seen.IsEmpty)));
        }

        for (var i = 0; i < 6; i++) (await server.CallAsync("/v1/data", key)).Dispose();
        Assert.Single(slow.Seen);
        go.SetResult();
        foreach (var call in calls) (await call).Dispose();
    }

    [Fact]
    public async Task By_chance_every_server_takes_some()
    {
        await using var first = await TestUpstream.StartAsync();
        await using var second = await TestUpstream.StartAsync();
        await using var server = await ProxyHost.StartAsync(null,
            $"upstream: [{{ url: {first.Address} }}, {{ url: {second.Address} }}]\nload_balancing: random");
        var key = await server.SubscribeAsync("paul", "pro");
        for (var i = 0; i < 60; i++) (await server.CallAsync("/v1/data", key)).Dispose();
        Assert.True(first.Seen.Count > 5 && second.Seen.Count > 5, $"{first.Seen.Count} and {second.Seen.Count}");
    }

    /// <summary>How many of two calls a server gets.</summary>
    private static async Task<int> ShareAsync(TestServer server, TestUpstream upstream, string key)
    {
        var before = upstream.Seen.Count(s => s.Target == "/v1/data");
        for (var i = 0; i < 4; i++) (await server.CallAsync("/v1/data", key)).Dispose();
        return upstream.Seen.Count(s => s.Target == "/v1/data") - before;
    }

    private static async Task UntilAsync(Func<Task<bool>> what)
    {
        for (var i = 0; i < 200; i++)
        {
            if (await what()) return;
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        Assert.Fail("It never came to be.");
    }
}
