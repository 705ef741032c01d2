using System.Globalization;
using System.IO.Compression;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Cost;

/// <summary>What a call costs, from the upstream's word to the usage that is told.</summary>
public sealed class CallCostTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          ai:
            upstream: UPSTREAM
            operations:
              chat: POST /chat
              quote: GET /quote
              predict: { match: POST /predict, weight: 5 }
        meters:
          tokens: { aggregation: sum, value: response.body $.usage.total_tokens, where: { operation: chat } }
          models: { aggregation: unique_count, value: response.body $.model, where: { operation: chat } }
          credits: { aggregation: sum, value: response.header, scale: 2 }
          egress: { aggregation: sum, value: response.bytes, where: { operation: quote } }
          ingress: { aggregation: max, value: request.bytes, where: { operation: predict } }
          gets: { aggregation: count, where: { operation: [quote, chat], method: GET } }
        plans:
          pro: { operations: ["*"], prices: { t: { model: per_unit, meter: tokens, unit_amount: "0.01" } } }
          strict: { operations: ["*"], billable: [2xx, 404] }
        """;

    [Fact]
    public async Task A_call_counts_its_weight_unless_the_upstream_says_another_number()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "pro");
        (await server.CallAsync("/predict", key, HttpMethod.Post)).Dispose();
        Assert.Equal(5, await server.UsageAsync());
        upstream.Answer = async context =>
        {
            context.Response.Headers["Tollgate-Units"] = "calls=2, credits=1.25";
            context.Response.Headers["X-Kong-Limit"] = "credits=3";
            await context.Response.WriteAsync("ok");
        };
        using var answer = await server.CallAsync("/predict", key, HttpMethod.Post);
        Assert.False(answer.Headers.Contains("Tollgate-Units") || answer.Headers.Contains("X-Kong-Limit"));
        Assert.Equal(7, await server.UsageAsync());
        Assert.Equal("3", await ValueAsync(server, "credits"));
    }

    [Theory]
    [InlineData("application/json", 3, "{\"usage\":{\"total_tokens\":7}}", "7")]
    [InlineData("text/event-stream", 3, "data: {\"usage\":{\"total_tokens\":7}}\n\n", "7")]
    [InlineData("application/json", 2, "{\"usage\":{\"total_tokens\":7}}", "0")]
    public async Task A_byte_order_mark_before_a_body_is_no_part_of_it(string type, int bytes, string body, string tokens)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "pro");
        upstream.Answer = async context =>
        {
            context.Response.ContentType = type;
            foreach (var piece in Encoding.UTF8.Preamble[..bytes].ToArray())
            {
                await context.Response.Body.WriteAsync(new[] { piece });
                await context.Response.Body.FlushAsync();
            }

            await context.Response.WriteAsync(body);
        };
        using var answer = await server.CallAsync("/chat", key, HttpMethod.Post);
        Assert.Equal(bytes + body.Length, (await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)).Length);
        Assert.Equal((1, tokens), (await server.UsageAsync(), await ValueAsync(server, "tokens")));
    }

    [Theory]
    [InlineData("tokens=abc, calls=-4, =, nothing=1, credits=1.999")]
    [InlineData("\u00e4\u00f6\u00fc=1")]
    [InlineData("credits=99999999999999999999999999")]
    public async Task Units_that_are_wrong_are_told_in_metrics_and_the_call_counts_as_one(string word)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "pro");
        upstream.Answer = async context =>
        {
            context.Response.Headers["Tollgate-Units"] = Encoding.Latin1.GetString(Encoding.Latin1.GetBytes(word));
            await context.Response.WriteAsync("ok");
        };
        using var answer = await server.CallAsync("/quote", key);
        if ((int)answer.StatusCode == 200) Assert.Equal(1, await server.UsageAsync());
        Assert.Equal("0", await ValueAsync(server, "credits"));
        Assert.Contains("tollgate_units_not_counted_total{reason=", await server.Admin.GetStringAsync("/metrics"),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("application/json", "{\"model\":\"m1\",\"usage\":{\"total_tokens\":350}}", false)]
    [InlineData("application/json; charset=utf-8", "{\"model\":\"m1\",\"usage\":{\"total_tokens\":350}}", true)]
    [InlineData("text/event-stream", "data: {\"usage\":{\"total_tokens\":10}}\n\n" +
        "data: {\"model\":\"m1\",\"usage\":{\"total_tokens\":\"350\"}}\n\ndata: [DONE]\n\n", true)]
    [InlineData("application/x-ndjson", "{\"usage\":{\"total_tokens\":10}}\n{\"model\":\"m1\",\"usage\":{\"total_tokens\":350.0}}\n", true)]
    [InlineData("application/vnd.acme+json", "{\"model\":\"m1\",\"usage\":{\"total_tokens\":3.5e2}}", false)]
    public async Task Units_are_read_out_of_the_body_while_it_passes_unchanged(string type, string body, bool chunked)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "pro");
        upstream.Answer = async context =>
        {
            context.Response.ContentType = type;
            if (!chunked) context.Response.ContentLength = body.Length;
            foreach (var piece in body.Chunk(7))
            {
                await context.Response.WriteAsync(new string(piece));
                await context.Response.Body.FlushAsync();
            }
        };
        for (var i = 0; i < 2; i++)
        {
            using var answer = await server.CallAsync("/chat", key, HttpMethod.Post);
            Assert.Equal(body, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        Assert.Equal(("700", "1", 2), (
            await ValueAsync(server, "tokens"), await ValueAsync(server, "models"), await server.UsageAsync()));
        Assert.Equal("identity", upstream.Seen.First().Headers["Accept-Encoding"]);
    }

    [Fact]
    public async Task A_body_that_cannot_be_read_counts_nothing_on_its_meter_and_is_told_why()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "pro");
        var kinds = new (string Type, string? Encoding, byte[] Body)[]
        {
            ("application/json", "gzip", Gzip("{\"usage\":{\"total_tokens\":350}}")),
            ("application/octet-stream", null, [0, 255, 0]),
            ("application/json", null, "{\"usage\":{\"total_tokens\":"u8.ToArray()),
            ("application/json", null, "{\"usage\":{\"total_tokens\":-1}}"u8.ToArray()),
            ("text/event-stream", null, "data: nothing\n\n"u8.ToArray()),
        };
        foreach (var (type, encoding, body) in kinds)
        {
            upstream.Answer = async context =>
            {
                context.Response.ContentType = type;
                if (encoding is not null) context.Response.Headers.ContentEncoding = encoding;
                await context.Response.Body.WriteAsync(body);
            };
            using var answer = await server.CallAsync("/chat", key, HttpMethod.Post);
            Assert.Equal(body, await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        }

        Assert.Equal(("0", kinds.Length), (await ValueAsync(server, "tokens"), await server.UsageAsync()));
        var metrics = await server.Admin.GetStringAsync("/metrics");
        foreach (var reason in new[] { "compressed", "content_type", "missing", "number" })
            Assert.DoesNotContain($"not_counted_total{{reason=\"{reason}\"}} 0\n", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_who_goes_away_in_the_middle_pays_what_was_delivered()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "pro");
        var gone = new TaskCompletionSource();
        upstream.Answer = async context =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.WriteAsync("data: {\"usage\":{\"total_tokens\":40}}\n\n");
            await context.Response.Body.FlushAsync();
            await gone.Task;
            try
            {
                // what nobody hears is not paid
                for (var i = 0; i < 50 && !context.RequestAborted.IsCancellationRequested; i++)
                {
                    await Task.Delay(20, context.RequestAborted);
                    await context.Response.WriteAsync(": wait\n\n");
                    await context.Response.Body.FlushAsync();
                }

                await context.Response.WriteAsync("data: {\"usage\":{\"total_tokens\":9999}}\n\n");
            }
            catch (OperationCanceledException)
            {
                // the gate closed the connection
            }
        };
        using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            await socket.ConnectAsync(server.Proxy.Host, server.Proxy.Port);
            await socket.SendAsync(Encoding.ASCII.GetBytes(
                $"POST /chat HTTP/1.1\r\nHost: a\r\napikey: {key}\r\nContent-Length: 0\r\n\r\n"));
            var buffer = new byte[4_096];
            var seen = "";
            while (!seen.Contains("40}}", StringComparison.Ordinal))
                seen += Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer));
            socket.LingerState = new LingerOption(true, 0);
        }

        gone.SetResult();
        for (var i = 0; i < 200 && await server.UsageAsync() == 0; i++)
            await Task.Delay(25, TestContext.Current.CancellationToken);
        Assert.Equal(("40", 1), (await ValueAsync(server, "tokens"), await server.UsageAsync()));
    }

    [Fact]
    public async Task Bytes_and_methods_are_counted_where_a_meter_asks_for_them()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "pro");
        upstream.Answer = context => context.Response.WriteAsync(new string('x', 70_000));
        (await server.CallAsync("/quote", key)).Dispose();
        (await server.CallAsync("/quote", key)).Dispose();
        foreach (var size in new[] { 10, 50_000, 300 })
        {
            using var client = new HttpClient();
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.Proxy, "/predict"))
            {
                Content = new StringContent(new string('y', size)),
            };
            request.Headers.Add("apikey", key);
            request.Headers.TransferEncodingChunked = size == 300;
            upstream.Answer = async context =>
            {
                await context.Request.Body.CopyToAsync(Stream.Null);
                await context.Response.WriteAsync("ok");
            };
            (await client.SendAsync(request, TestContext.Current.CancellationToken)).Dispose();
        }

        Assert.Equal(("140000", "50000", "2"), (
            await ValueAsync(server, "egress"), await ValueAsync(server, "ingress"), await ValueAsync(server, "gets")));
    }

    [Theory]
    [InlineData("pro", 200, 1, "7")]
    [InlineData("pro", 404, 1, "7")]
    [InlineData("pro", 503, 0, "0")]
    [InlineData("strict", 200, 1, "7")]
    [InlineData("strict", 404, 1, "7")]
    [InlineData("strict", 302, 0, "0")]
    [InlineData("strict", 422, 0, "0")]
    public async Task Which_answers_are_billed_is_the_plans_choice(string plan, int status, int calls, string tokens)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", plan);
        upstream.Answer = async context =>
        {
            context.Response.StatusCode = status;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync("{\"usage\":{\"total_tokens\":7}}");
        };
        using var answer = await server.CallAsync("/chat", key, HttpMethod.Post);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal((calls, tokens), (await server.UsageAsync(), await ValueAsync(server, "tokens")));
    }

    internal static async Task<string> ValueAsync(TestServer server, string meter)
    {
        var data = (await server.GetAsync($"/v1/usage?meter={meter}")).GetProperty("data");
        if (data.GetArrayLength() == 0) return "0";
        var value = decimal.Parse(data[0].GetProperty("value").GetString()!, CultureInfo.InvariantCulture);
        return value.ToString("0.#########", CultureInfo.InvariantCulture);
    }

    private static byte[] Gzip(string text)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest)) gzip.Write(Encoding.UTF8.GetBytes(text));
        return packed.ToArray();
    }
}
