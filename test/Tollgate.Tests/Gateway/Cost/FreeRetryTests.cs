using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;
using Tollgate.Gateway;
using Tollgate.Gateway.Cost;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Cost;

/// <summary>Whoever paid for an answer that broke off gets it again for nothing, and nobody gets anything else so.</summary>
public sealed class FreeRetryTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          ai:
            upstream: UPSTREAM
            operations:
              chat: { match: "POST /chat", free_retries: 3 }
              read: { match: "GET /read/{id}", free_retries: 1, weight: 2 }
              plain: POST /plain
        meters:
          tokens: { aggregation: sum, value: response.body $.tokens, where: { operation: chat } }
        plans:
          open: { operations: ["*"] }
          one: { operations: ["*"], quotas: [{ meter: calls, allowance: 2, per: month }] }
          paid: { operations: ["*"], prices: { c: { model: per_unit, meter: calls, unit_amount: "0.01" } } }
        """;

    [Fact]
    public async Task A_broken_answer_is_repeated_for_nothing_three_times_and_then_costs_again()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "open");
        for (var i = 0; i < 5; i++)
        {
            await BreakAsync(server, upstream, Post("/chat", key, "k1", "hello"));
            // the first, then three for nothing, then another that costs
            Assert.Equal(i < 4 ? 1 : 2, await server.UsageAsync());
        }

        Works(upstream);
        var calls = await server.UsageAsync();
        using var whole = await SendAsync(server, "/chat", key, "k1", "hello");
        Assert.Equal((HttpStatusCode.OK, calls), (whole.StatusCode, await server.UsageAsync()));
        // what was delivered is over: the same call again is a new one
        using var again = await SendAsync(server, "/chat", key, "k1", "hello");
        Assert.Equal(calls + 1, await server.UsageAsync());
        Assert.Contains("tollgate_free_retries_total 4\n", await server.Admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
        // of meters too only what was billed counts
        Assert.Equal("1", await CallCostTests.ValueAsync(server, "tokens"));
        Assert.All(upstream.Seen, s => Assert.Equal("k1", s.Headers["Idempotency-Key"]));
    }

    [Theory]
    [InlineData("/chat", "k1", "hello!")]
    [InlineData("/chat", "k1", "")]
    [InlineData("/chat", "k2", "hello")]
    [InlineData("/chat", "K1", "hello")]
    [InlineData("/chat?x=1", "k1", "hello")]
    [InlineData("/chat", null, "hello")]
    [InlineData("/plain", "k1", "hello")]
    public async Task Another_body_key_target_or_operation_costs(string path, string? repeat, string body)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "open");
        var other = await server.SubscribeAsync("mary", "open");
        await BreakAsync(server, upstream, Post("/chat", key, "k1", "hello"));
        Works(upstream);
        (await SendAsync(server, path, key, repeat, body)).Dispose();
        (await SendAsync(server, "/chat", other, "k1", "hello")).Dispose();
        Assert.Equal(3, await server.UsageAsync());
    }

    [Fact]
    public async Task An_operation_that_does_not_say_so_and_a_whole_answer_are_billed_each_time()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "open");
        await BreakAsync(server, upstream, Post("/plain", key, "k1", "hello"));
        Works(upstream);
        (await SendAsync(server, "/plain", key, "k1", "hello")).Dispose();
        (await SendAsync(server, "/chat", key, "k1", "hello")).Dispose();
        (await SendAsync(server, "/chat", key, "k1", "hello")).Dispose();
        // at the same moment: none of them is the repetition of a broken one
        var both = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => SendAsync(server, "/chat", key, "k3", "hello")));
        Assert.All(both, b => Assert.Equal(HttpStatusCode.OK, b.StatusCode));
        Assert.Equal(10, await server.UsageAsync());
    }

    [Fact]
    public async Task A_repetition_that_is_not_billed_anyway_uses_none_up()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "open");
        await BreakAsync(server, upstream, Get("/read/7", key, "k1"));
        upstream.Answer = c => { c.Response.StatusCode = 503; return Task.CompletedTask; };
        for (var i = 0; i < 4; i++) (await SendAsync(server, "/read/7", key, "k1")).Dispose();
        Works(upstream);
        Assert.Equal(2, await server.UsageAsync());
        (await SendAsync(server, "/read/8", key, "k1")).Dispose();
        Assert.Equal(4, await server.UsageAsync());
        (await SendAsync(server, "/read/7", key, "k1")).Dispose();
        Assert.Equal(4, await server.UsageAsync());
        (await SendAsync(server, "/read/7", key, "k1")).Dispose();
        Assert.Equal(6, await server.UsageAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_the_quota_or_the_credit_is_used_up_a_repetition_passes_and_nothing_else_does(bool quota)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", quota ? "one" : "paid");
        if (!quota)
            (await server.Admin.PutAsync("/v1/customers/fred/balances/prepaid",
                System.Net.Http.Json.JsonContent.Create(new { amount = "0.02" }))).Dispose();
        var refused = quota ? HttpStatusCode.TooManyRequests : HttpStatusCode.PaymentRequired;
        await BreakAsync(server, upstream, Post("/chat", key, "k1", "hello"));
        await BreakAsync(server, upstream, Post("/chat", key, "k2", "hello"));
        Works(upstream);
        using (var other = await SendAsync(server, "/chat", key, "k1", "another")) Assert.Equal(refused, other.StatusCode);
        using (var none = await SendAsync(server, "/chat", key, null, "hello")) Assert.Equal(refused, none.StatusCode);
        using (var free = await SendAsync(server, "/chat", key, "k1", "hello"))
        {
            Assert.Equal(HttpStatusCode.OK, free.StatusCode);
            if (quota) Assert.Equal("0", free.Headers.GetValues("X-RateLimit-Remaining-Month").Single());
            Assert.Equal("/chat hello", upstream.Seen.Last().Target + " " + _last);
        }

        using (var over = await SendAsync(server, "/chat", key, "k1", "hello")) Assert.Equal(refused, over.StatusCode);
        Assert.Equal(2, await server.UsageAsync());
    }

    [Theory]
    [InlineData("Idempotency-Key: k1\r\nIdempotency-Key: k2\r\n")]
    [InlineData("Idempotency-Key:\r\n")]
    [InlineData("Idempotency-Key: LONG\r\n")]
    [InlineData("Idempotency_Key: k1\r\n")]
    public async Task A_key_that_is_none_is_passed_on_and_the_call_costs(string header)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "open");
        var text = header.Replace("LONG", new string('x', 256), StringComparison.Ordinal);
        await BreakAsync(server, upstream, $"GET /read/1 HTTP/1.1\r\nHost: a\r\napikey: {key}\r\n{text}\r\n");
        Works(upstream);
        var answer = await RawCall.SendAsync(server.Proxy,
            $"GET /read/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\napikey: {key}\r\n{text}\r\n");
        Assert.Equal((200, 4), (answer.Status, await server.UsageAsync()));
    }

    [Fact]
    public async Task What_an_operation_says_of_retries_is_explained()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("fred", "open");
        var steps = (await server.PostAsync("/v1/explain", new { consumer = "fred", method = "POST", path = "/chat" }))
            .GetProperty("steps").EnumerateArray().Select(s => s.GetProperty("detail").GetString());
        Assert.Contains(steps, s => s!.Contains("costs nothing, up to 3 times", StringComparison.Ordinal));
    }

    [Fact]
    public void A_broken_call_is_remembered_for_ten_minutes_and_the_oldest_goes_first()
    {
        var clock = new FakeTimeProvider();
        var retries = new FreeRetries(clock, most: 2);
        var (a, b, c) = (Call(1), Call(2), Call(3));
        retries.End(a, delivered: false, 2);
        clock.Advance(FreeRetries.For - TimeSpan.FromSeconds(1));
        Assert.True(retries.TryClaim(Call(1)));
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.False(retries.TryClaim(Call(1)) || retries.Knows(a));
        foreach (var call in new[] { a, b, c }) retries.End(call, delivered: false, 1);
        Assert.Equal((false, true, true), (retries.Knows(a), retries.Knows(b), retries.Knows(c)));
        Parallel.For(0, 100, _ => retries.TryClaim(Call(2)));
        Assert.False(retries.TryClaim(Call(2)));
    }

    private static RepeatableCall Call(int consumer)
    {
        var context = new DefaultHttpContext();
        context.Request.Headers["Idempotency-Key"] = "k";
        var operation = GateSnapshotOf().Match("GET", "/a")!;
        var call = new GateCall { Target = default, Operation = operation, StartedAt = 0, Now = 0 };
        call.Decision.Consumer = new ConsumerEntry(consumer, "", "c", null);
        return RepeatableCall.Of(context.Request, call, hasBody: false)!;
    }

    private static GateSnapshot GateSnapshotOf() => GateSnapshot.Compile(new Tollgate.Config.Published(
        [new Tollgate.Config.PublishedApi
        {
            Id = "api_1", Name = "a", ManagedBy = Tollgate.Config.ManagedBy.Api, Upstream = new Uri("http://127.0.0.1:1"),
            RequiresKey = true, Gated = true, KeyHeaders = [],
            Operations =
            [
                new Tollgate.Config.PublishedOperation
                {
                    Key = 1, Name = "a", Endpoint = "/a", Methods = ["GET"], Template = "/a",
                },
            ],
        }], []));

    private static string? _last;

    private static void Works(TestUpstream upstream) => upstream.Answer = async context =>
    {
        using var reader = new StreamReader(context.Request.Body);
        _last = await reader.ReadToEndAsync();
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync("{\"tokens\":1}");
    };

    private static string Post(string path, string key, string id, string body) =>
        $"POST {path} HTTP/1.1\r\nHost: a\r\napikey: {key}\r\nIdempotency-Key: {id}\r\nContent-Length: {body.Length}\r\n\r\n{body}";

    private static string Get(string path, string key, string id) =>
        $"GET {path} HTTP/1.1\r\nHost: a\r\napikey: {key}\r\nIdempotency-Key: {id}\r\n\r\n";

    private static Task<HttpResponseMessage> SendAsync(TestServer server, string path, string key, string? id, string? body = null)
    {
        var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, path);
        if (body is not null) request.Content = new StringContent(body);
        request.Headers.Add("apikey", key);
        if (id is not null) request.Headers.Add("Idempotency-Key", id);
        return server.SendAsync(request);
    }

    /// <summary>Sends a call, reads the beginning of its answer and goes away; returns when the gate knows.</summary>
    private static async Task BreakAsync(TestServer server, TestUpstream upstream, string request)
    {
        var over = new TaskCompletionSource();
        upstream.Answer = async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            await reader.ReadToEndAsync();
            await context.Response.WriteAsync("begin");
            await context.Response.Body.FlushAsync();
            context.RequestAborted.Register(() => over.TrySetResult());
            await over.Task;
        };
        using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            await socket.ConnectAsync(server.Proxy.Host, server.Proxy.Port);
            await socket.SendAsync(Encoding.ASCII.GetBytes(request));
            var buffer = new byte[4_096];
            var seen = "";
            while (!seen.Contains("begin", StringComparison.Ordinal))
                seen += Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer));
            socket.LingerState = new LingerOption(true, 0);
        }

        await over.Task;
        while (server.Node.Journal.InFlight > 0) await Task.Delay(5, TestContext.Current.CancellationToken);
    }
}
