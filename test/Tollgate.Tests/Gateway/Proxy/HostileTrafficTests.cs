using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>Peers that dribble, hang, flood or hang up. Whatever they do, every call that was let in is settled, with what its
/// caller got of it.</summary>
public sealed class HostileTrafficTests
{
    [Fact]
    public async Task Callers_who_stop_in_the_middle_of_their_body_leave_nothing_open_and_pay_nothing()
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = context => context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
        await using var server = await ProxyHost.StartAsync(upstream, "retries: 0", "post: POST /v1/data");
        var key = await server.SubscribeAsync("paul", "pro");
        var callers = new List<TcpClient>();
        for (var i = 0; i < 20; i++)
        {
            var caller = new TcpClient();
            await caller.ConnectAsync(server.Proxy.Host, server.Proxy.Port, TestContext.Current.CancellationToken);
            await WriteAsync(caller, $"POST /v1/data HTTP/1.1\r\nHost: x\r\napikey: {key}\r\nContent-Length: 1000\r\n\r\nhalf");
            callers.Add(caller);
        }

        await UntilAsync(() => server.Node.Journal.InFlight == 20);
        foreach (var caller in callers) caller.Dispose();
        await server.NothingIsOpenAsync();
        Assert.Equal(0, await server.UsageAsync());
    }

    [Fact]
    public async Task Callers_who_dribble_their_headers_are_no_calls_yet()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await ProxyHost.StartAsync(upstream, "retries: 0");
        var key = await server.SubscribeAsync("paul", "pro");
        var callers = new List<TcpClient>();
        for (var i = 0; i < 50; i++)
        {
            var caller = new TcpClient();
            await caller.ConnectAsync(server.Proxy.Host, server.Proxy.Port, TestContext.Current.CancellationToken);
            await WriteAsync(caller, $"GET /v1/data HTTP/1.1\r\nHost: x\r\napikey: {key}\r\nX-Slow: a");
            callers.Add(caller);
        }

        Assert.Equal(HttpStatusCode.OK, (await server.CallAsync("/v1/data", key)).StatusCode);
        Assert.Equal(1, await server.UsageAsync());
        Assert.Equal(0, server.Node.Journal.InFlight);
        foreach (var caller in callers) caller.Dispose();
    }

    [Fact]
    public async Task A_flood_of_unknown_keys_is_written_nowhere_and_names_no_metric()
    {
        const int Calls = 2_000;
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await ProxyHost.StartAsync(
            upstream, "jwt: { issuer: \"https://a\", audience: b, secret_env: PATH, algorithms: [HS256] }");
        var key = await server.SubscribeAsync("paul", "pro");
        await FloodAsync(50);
        var (records, metrics) = (server.Node.Journal.NextSequence, await MetricsAsync());
        await FloodAsync(Calls);
        Assert.Equal(records, server.Node.Journal.NextSequence);
        Assert.Equal(metrics, await MetricsAsync());
        Assert.Equal(HttpStatusCode.OK, (await server.CallAsync("/v1/data", key)).StatusCode);
        Assert.Single(upstream.Seen);
        Assert.Equal(1, await server.UsageAsync());

        async Task<string[]> MetricsAsync() => [.. (await server.Admin.GetStringAsync("/metrics", TestContext.Current.CancellationToken))
            .Split('\n').Where(l => l.StartsWith("tollgate_refusals", StringComparison.Ordinal)
                || l.StartsWith("api_", StringComparison.Ordinal)).Select(l => l.Split(' ')[0])];

        async Task FloodAsync(int calls)
        {
            using var caller = new TcpClient();
            await caller.ConnectAsync(server.Proxy.Host, server.Proxy.Port, TestContext.Current.CancellationToken);
            using var answers = new StreamReader(caller.GetStream());
            for (var i = 0; i < calls; i++)
            {
                var (secret, last) = (Guid.NewGuid().ToString("N"), i == calls - 1);
                await WriteAsync(caller, $"GET /v1/data?n={secret} HTTP/1.1\r\nHost: {secret}.test\r\n" +
                    (i % 3 == 0 ? $"Authorization: Bearer {secret}.{secret}.{secret}\r\n" : $"apikey: {secret}{secret}\r\n") +
                    (last ? "Connection: close\r\n\r\n" : "\r\n"));
                if (!last && i % 50 != 49) continue;
                for (var due = last ? i % 50 + 1 : 50; due > 0;)
                {
                    var line = await answers.ReadLineAsync(TestContext.Current.CancellationToken);
                    Assert.NotNull(line);
                    // a body has no end of line
                    if (line.EndsWith("HTTP/1.1 401 Unauthorized", StringComparison.Ordinal)) due--;
                }
            }
        }
    }

    [Theory]
    [InlineData("flood of headers", 0)]
    [InlineData("one endless header", 0)]
    [InlineData("100 forever", 0)]
    [InlineData("closes inside the body", 1)]
    [InlineData("garbage after the chunk", 1)]
    public async Task An_upstream_that_misbehaves_costs_a_bounded_amount_of_everything(string how, int billed)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync(listener, how);
        await using var server = await ProxyHost.StartAsync(null,
            $"upstream: http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}\ntimeouts: {{ total: 2s }}");
        var key = await server.SubscribeAsync("paul", "pro");
        if (billed == 1)
        {
            // its status was sent; its caller sees that the rest is missing
            await Assert.ThrowsAsync<HttpRequestException>(() => server.CallAsync("/v1/data", key));
        }
        else
        {
            using var answer = await server.CallAsync("/v1/data", key);
            Assert.Contains((int)answer.StatusCode, (int[])(how == "100 forever" ? [502, 504] : [502]));
        }

        await server.NothingIsOpenAsync();
        Assert.Equal(billed, await server.UsageAsync());
        listener.Stop();
        await serving;
    }

    [Fact]
    public async Task Of_a_hundred_streams_at_once_half_given_up_each_is_one_call_and_none_stays_open()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var go = new TaskCompletionSource();
        upstream.Answer = async context =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.WriteAsync("data: one\n\n");
            await context.Response.Body.FlushAsync();
            await go.Task.WaitAsync(context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            if (!context.RequestAborted.IsCancellationRequested) await context.Response.WriteAsync("data: two\n\n");
        };
        await using var server = await ProxyHost.StartAsync(upstream, "retries: 0");
        var key = await server.SubscribeAsync("paul", "pro");
        using var client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 200 });
        var token = TestContext.Current.CancellationToken;
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => client.SendAsync(
            server.Request("/v1/data", key), HttpCompletionOption.ResponseHeadersRead, token)));
        foreach (var answer in answers.Take(50)) answer.Dispose();
        go.SetResult();
        foreach (var answer in answers.Skip(50))
            Assert.EndsWith("data: two\n\n", await answer.Content.ReadAsStringAsync(token), StringComparison.Ordinal);
        await server.NothingIsOpenAsync();
        Assert.Equal(100, await server.UsageAsync());
    }

    [Theory]
    [InlineData(900, 10, 200)]
    [InlineData(1_100, 10, 414)]
    [InlineData(10, 1_900, 200)]
    [InlineData(10, 2_100, 431)]
    public async Task What_is_longer_than_the_settings_say_is_no_request(int target, int header, int status)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await ProxyHost.StartAsync(upstream, "retries: 0",
            change: o => o with { MaxTargetBytes = 1_024, MaxHeaderBytes = 2_048 });
        var key = await server.SubscribeAsync("paul", "pro");
        var got = await RawCall.SendAsync(server.Proxy, $"GET /v1/data?{new string('q', target)} HTTP/1.1\r\nHost: x\r\n" +
            $"apikey: {key}\r\nConnection: close\r\nX: {new string('h', header)}\r\n\r\n");
        Assert.Equal(status, got.Status);
        Assert.Equal(status == 200 ? 1 : 0, upstream.Seen.Count);
    }

    private static async Task ServeAsync(TcpListener listener, string how)
    {
        try
        {
            while (true)
            {
                using var client = await listener.AcceptTcpClientAsync();
                await AnswerAsync(client.GetStream(), how);
            }
        }
        catch (Exception e) when (e is SocketException or InvalidOperationException)
        {
            // the test is over: the listener is stopped, before or while it waits
        }
    }

    private static async Task AnswerAsync(NetworkStream stream, string how)
    {
        await stream.ReadAtLeastAsync(new byte[16_384], 1);
        try
        {
            switch (how)
            {
                case "flood of headers":
                    await WriteAsync(stream, "HTTP/1.1 200 OK\r\n");
                    for (var i = 0; i < 100_000; i++) await WriteAsync(stream, $"X-{i}: {new string('a', 100)}\r\n");
                    break;
                case "one endless header":
                    await WriteAsync(stream, "HTTP/1.1 200 OK\r\nX: ");
                    for (var i = 0; i < 10_000; i++) await WriteAsync(stream, new string('a', 1_000));
                    break;
                case "100 forever":
                    for (var i = 0; i < 1_000_000; i++) await WriteAsync(stream, "HTTP/1.1 100 Continue\r\n\r\n");
                    break;
                case "closes inside the body":
                    await WriteAsync(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                    await WaitAsync();
                    break;
                default:
                    await WriteAsync(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
                    await WaitAsync();
                    await WriteAsync(stream, "ZZZZ\r\n");
                    break;
            }
        }
        catch (IOException)
        {
            // the gate has hung up, as it should
        }

        // so that what was sent before has gone on by itself
        static Task WaitAsync() => Task.Delay(200, TestContext.Current.CancellationToken);
    }

    private static Task WriteAsync(TcpClient client, string text) => WriteAsync(client.GetStream(), text);

    private static Task WriteAsync(NetworkStream stream, string text) => stream.WriteAsync(Encoding.Latin1.GetBytes(text)).AsTask();

    private static async Task UntilAsync(Func<bool> what)
    {
        for (var i = 0; i < 300 && !what(); i++) await Task.Delay(10, TestContext.Current.CancellationToken);
        Assert.True(what());
    }
}
