using System.Net;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>What a run parks, and how it goes on.</summary>
public sealed class BillingRunOverHttpTests
{
    private const string Dear = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations:
              quote: GET /quotes
        plans:
          dear:
            operations: ["*"]
            prices:
              quotes: { model: per_unit, meter: calls, unit_amount: "300.00" }
        """;

    [Fact]
    public async Task An_invoice_out_of_all_proportion_is_parked_until_somebody_has_looked()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Dear, upstream);
        var key = await server.SubscribeAsync("ann", "dear");
        for (var month = 0; month < 3; month++)
        {
            using var one = await server.CallAsync("/quotes", key);
            await server.AdvanceAsync("P1M");
        }

        for (var i = 0; i < 51; i++)
        {
            using var call = await server.CallAsync("/quotes", key);
            Assert.Equal(HttpStatusCode.OK, call.StatusCode);
        }

        await server.AdvanceAsync("P1M");
        Assert.Equal(3, (await server.GetAsync("/v1/invoices")).GetProperty("data").GetArrayLength());
        var run = await server.GetAsync("/v1/billing_run");
        Assert.Equal(1, run.GetProperty("parked_count").GetInt32());
        Assert.Equal("grown_too_much", run.GetProperty("parked")[0].GetProperty("code").GetString());
        Assert.Contains("tollgate_billing_parked 1", await server.TextAsync("/metrics"), StringComparison.Ordinal);
        var draft = (await server.GetAsync("/v1/invoices/preview?customer=ann&period=2026-04")).GetProperty("data")[0];
        var id = draft.GetProperty("id").GetString()!;
        Assert.Contains(id, run.GetProperty("parked")[0].GetProperty("detail").GetString()!, StringComparison.Ordinal);

        var issued = await server.PostAsync($"/v1/invoices/{id}/finalize", new { });
        Assert.Equal(("15300.00", "2026-000004"),
            (issued.GetProperty("total").GetString(), issued.GetProperty("number").GetString()));
        await server.AdvanceAsync("PT1M");
        Assert.Equal(0, (await server.GetAsync("/v1/billing_run")).GetProperty("parked_count").GetInt32());
        Assert.Empty((await server.GetAsync("/v1/late_usage")).GetProperty("data").EnumerateArray());
    }
}
