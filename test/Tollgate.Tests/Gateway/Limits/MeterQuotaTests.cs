using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Quotas of meters beside calls, over the whole product: whatever tells the amount, the gate, its headers, the
/// usage API and a restart say one number.</summary>
public sealed class MeterQuotaTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          ai:
            upstream: UPSTREAM
            operations:
              chat: POST /chat
              told: GET /told
              big: GET /big
              other: GET /other
              heavy: { match: GET /heavy, weight: 5 }
        meters:
          tokens: { aggregation: sum, value: response.body $.usage.total_tokens, where: { operation: chat } }
          credits: { aggregation: sum, value: response.header, scale: 2, where: { operation: told } }
          egress: { aggregation: sum, value: response.bytes, where: { operation: big } }
          gets: { aggregation: count, where: { operation: other, method: GET } }
          storage: { aggregation: sum, value: $.gb, event: storage.snapshot, scale: 3 }
        plans:
          tokens: { operations: ["*"], quotas: [{ meter: tokens, allowance: 1_000, per: month }] }
          credits: { operations: ["*"], quotas: [{ meter: credits, allowance: 2.5, per: calendar day }] }
          egress: { operations: ["*"], quotas: [{ meter: egress, allowance: 30, per: month }] }
          gets: { operations: ["*"], quotas: [{ meter: gets, allowance: 2, per: month }] }
          storage: { operations: ["*"], quotas: [{ meter: storage, allowance: 1.5, per: month }] }
          both:
            operations: ["*"]
            quotas: [{ meter: calls, allowance: 8, per: month }, { meter: tokens, allowance: 100, per: month }]
          year:
            operations: ["*"]
            quotas: [{ meter: tokens, allowance: 10, per: month, overage: bill }]
            prices: { t: { model: per_unit, meter: tokens, unit_amount: "1", included: from quota } }
        """;

    [Theory]
    [InlineData("tokens", "/chat", "\"1000 tokens/month\";q=1000;qu=\"tokens\"")]
    [InlineData("egress", "/big", "\"30 egress/month\";q=30;qu=\"content-bytes\"")]
    [InlineData("gets", "/other", "\"2 gets/month\";q=2")]
    [InlineData("both", "/chat", "\"8 calls/month\";q=8, \"100 tokens/month\";q=100;qu=\"tokens\"")]
    public async Task The_headers_of_the_draft_name_the_unit_of_a_quota(string plan, string path, string policy)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(
            File.Replace("currency: USD", "currency: USD\nheaders: [ietf]", StringComparison.Ordinal), upstream);
        var key = await server.SubscribeAsync("fred", plan);
        using var answer = await server.CallAsync(path, key, path == "/chat" ? HttpMethod.Post : HttpMethod.Get);
        Assert.Equal(policy, answer.Headers.GetValues("RateLimit-Policy").Single());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tokens_of_an_answer_use_up_a_quota_of_all_consumers_and_the_usage_api_says_the_same(bool stream)
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        Tokens(upstream, 400, stream);
        string key, other;
        await using (var server = await TestServer.StartAsync(File, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "tokens");
            await server.PostAsync("/v1/consumers", new { username = "second", customer = "fred" });
            other = (await server.PostAsync("/v1/consumers/second/keys", new { })).GetProperty("key").GetString()!;
            // its headers are those of the moment before the answer is read
            Assert.Equal("1000", await RemainingAsync(server, "/chat", key, HttpMethod.Post));
            Assert.Equal("600", await RemainingAsync(server, "/chat", other, HttpMethod.Post));
            Assert.Equal("(none)", await RemainingAsync(server, "/other", key));
            Assert.Equal("800", await UsedAsync(server, "tokens"));
        }

        await using var again = await TestServer.StartAsync(File, upstream, folder, TestServer.Start.AddMinutes(1));
        Assert.Equal("200", await RemainingAsync(again, "/chat", other, HttpMethod.Post));
        using var refused = await again.CallAsync("/chat", key, HttpMethod.Post);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        var body = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal(("1000 tokens/month", "2026-02-01T00:00:00Z"),
            (body.GetProperty("limit").GetString(), body.GetProperty("reset_at").GetString()));
        Assert.Equal("1200", await UsedAsync(again, "tokens"));
        await again.PostAsync("/v1/test_clock", new { now = "2026-02-01T00:00:00Z" });
        Assert.Equal("1000", await RemainingAsync(again, "/chat", key, HttpMethod.Post));
    }

    [Fact]
    public async Task Units_in_a_header_count_with_the_digits_of_the_meter_and_stand_in_the_same_answer()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "credits");
        upstream.Answer = c => { c.Response.Headers["Tollgate-Units"] = "credits=1.25"; return c.Response.WriteAsync("ok"); };
        Assert.Equal("1", await RemainingAsync(server, "/told", key, unit: "Day"));
        upstream.Answer = c =>
        {
            c.Response.StatusCode = 500;
            c.Response.Headers["Tollgate-Units"] = "credits=1.25";
            return Task.CompletedTask;
        };
        Assert.Equal("1", await RemainingAsync(server, "/told", key, unit: "Day"));
        upstream.Answer = c => { c.Response.Headers["Tollgate-Units"] = "credits=1.24"; return c.Response.WriteAsync("ok"); };
        Assert.Equal("0", await RemainingAsync(server, "/told", key, unit: "Day"));
        // a hundredth is left: a call whose cost nobody knows passes, the next one not
        Assert.Equal("0", await RemainingAsync(server, "/told", key, unit: "Day"));
        using var refused = await server.CallAsync("/told", key);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        var body = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal(("2.5 credits/day", 3.73m), (body.GetProperty("limit").GetString(), body.GetProperty("used").GetDecimal()));
        Assert.Equal("3.73", await UsedAsync(server, "credits"));
    }

    [Fact]
    public async Task Bytes_and_counts_of_calls_use_up_their_quotas()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "egress");
        upstream.Answer = c => c.Response.WriteAsync(new string('x', 20));
        Assert.Equal("30", await RemainingAsync(server, "/big", key));
        Assert.Equal("10", await RemainingAsync(server, "/big", key));
        Assert.Equal(429, (int)(await server.CallAsync("/big", key)).StatusCode);
        Assert.Equal("40", await UsedAsync(server, "egress"));
        var counting = await server.SubscribeAsync("ginger", "gets");
        Assert.Equal("1", await RemainingAsync(server, "/other", counting));
        Assert.Equal("0", await RemainingAsync(server, "/other", counting));
        Assert.Equal(429, (int)(await server.CallAsync("/other", counting)).StatusCode);
    }

    [Fact]
    public async Task Events_use_up_a_quota_and_then_every_call_is_refused()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(File, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "storage");
            Assert.Equal("1", await RemainingAsync(server, "/other", key));
            await StoreAsync(server, "1", "0.499");
            Assert.Equal("0.499", await UsedAsync(server, "storage"));
            Assert.Equal("1", await RemainingAsync(server, "/other", key));
            await StoreAsync(server, "2", "1.001");
            await StoreAsync(server, "2", "1.001");
            Assert.Equal("1.5", await UsedAsync(server, "storage"));
            Assert.Equal(429, (int)(await server.CallAsync("/other", key)).StatusCode);
        }

        await using var again = await TestServer.StartAsync(File, upstream, folder, TestServer.Start.AddMinutes(1));
        Assert.Equal(429, (int)(await again.CallAsync("/other", key)).StatusCode);
    }

    [Fact]
    public async Task A_call_that_one_quota_refuses_takes_nothing_of_the_other_and_an_override_goes_on_from_what_was_used()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "both");
        Tokens(upstream, 100, false);
        using (var first = await server.CallAsync("/chat", key, HttpMethod.Post))
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        for (var i = 0; i < 5; i++)
            Assert.Equal(429, (int)(await server.CallAsync("/chat", key, HttpMethod.Post)).StatusCode);
        Assert.Equal("2", await RemainingAsync(server, "/heavy", key));
        var id = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0].GetProperty("id").GetString();
        using var put = await server.Admin.PutAsJsonAsync($"/v1/subscriptions/{id}/overrides",
            new { allowances = new { tokens = 350 } });
        Assert.True(put.IsSuccessStatusCode, await put.Content.ReadAsStringAsync());
        using (var more = await server.CallAsync("/chat", key, HttpMethod.Post))
            Assert.Equal(HttpStatusCode.OK, more.StatusCode);
        using var fine = await server.Admin.PutAsJsonAsync($"/v1/subscriptions/{id}/overrides",
            new { allowances = new { tokens = 350.5 } });
        Assert.Equal(HttpStatusCode.BadRequest, fine.StatusCode);
    }

    [Fact]
    public async Task A_subscription_by_the_year_is_refused_where_a_price_includes_what_a_quota_allows_by_the_month()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.PostAsync("/v1/customers", new { name = "acme", currency = "USD", timezone = "UTC" });
        using var refused = await server.Admin.PostAsJsonAsync("/v1/subscriptions",
            new { customer = "acme", plan = "year", interval = "year" });
        var text = await refused.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("quota_period_differs", text, StringComparison.Ordinal);
        await server.PostAsync("/v1/subscriptions", new { customer = "acme", plan = "year", interval = "month" });
    }

    private static void Tokens(TestUpstream upstream, int count, bool stream) => upstream.Answer = async context =>
    {
        context.Response.ContentType = stream ? "text/event-stream" : "application/json";
        var json = $$$"""{"usage":{"total_tokens":{{{count}}}}}""";
        await context.Response.WriteAsync(stream ? $"data: {json}\n\ndata: [DONE]\n\n" : json);
    };

    private static async Task StoreAsync(TestServer server, string id, string gb)
    {
        using var content = JsonContent.Create(new
        {
            specversion = "1.0",
            id,
            source = "test",
            type = "storage.snapshot",
            subject = "fred",
            time = "2026-01-10T12:00:00Z",
            data = new { gb },
        });
        content.Headers.ContentType = new("application/cloudevents+json");
        using var answer = await server.Admin.PostAsync("/v1/events", content);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static async Task<string> RemainingAsync(
        TestServer server, string path, string key, HttpMethod? method = null, string unit = "Month")
    {
        using var answer = await server.CallAsync(path, key, method);
        Assert.NotEqual(HttpStatusCode.TooManyRequests, answer.StatusCode);
        await answer.Content.ReadAsStringAsync();
        return answer.Headers.TryGetValues("X-RateLimit-Remaining-" + unit, out var values) ? values.Single() : "(none)";
    }

    private static async Task<string> UsedAsync(TestServer server, string meter) =>
        (await server.GetAsync($"/v1/usage?meter={meter}")).GetProperty("data").EnumerateArray()
            .Sum(u => decimal.Parse(u.GetProperty("value").ToString(), CultureInfo.InvariantCulture))
            .ToString(CultureInfo.InvariantCulture);
}
