using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Cost;

/// <summary>What only the answer tells is set aside before: a quota, credit or cap is never exceeded, whatever is under way.
/// </summary>
public sealed class ReserveTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          ai:
            upstream: UPSTREAM
            operations:
              chat: { match: POST /chat, reserve: 400 }
              told: { match: GET /told, reserve: { calls: 5, credits: 1.5 } }
              flow: { match: GET /flow, reserve: 10, overrun: cut }
              say: { match: GET /say, reserve: 10, overrun: cut }
        meters:
          tokens: { aggregation: sum, value: response.body $.tokens, where: { operation: chat } }
          credits: { aggregation: sum, value: response.header, scale: 2, where: { operation: told } }
          egress: { aggregation: sum, value: response.bytes, where: { operation: flow } }
          words: { aggregation: sum, value: response.body $.words, where: { operation: say } }
          disk: { aggregation: sum, value: $.gb, event: disk.used }
        plans:
          quota: { operations: ["*"], quotas: [{ meter: tokens, allowance: 1_000, per: month }] }
          calls: { operations: ["*"], quotas: [{ meter: calls, allowance: 12, per: month }] }
          flows: { operations: ["*"], quotas: [{ meter: egress, allowance: 30, per: month }] }
          words: { operations: ["*"], quotas: [{ meter: words, allowance: 30, per: month }] }
          paid:
            operations: ["*"]
            prices:
              tokens: { meter: tokens, model: per_unit, unit_amount: "0.001" }
              egress: { meter: egress, model: per_unit, unit_amount: "0.1" }
              disk: { meter: disk, model: per_unit, unit_amount: "0.5" }
          free: { operations: ["*"], quotas: [{ meter: tokens, allowance: 100, per: month, overage: bill }] }
        """;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task As_many_calls_are_under_way_as_are_covered_and_what_was_not_used_returns(bool quota)
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(File, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", quota ? "quota" : "paid");
            if (!quota) await SetAsync(server, "prepaid", "1.00");
            var release = new TaskCompletionSource();
            var arrived = 0;
            upstream.Answer = async context =>
            {
                Interlocked.Increment(ref arrived);
                await release.Task;
                await TellAsync(context, 100);
            };
            var calls = Enumerable.Range(0, 12).Select(_ => server.CallAsync("/chat", key, HttpMethod.Post)).ToArray();
            while (calls.Count(c => c.IsCompleted) < 10 || Volatile.Read(ref arrived) < 2)
                await Task.Delay(5, TestContext.Current.CancellationToken);
            Assert.Equal(2, arrived);
            release.SetResult();
            var answers = await Task.WhenAll(calls);
            Assert.Equal(2, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
            Assert.All(answers.Where(a => a.StatusCode != HttpStatusCode.OK), a => Assert.Equal(
                quota ? HttpStatusCode.TooManyRequests : HttpStatusCode.PaymentRequired, a.StatusCode));
            await AllOverAsync(server);
            // a failure gives everything back
            upstream.Answer = c => { c.Response.StatusCode = 502; return Task.CompletedTask; };
            (await server.CallAsync("/chat", key, HttpMethod.Post)).Dispose();
            Assert.Equal("200", await CallCostTests.ValueAsync(server, "tokens"));
        }

        await using var again = await TestServer.StartAsync(File, upstream, folder);
        if (!quota) Assert.Equal("0.8", await AvailableAsync(again));
        // 800 are left: one call of 400 and one of 500, since its last hundred finds no room of its own beyond the 400
        foreach (var tokens in new[] { 400, 500 })
        {
            upstream.Answer = c => TellAsync(c, tokens);
            using var answer = await again.CallAsync("/chat", key, HttpMethod.Post);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        }

        using var refused = await again.CallAsync("/chat", key, HttpMethod.Post);
        Assert.NotEqual(HttpStatusCode.OK, refused.StatusCode);
        Assert.Equal("1000", await CallCostTests.ValueAsync(again, "tokens"));
        Assert.Contains("tollgate_overrun_units_total{meter=\"tokens\"} 100\n", await again.Admin.GetStringAsync("/metrics"),
            StringComparison.Ordinal);
        if (!quota) Assert.Equal("0", await AvailableAsync(again));
    }

    [Theory]
    [InlineData("quota", "prepaid", "0.9")]
    [InlineData("paid", "prepaid", "1.5")]
    [InlineData("paid", "spend_cap", "1.5")]
    public async Task Whatever_many_calls_at_once_cost_the_sum_never_goes_beyond(string plan, string kind, string amount)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", plan);
        if (plan == "paid") await SetAsync(server, kind, amount);
        var random = new Random(7);
        upstream.Answer = async context =>
        {
            int tokens;
            lock (random) tokens = random.Next(0, 900);
            context.Response.StatusCode = tokens % 7 == 0 ? 500 : 200;
            await TellAsync(context, tokens);
        };
        for (var round = 0; round < 6; round++)
            foreach (var answer in await Task.WhenAll(
                Enumerable.Range(0, 20).Select(_ => server.CallAsync("/chat", key, HttpMethod.Post)))) answer.Dispose();
        await AllOverAsync(server);
        var used = decimal.Parse(await CallCostTests.ValueAsync(server, "tokens"), CultureInfo.InvariantCulture);
        var most = plan == "quota" ? 1_000 : 1_500;
        // less than what a call sets aside is left, so nobody was refused without need
        Assert.InRange(used, most - 399, most);
        if (plan == "paid")
            Assert.Equal(1.5m - used / 1000, decimal.Parse(await AvailableAsync(server), CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Calls_and_units_of_a_header_are_set_aside_and_settled_and_headers_are_true()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "calls");
        var remaining = new List<string>();
        foreach (var told in new[] { null, "calls=3", "calls=4", "calls=9" })
        {
            upstream.Answer = context =>
            {
                if (told is not null) context.Response.Headers["Tollgate-Units"] = told;
                return context.Response.WriteAsync("ok");
            };
            using var answer = await server.CallAsync("/told", key);
            remaining.Add($"{(int)answer.StatusCode} {answer.Headers.GetValues("X-RateLimit-Remaining-Month").Single()}");
        }

        // 1, 3 and 4 of 12 are used: 4 are left, and a call sets 5 aside
        Assert.Equal(["200 11", "200 8", "200 4", "429 4"], remaining);
        Assert.Equal(8, await server.UsageAsync());
    }

    [Fact]
    public async Task A_stream_ends_where_its_bytes_have_no_room_and_what_was_delivered_is_billed()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "flows");
        upstream.Answer = async context =>
        {
            for (var i = 0; i < 9 && !context.RequestAborted.IsCancellationRequested; i++)
            {
                await context.Response.WriteAsync("12345678");
                await context.Response.Body.FlushAsync();
                await Task.Delay(20);
            }
        };
        var got = await UntilCutAsync(server, key);
        await AllOverAsync(server);
        Assert.Equal(3, got.Split("12345678").Length - 1);
        Assert.Equal(("24", 1), (await CallCostTests.ValueAsync(server, "egress"), await server.UsageAsync()));
        // six are left and ten must be
        using (var refused = await server.CallAsync("/flow", key))
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        // nothing left the gate yet: the whole call is refused, and costs nothing
        await server.PostAsync("/v1/test_clock", new { now = "2026-02-01T00:00:00Z" });
        upstream.Answer = context => context.Response.WriteAsync(new string('x', 31));
        using var whole = await server.CallAsync("/flow", key);
        var body = JsonDocument.Parse(await whole.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement;
        Assert.Equal((HttpStatusCode.TooManyRequests, "quota_exhausted"), (whole.StatusCode, body.GetProperty("code").GetString()));
        Assert.Equal("24", await CallCostTests.ValueAsync(server, "egress"));
        upstream.Answer = context => context.Response.WriteAsync(new string('x', 30));
        using var fits = await server.CallAsync("/flow", key);
        Assert.Equal(30, (await fits.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Length);
    }

    [Fact]
    public async Task A_stream_that_tells_its_units_ends_where_they_have_no_room_and_what_was_delivered_is_billed()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "words");
        upstream.Answer = async context =>
        {
            context.Response.ContentType = "text/event-stream";
            for (var words = 8; words < 80 && !context.RequestAborted.IsCancellationRequested; words += 8)
            {
                await context.Response.WriteAsync($"data: {{\"words\":{words}}}\n\n");
                await context.Response.Body.FlushAsync();
                await Task.Delay(20);
            }
        };
        var got = await UntilCutAsync(server, key, "/say");
        await AllOverAsync(server);
        Assert.Contains("24", got, StringComparison.Ordinal);
        Assert.DoesNotContain("32", got, StringComparison.Ordinal);
        Assert.Equal("24", await CallCostTests.ValueAsync(server, "words"));
        using var refused = await server.CallAsync("/say", key);
        Assert.Equal("6", refused.Headers.GetValues("X-RateLimit-Remaining-Month").Single());
    }

    [Fact]
    public async Task A_caller_who_goes_away_pays_from_credit_what_was_delivered_and_events_are_paid_from_it_too()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "paid");
        await SetAsync(server, "prepaid", "5");
        upstream.Answer = async context =>
        {
            await context.Response.WriteAsync("12345678");
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        };
        using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            await socket.ConnectAsync(server.Proxy.Host, server.Proxy.Port);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /flow HTTP/1.1\r\nHost: a\r\napikey: {key}\r\n\r\n"));
            var (buffer, seen) = (new byte[4_096], "");
            while (!seen.Contains("12345678", StringComparison.Ordinal))
                seen += Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer));
            // eight of the ten that are set aside at ten cents
            Assert.Equal("4", await AvailableAsync(server));
            socket.LingerState = new LingerOption(true, 0);
        }

        await AllOverAsync(server);
        Assert.Equal("4.2", await AvailableAsync(server));
        await server.PostAsync("/v1/events", new
        {
            specversion = "1.0", id = "1", source = "s", type = "disk.used", subject = "fred", data = new { gb = 3 },
        });
        for (var i = 0; i < 200 && await AvailableAsync(server) != "2.7"; i++)
            await Task.Delay(10, TestContext.Current.CancellationToken);
        Assert.Equal("2.7", await AvailableAsync(server));
    }

    [Fact]
    public async Task Where_nothing_blocks_all_is_billed_and_the_reserve_is_explained()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        upstream.Answer = c => TellAsync(c, 12_345);
        (await server.CallAsync("/chat", key, HttpMethod.Post)).Dispose();
        await AllOverAsync(server);
        Assert.Equal("12345", await CallCostTests.ValueAsync(server, "tokens"));
        var steps = (await server.PostAsync("/v1/explain", new { consumer = "fred", method = "POST", path = "/chat" }))
            .GetProperty("steps").EnumerateArray().Select(s => s.GetProperty("detail").GetString());
        Assert.Contains(steps, s => s!.Contains("sets aside 1 calls, 400 tokens", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Credit_that_pays_for_tokens_is_what_the_invoice_takes_and_not_counted_twice()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "paid");
        await server.PostAsync("/v1/credits", new { customer = "fred", kind = "prepaid", amount = "3.00" });
        upstream.Answer = c => TellAsync(c, 500);
        for (var i = 0; i < 5; i++) (await server.CallAsync("/chat", key, HttpMethod.Post)).Dispose();
        await AllOverAsync(server);
        Assert.Equal("0.5", await AvailableAsync(server));
        await server.AdvanceAsync("P22D");
        var invoice = (await server.GetAsync("/v1/invoices?customer=fred")).GetProperty("data")[0];
        Assert.Equal(("2.50", "0.00"), (invoice.GetProperty("total").GetString(), invoice.GetProperty("amount_due").GetString()));
        Assert.Equal("0.5", await AvailableAsync(server));
        using var next = await server.CallAsync("/chat", key, HttpMethod.Post);
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
        using var refused = await server.CallAsync("/chat", key, HttpMethod.Post);
        Assert.Equal(HttpStatusCode.PaymentRequired, refused.StatusCode);
    }

    [Fact]
    public void A_reserve_that_no_allowance_covers_is_warned_of()
    {
        var read = Tollgate.Config.File.ConfigFileReader.Read(
            File.Replace("UPSTREAM", "http://127.0.0.1:1", StringComparison.Ordinal)
                .Replace("allowance: 1_000", "allowance: 399", StringComparison.Ordinal), "f");
        Assert.True(read.Ok);
        Assert.Equal("reserve_above_allowance", Assert.Single(read.Value.Warnings).Code);
    }

    private static async Task<string> UntilCutAsync(TestServer server, string key, string path = "/flow")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("apikey", key);
        var got = new StringBuilder();
        try
        {
            using var client = new HttpClient { BaseAddress = server.Proxy };
            using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            await using var stream = await answer.Content.ReadAsStreamAsync();
            var buffer = new byte[64];
            for (int read; (read = await stream.ReadAsync(buffer)) > 0;) got.Append(Encoding.ASCII.GetString(buffer, 0, read));
            Assert.Fail("The answer came to a good end.");
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            // it was cut
        }

        return got.ToString();
    }

    private static async Task TellAsync(HttpContext context, int tokens)
    {
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync($$"""{"tokens":{{tokens}}}""");
    }

    private static async Task AllOverAsync(TestServer server)
    {
        while (server.Node.Journal.InFlight > 0) await Task.Delay(5, TestContext.Current.CancellationToken);
    }

    private static async Task SetAsync(TestServer server, string kind, string amount)
    {
        using var answer = await server.Admin.PutAsJsonAsync($"/v1/customers/fred/balances/{kind}", new { amount });
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static async Task<string> AvailableAsync(TestServer server) =>
        (await server.GetAsync("/v1/customers/fred/balances")).GetProperty("data")[0].GetProperty("available").GetString()!;
}
