using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Calls at a time are given back in every way in which a call can end.</summary>
public sealed class ConcurrencyTests
{
    private const string File = """
        version: 1
        currency: USD
        headers: [kong, ietf]
        apis:
          m: { upstream: UPSTREAM, operations: { data: GET /data } }
        plans:
          two: { operations: ["*"], limits: [{ concurrent: 2 }, 1000/minute] }
        """;

    [Fact]
    public async Task A_third_call_at_a_time_is_refused_until_one_ends()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "two");
        var (arrived, go) = (new SemaphoreSlim(0), new TaskCompletionSource());
        upstream.Answer = async _ => { arrived.Release(); await go.Task; };
        var held = new[] { server.CallAsync("/data", key), server.CallAsync("/data", key) };
        await arrived.WaitAsync(TestContext.Current.CancellationToken);
        await arrived.WaitAsync(TestContext.Current.CancellationToken);
        using var refused = await server.CallAsync("/data", key);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Null(refused.Headers.RetryAfter);
        var body = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal("concurrency_exceeded", body.GetProperty("code").GetString());
        Assert.Equal("2 concurrent", body.GetProperty("limit").GetString());
        Assert.Equal(["2 concurrent"], body.GetProperty("violated-policies").EnumerateArray().Select(p => p.GetString()!));
        Assert.Contains("\"2 concurrent\";r=0", refused.Headers.GetValues("RateLimit").Single(), StringComparison.Ordinal);
        Assert.Contains("\"1000/minute\";q=1000;w=60", refused.Headers.GetValues("RateLimit-Policy").Single(),
            StringComparison.Ordinal);
        go.SetResult();
        await Task.WhenAll(held);
        upstream.Answer = _ => Task.CompletedTask;
        await AllFreeAsync(server, key);
    }

    [Fact]
    public async Task Failed_broken_and_aborted_calls_give_their_place_back()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "two");
        Func<HttpContext, Task>[] ends =
        [
            c => { c.Response.StatusCode = 500; return Task.CompletedTask; },
            c => { c.Abort(); return Task.CompletedTask; },
            async c => { await c.Response.WriteAsync("begin"); await c.Response.Body.FlushAsync(); c.Abort(); },
        ];
        foreach (var end in ends)
        {
            upstream.Answer = end;
            for (var i = 0; i < 3; i++)
            {
                try
                {
                    (await server.CallAsync("/data", key)).Dispose();
                }
                catch (HttpRequestException)
                {
                    // the answer that breaks off
                }
            }
        }

        // a caller who hangs up
        var arrived = new SemaphoreSlim(0);
        upstream.Answer = async c => { arrived.Release(); await Task.Delay(Timeout.Infinite, c.RequestAborted); };
        using (var impatient = new HttpClient { BaseAddress = server.Proxy })
        {
            using var cancel = new CancellationTokenSource();
            impatient.DefaultRequestHeaders.Add("apikey", key);
            var call = impatient.GetAsync("/data", cancel.Token);
            await arrived.WaitAsync(TestContext.Current.CancellationToken);
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        }

        upstream.Answer = _ => Task.CompletedTask;
        await AllFreeAsync(server, key);
    }

    /// <summary>Both places are free, as soon as the gate has noticed that the calls are over.</summary>
    private static async Task AllFreeAsync(TestServer server, string key)
    {
        for (var tries = 0; ; tries++)
        {
            using var answer = await server.CallAsync("/data", key);
            if (answer.StatusCode == HttpStatusCode.OK
                && answer.Headers.GetValues("RateLimit").Single().Contains("\"2 concurrent\";r=1", StringComparison.Ordinal))
                return;
            Assert.True(tries < 1_000, "A place is still taken.");
            await Task.Yield();
        }
    }
}
