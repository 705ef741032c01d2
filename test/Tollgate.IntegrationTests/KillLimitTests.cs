using System.Net;
using Microsoft.AspNetCore.Http;

namespace Tollgate.IntegrationTests;

/// <summary>Windows that slide, buckets and calls at a time, after <c>kill -9</c>: nobody gets one call more or fewer. Business
/// time stands still, so what is left is one number.</summary>
public sealed class KillLimitTests
{
    private const string Clock = "2026-01-10T12:00:00Z";

    [Theory]
    [InlineData("100/minute sliding", 100)]
    [InlineData("{ limit: 60, per: minute, window: bucket, burst: 60 }", 60)]
    [InlineData("90/minute sliding by key", 90)]
    [InlineData("{ limit: 60, per: minute, window: bucket, burst: 50, by: customer }", 50)]
    [InlineData("100/minute sliding by operation", 100)]
    public async Task What_is_left_of_a_limit_after_kill_9_is_what_was_left_before(string limit, int most)
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = await WriteAsync(folder, upstream, limit);
        string key;
        using (var server = await StartAsync(folder, file))
        {
            key = await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            Assert.Equal(30, await Setup.CallAsync(server.Proxy, "/api/v1/data", key, 30));
            await server.KillAsync();
        }

        using (var second = await StartAsync(folder, file))
        {
            Assert.Equal(10, await Setup.CallAsync(second.Proxy, "/api/v1/data", key, 10));
            await second.KillAsync();
        }

        using var third = await StartAsync(folder, file);
        Assert.Equal(most - 40, await Setup.CallAsync(third.Proxy, "/api/v1/data", key, 100));
        Assert.Equal(0, await Setup.CallAsync(third.Proxy, "/api/v1/data", key, 5));
        Assert.Equal(most, await Setup.UsageAsync(third.Admin));
    }

    [Theory]
    [InlineData("400/minute sliding")]
    [InlineData("{ limit: 400, per: minute, window: bucket, burst: 400 }")]
    public async Task Killed_under_load_what_was_admitted_is_counted_and_the_rest_is_left(string limit)
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = await WriteAsync(folder, upstream, limit);
        var enough = new TaskCompletionSource();
        var seen = 0;
        upstream.Answer = context =>
        {
            if (Interlocked.Increment(ref seen) == 120) enough.SetResult();
            return context.Response.WriteAsync("{}");
        };
        string key;
        using (var server = await StartAsync(folder, file))
        {
            key = await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            var load = Enumerable.Range(0, 8).Select(_ => Setup.CallUntilBrokenAsync(server.Proxy, "/api/v1/data", key)).ToArray();
            await enough.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
            await server.KillAsync();
            await Task.WhenAll(load);
        }

        using var again = await StartAsync(folder, file);
        await Setup.UsageAsync(again.Admin);
        var admitted = await Setup.AdmittedAsync(again.Admin);
        Assert.InRange(admitted, 120, 399);
        Assert.Equal(400 - admitted, await Setup.CallAsync(again.Proxy, "/api/v1/data", key, 400));
    }

    [Fact]
    public async Task Calls_at_a_time_end_with_the_process_and_their_places_are_free_again()
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = await WriteAsync(folder, upstream, "3 concurrent");
        var (open, arrived) = (new TaskCompletionSource(), 0);
        upstream.Answer = async context =>
        {
            Interlocked.Increment(ref arrived);
            await open.Task.WaitAsync(context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        };
        string key;
        using (var server = await StartAsync(folder, file))
        {
            key = await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            await FillAsync(server, key, killed: true);
        }

        Volatile.Write(ref arrived, 0);
        using var again = await StartAsync(folder, file);
        await FillAsync(again, key, killed: false);

        // three calls hang, a fourth is refused
        async Task FillAsync(ServerProcess server, string caller, bool killed)
        {
            using var client = new HttpClient { BaseAddress = server.Proxy };
            client.DefaultRequestHeaders.Add("apikey", caller);
            var calls = Enumerable.Range(0, 3).Select(_ => client.GetAsync("/api/v1/data")).ToArray();
            for (var i = 0; i < 500 && Volatile.Read(ref arrived) < 3; i++)
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
            Assert.Equal(3, Volatile.Read(ref arrived));
            using (var fourth = await client.GetAsync("/api/v1/data")) Assert.Equal(HttpStatusCode.TooManyRequests, fourth.StatusCode);
            if (killed) await server.KillAsync();
            else open.SetResult();
            foreach (var call in calls)
                if (killed) await Assert.ThrowsAsync<HttpRequestException>(() => call);
                else Assert.Equal(HttpStatusCode.OK, (await call).StatusCode);
        }
    }

    private static Task<ServerProcess> StartAsync(TempFolder folder, string file) =>
        ServerProcess.StartAsync(folder.Of("data"), "--config", file, "--test-clock", Clock);

    private static Task<string> WriteAsync(TempFolder folder, Upstream upstream, string limit) => Setup.WriteAsync(folder, $$"""
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations: { data: GET /api/v1/data }
        plans:
          metered: { operations: [data], limits: [{{limit}}] }
        """, upstream);
}
