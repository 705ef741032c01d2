using System.Text;
using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Cost;

/// <summary>An answer of hours is paid for while it goes on.</summary>
public sealed class LongAnswerTests
{
    private const string Piece = "ten bytes.";

    private const string File = """
        version: 1
        currency: USD
        apis: { ai: { upstream: UPSTREAM, operations: { watch: GET /watch } } }
        meters: { egress: { aggregation: sum, value: response.bytes } }
        plans: { pro: { operations: ["*"], prices: { e: { model: per_unit, meter: egress, unit_amount: "0.01" } } } }
        """;

    [Fact]
    public async Task A_long_answer_settles_in_parts_once_a_minute_and_the_call_when_it_ends()
    {
        using var next = new SemaphoreSlim(0);
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = async context =>
        {
            for (var i = 0; i < 5; i++)
            {
                await context.Response.WriteAsync(Piece);
                await context.Response.Body.FlushAsync();
                await next.WaitAsync(context.RequestAborted);
            }
        };
        var clock = new ClockAhead();
        await using var server = await TestServer.StartAsync(File, upstream, machine: clock);
        var key = await server.SubscribeAsync("fred", "pro");
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(server.Proxy, "/watch"));
        request.Headers.Add("apikey", key);
        using var client = new HttpClient();
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        await using var body = await answer.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        await PieceAsync();
        next.Release();
        await PieceAsync();
        Assert.Equal("0", await EgressAsync());
        clock.Advance(TimeSpan.FromSeconds(61));
        next.Release();
        await PieceAsync();
        next.Release();
        await PieceAsync();
        // the fourth has come, so the third is dealt with, if not the second: the minute is over with one of them
        var part = await EgressAsync();
        Assert.Contains(part, (string[])["20", "30"]);
        next.Release();
        await PieceAsync();
        Assert.Equal((0, part), (await server.UsageAsync(), await EgressAsync()));
        next.Release();
        Assert.Equal(0, await body.ReadAsync(new byte[1], TestContext.Current.CancellationToken));
        Assert.Equal((1, "50"), (await server.UsageAsync(), await EgressAsync()));

        async Task PieceAsync()
        {
            var piece = new byte[Piece.Length];
            await body.ReadExactlyAsync(piece, TestContext.Current.CancellationToken);
            Assert.Equal(Piece, Encoding.ASCII.GetString(piece));
        }

        async Task<string> EgressAsync() => (await server.GetAsync("/v1/usage?meter=egress")).GetProperty("data").EnumerateArray()
            .Select(row => row.GetProperty("value").GetString()!).SingleOrDefault() ?? "0";
    }
}
