using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>What a plan includes, from the gate to the invoice.</summary>
public sealed class IncludedTests
{
    private const string Yaml = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations:
              data:  GET /data
              quote: GET /quote
        plans:
          pro:
            operations: ["*"]
            quotas: [{ meter: calls, allowance: 3, per: month, overage: bill }]
            prices:
              calls: { meter: calls, included: from quota, model: graduated,
                         tiers: [{ up_to: 1, unit_amount: "2" }, { unit_amount: "1", flat_amount: 10 }] }
        """;

    [Fact]
    public async Task The_allowance_of_the_quota_is_what_the_invoice_includes()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml, upstream);
        var key = await server.SubscribeAsync("acme", "pro");
        foreach (var path in (string[])["/data", "/quote", "/data", "/data", "/quote"])
        {
            using var answer = await server.CallAsync(path, key);
            Assert.True(answer.IsSuccessStatusCode);
        }

        await server.AdvanceAsync("P31D");
        var invoices = (await server.GetAsync("/v1/invoices")).GetProperty("data");
        var line = invoices[0].GetProperty("lines")[0];
        // 3 of 5 are included; one at 2, one at 1, and the second tier's flat amount
        Assert.Equal("13.00", line.GetProperty("amount").GetString());
        Assert.Contains("3 of them included", line.GetProperty("description").GetString());
    }
}
