using System.Net;
using System.Net.Http.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>A cap that a customer sets for each month: it blocks at the gate, and the next month begins anew.</summary>
public sealed class SpendCapTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          shop: { upstream: UPSTREAM, operations: { quote: GET /quotes } }
        plans:
          payg: { operations: ["*"], prices: { quotes: { model: per_unit, meter: calls, unit_amount: "1.00" } } }
        """;

    [Fact]
    public async Task A_cap_per_month_blocks_until_the_month_of_the_customer_is_over()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("ann", "payg", new { name = "ann", timezone = "Pacific/Auckland" });
        await PutAsync(server, new { amount = "3.00", every = "month" }, HttpStatusCode.OK);
        Assert.Equal(3, await PassAsync(server, key, 5));
        var balance = (await server.GetAsync("/v1/customers/ann/balances")).GetProperty("data")[0];
        // the month began in Auckland thirteen hours before UTC
        Assert.Equal(("month", "2025-12-31T11:00:00Z", "0"), (balance.GetProperty("every").GetString(),
            balance.GetProperty("since").GetString(), balance.GetProperty("available").GetString()));

        await server.PostAsync("/v1/test_clock", new { now = "2026-01-31T10:59:00Z" });
        Assert.Equal(0, await PassAsync(server, key, 1));
        await server.PostAsync("/v1/test_clock", new { now = "2026-01-31T11:00:00Z" });
        Assert.Equal(3, await PassAsync(server, key, 5));
        // two months at once
        await server.PostAsync("/v1/test_clock", new { now = "2026-04-10T00:00:00Z" });
        Assert.Equal(3, await PassAsync(server, key, 4));

        await PutAsync(server, new { amount = "5.00" }, HttpStatusCode.OK);
        await server.PostAsync("/v1/test_clock", new { now = "2026-06-10T00:00:00Z" });
        // no longer per month: what was used since counts on
        Assert.Equal(2, await PassAsync(server, key, 4));
    }

    [Fact]
    public async Task What_is_no_cap_per_period_is_refused_and_changes_nothing()
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/v1/customers", new { name = "ann" });
        await PutAsync(server, new { amount = "3.00", every = "fortnight" }, HttpStatusCode.BadRequest);
        await PutAsync(server, new { amount = "3.00", every = "month", since = "2026-01-01T00:00:00Z" }, HttpStatusCode.BadRequest);
        using var prepaid = await server.Admin.PutAsJsonAsync(
            "/v1/customers/ann/balances/prepaid", new { amount = "3.00", every = "month" }, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, prepaid.StatusCode);
        Assert.Empty((await server.GetAsync("/v1/customers/ann/balances")).GetProperty("data").EnumerateArray());
    }

    private static async Task PutAsync(TestServer server, object body, HttpStatusCode status)
    {
        using var answer = await server.Admin.PutAsJsonAsync("/v1/customers/ann/balances/spend_cap", body);
        Assert.True(answer.StatusCode == status, await answer.Content.ReadAsStringAsync());
    }

    private static async Task<int> PassAsync(TestServer server, string key, int calls)
    {
        var passed = 0;
        for (var i = 0; i < calls; i++)
        {
            using var answer = await server.CallAsync("/quotes", key);
            if (answer.IsSuccessStatusCode) passed++;
            else Assert.Equal(HttpStatusCode.PaymentRequired, answer.StatusCode);
        }

        return passed;
    }
}
