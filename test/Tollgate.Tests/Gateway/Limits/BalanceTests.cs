using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Catalog;
using Tollgate.Gateway;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Prepaid credit and spend caps: never below zero, whatever is called at the same moment.</summary>
public sealed class BalanceTests
{
    [Fact]
    public async Task Parallel_calls_take_exactly_what_the_credit_covers_and_a_top_up_works_on_the_next_call()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(Yaml.Rates, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "metered");
            // used before there was a balance, in the same quarter of an hour: it counts
            (await server.CallAsync("/api/v1/data", key)).Dispose();
            await SetAsync(server, "prepaid", new { amount = "0.11" });
            var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => server.CallAsync("/api/v1/data", key)));
            Assert.Equal(10, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
            using var refused = await server.CallAsync("/api/v1/data", key);
            Assert.Equal(HttpStatusCode.PaymentRequired, refused.StatusCode);
            Assert.Null(refused.Headers.RetryAfter);
            var body = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement;
            Assert.Equal("credit_exhausted", body.GetProperty("code").GetString());
            Assert.Equal("0.11 USD", body.GetProperty("limit").GetString());
            Assert.Equal("0.11 USD", body.GetProperty("used").GetString());
            var topped = await SetAsync(server, "prepaid", new { amount = "0.15" });
            Assert.Equal("0.04", topped.GetProperty("available").GetString());
            // four cents do not cover a call of five, but one of one
            using var dear = await server.CallAsync("/api/v1/premium/analytics", key);
            Assert.Equal(HttpStatusCode.PaymentRequired, dear.StatusCode);
            using var cheap = await server.CallAsync("/api/v1/data", key);
            Assert.Equal(HttpStatusCode.OK, cheap.StatusCode);
        }

        await using var again = await TestServer.StartAsync(Yaml.Rates, upstream, folder);
        var balance = (await again.GetAsync("/v1/customers/fred/balances")).GetProperty("data")[0];
        Assert.Equal("0.03", balance.GetProperty("available").GetString());
        var last = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => again.CallAsync("/api/v1/data", key)));
        Assert.Equal(3, last.Count(a => a.StatusCode == HttpStatusCode.OK));
        using var gone = await again.Admin.DeleteAsync("/v1/customers/fred/balances/prepaid");
        Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
        using var free = await again.CallAsync("/api/v1/data", key);
        Assert.Equal(HttpStatusCode.OK, free.StatusCode);
    }

    [Fact]
    public async Task What_is_not_billed_returns_and_tax_is_paid_from_credit_but_not_held_against_a_cap()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream);
        var key = await server.SubscribeAsync("fred", "metered");
        await SetAsync(server, "prepaid", new { amount = "0.0119", tax_rate = "19" });
        await SetAsync(server, "spend_cap", new { amount = "0.01" });
        upstream.Answer = c => { c.Response.StatusCode = 500; return Task.CompletedTask; };
        for (var i = 0; i < 3; i++)
        {
            using var failed = await server.CallAsync("/api/v1/data", key);
            Assert.Equal(HttpStatusCode.InternalServerError, failed.StatusCode);
        }

        upstream.Answer = _ => Task.CompletedTask;
        using var covered = await server.CallAsync("/api/v1/data", key);
        Assert.Equal(HttpStatusCode.OK, covered.StatusCode);
        await SetAsync(server, "prepaid", new { amount = "5", tax_rate = "19" });
        using var capped = await server.CallAsync("/api/v1/data", key);
        Assert.Equal(HttpStatusCode.PaymentRequired, capped.StatusCode);
        var body = JsonDocument.Parse(await capped.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal("spend_cap_reached", body.GetProperty("code").GetString());
    }

    [Fact]
    public async Task Every_fault_of_a_balance_is_told_and_an_unknown_one_is_not_found()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream);
        await server.SubscribeAsync("fred", "metered");
        using var refused = await server.Admin.PutAsJsonAsync("/v1/customers/fred/balances/spend_cap",
            new { amount = "-1", tax_rate = "19", since = "2026-01-10T12:01:00Z", extra = 1 });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        var fields = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement.GetProperty("errors")
            .EnumerateArray().Select(e => e.GetProperty("field").GetString()).ToArray();
        Assert.Equal(["amount", "since", "tax_rate", "extra"], fields);
        foreach (var path in new[] { "/v1/customers/fred/balances/gold", "/v1/customers/nobody/balances/prepaid" })
        {
            using var unknown = await server.Admin.PutAsJsonAsync(path, new { amount = "1" });
            Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        }
    }

    [Fact]
    public void Tiers_go_on_from_what_was_used_before_the_balance_and_no_thread_gets_below_zero()
    {
        var tiers = new[] { new Tier(10, 0), new Tier(null, 2m) };
        var plan = new PlanVersion("plan_1", 1, Currency.Usd,
            [new PriceComponent("calls", "calls", null, new Price.Graduated(tiers))]);
        var purse = Purse.Counting().With(PurseTerms.None with { Balances = [new Balance
        {
            CustomerKey = 1,
            Kind = BalanceKind.Prepaid,
            Amount = 101,
            Currency = Currency.Usd,
            Since = 0,
        }] });
        var charge = new Charge(1, 0, plan, "data", 1);
        purse.Restore(charge with { At = -1 }, new More("calls", 6), settled: false);
        var (admitted, billed) = (0, 0);
        Parallel.For(0, 4, thread =>
        {
            var random = new Random(thread);
            for (var i = 0; i < 500; i++)
            {
                Assert.True(purse.TryReserve(charge, out var refused));
                Assert.InRange(purse.Used()[0], 0, 101);
                if (refused is not null) continue;
                Interlocked.Increment(ref admitted);
                var bills = random.Next(2);
                Interlocked.Add(ref billed, bills);
                Assert.True(purse.TrySettle(charge, purse, bills, []));
            }
        });
        // four are left of the free ones, and fifty at 2.00; the last cent is less than a call
        Assert.Equal((54, 100m), (billed, purse.Used()[0]));
        Assert.True(admitted >= billed);
    }

    private static async Task<JsonElement> SetAsync(TestServer server, string kind, object body)
    {
        using var answer = await server.Admin.PutAsJsonAsync($"/v1/customers/fred/balances/{kind}", body);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text).RootElement;
    }
}
