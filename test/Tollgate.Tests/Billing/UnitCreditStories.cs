using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>Credit in units, from the API over the gate to the invoice: the gate lets through what the credit covers, and the
/// invoice burns as much.</summary>
public sealed class UnitCreditStories
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations:
              data:  GET /data
              quote: GET /quote
        meters:
          peak: { aggregation: max, event: peak, value: $.v }
        plans:
          free:
            operations: ["*"]
            quotas: [{ meter: calls, allowance: 3, per: month, overage: block }]
          daily:
            operations: ["*"]
            quotas: [{ meter: calls, allowance: 3, per: day, overage: block }]
          payg:
            operations: ["*"]
            prices: { calls: { meter: calls, model: per_unit, unit_amount: "0.10", included: "2" } }
          pro:
            operations: ["*"]
            quotas: [{ meter: calls, allowance: 3, per: month, overage: block }]
            prices: { calls: { meter: calls, model: per_unit, unit_amount: "0.10", included: from quota } }
        """;

    [Theory]
    [InlineData("free")]
    [InlineData("pro")]
    public async Task Beyond_the_allowance_calls_pass_as_far_as_credit_pays_for_them_and_the_next_month_goes_on_with_the_rest(string plan)
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(File, upstream, folder))
        {
            key = await server.SubscribeAsync("ann", plan);
            Assert.Equal(3, await server.PassAsync("/data", key, 5));
            var grant = await GrantAsync(server, new { units = "4" });
            Assert.Equal(("4", "4", "calls", null), (Text(grant, "units"), Text(grant, "balance"), Text(grant, "meter"),
                Text(grant, "amount")));
            Assert.Equal(2, await server.PassAsync("/data", key, 2));
        }

        await using (var again = await TestServer.StartAsync(File, upstream, folder, TestServer.Start))
        {
            Assert.Equal("2", Text(await BalanceAsync(again), "available"));
            await again.AdvanceAsync("P22D");
            var line = (await again.GetAsync("/v1/invoices")).GetProperty("data")[0].GetProperty("lines")[0];
            Assert.Equal(("5", "2", "0.00"), (Text(line, "quantity"), Text(line, "credited_units"), Text(line, "amount")));
            Assert.Contains("3 of them included, 2 paid with credit", Text(line, "description"), StringComparison.Ordinal);
            Assert.Equal("2", Text((await again.GetAsync("/v1/credits")).GetProperty("data")[0], "balance"));
            // three of February, and what is left
            Assert.Equal(5, await again.PassAsync("/data", key, 8));
            Assert.Equal("0", Text(await BalanceAsync(again), "available"));
            await again.AdvanceAsync("P28D");
            Assert.Equal("0", Text((await again.GetAsync("/v1/credits")).GetProperty("data")[0], "balance"));
            Assert.Equal(3, await again.PassAsync("/data", key, 4));
        }
    }

    [Fact]
    public async Task Units_spare_money_at_the_gate_and_on_the_invoice()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("ann", "payg");
        await GrantAsync(server, new { units = "5" });
        await server.PostAsync("/v1/credits", new { customer = "ann", kind = "prepaid", amount = "0.30" });
        // two are included, five are credit, three are money
        Assert.Equal(10, await server.PassAsync("/data", key, 13));
        await GrantAsync(server, new { units = "1" });
        Assert.Equal(1, await server.PassAsync("/data", key, 3));
        await server.AdvanceAsync("P22D");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        Assert.Equal(("0.30", "0.30", "0.00"), (Text(invoice, "total"), Text(invoice, "prepaid_credit"), Text(invoice, "amount_due")));
        Assert.Equal("6", Text(invoice.GetProperty("lines")[0], "credited_units"));
        // what is void is there again, and its usage is not billed a second time
        await server.PostAsync($"/v1/invoices/{Text(invoice, "id")}/void", new { });
        Assert.Equal(2 + 6 + 3, await server.PassAsync("/data", key, 15));
    }

    [Fact]
    public async Task Units_that_expire_pay_for_what_was_called_before_and_those_that_come_again_roll_over()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("ann", "free");
        await GrantAsync(server, new { units = "10", expires_at = "2026-01-12T00:00:00Z" });
        Assert.Equal(5, await server.PassAsync("/data", key, 5));
        await server.AdvanceAsync("P2D");
        Assert.Equal(0, await server.PassAsync("/data", key, 2));
        await GrantAsync(server, new { units = "1", every = "day", rollover_periods = 1 });
        Assert.Equal(1, await server.PassAsync("/data", key, 2));
        await server.AdvanceAsync("P2D");
        // that of yesterday lasts a day longer
        Assert.Equal(2, await server.PassAsync("/data", key, 4));
        await server.AdvanceAsync("P19D");
        var balances = (await server.GetAsync("/v1/credits?customer=ann")).GetProperty("data").EnumerateArray()
            .Select(c => Text(c, "balance")).ToArray();
        Assert.Equal(["8", "0", "0", "0"], balances[..4]);
    }

    [Fact]
    public async Task A_limit_by_the_day_is_not_lifted_by_credit()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("ann", "daily");
        await GrantAsync(server, new { units = "10" });
        Assert.Equal(3, await server.PassAsync("/data", key, 5));
    }

    [Fact]
    public async Task Many_calls_at_once_of_two_subscriptions_never_take_more_than_there_is()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var keys = new List<string> { await server.SubscribeAsync("ann", "free") };
        var other = Text(await server.PostAsync("/v1/subscriptions", new { customer = "ann", plan = "pro" }), "id");
        keys.Add(Text(await server.PostAsync("/v1/consumers/ann/keys", new { subscription = other }), "key")!);
        await GrantAsync(server, new { units = "5" });
        var answers = await Task.WhenAll(Enumerable.Range(0, 60).Select(i => server.CallAsync("/data", keys[i % 2])));
        Assert.Equal(3 + 3 + 5, answers.Count(a => a.IsSuccessStatusCode));
        await server.AdvanceAsync("P22D");
        Assert.Equal("0", Text((await server.GetAsync("/v1/credits")).GetProperty("data")[0], "balance"));
    }

    [Fact]
    public async Task Every_fault_of_a_grant_in_units_is_told()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("ann", "free");
        foreach (var (body, fields) in (IEnumerable<(object, string[])>)
            [
                (new { units = "0.5", meter = "calls" }, ["units"]),
                (new { units = "5" }, ["meter"]),
                (new { meter = "peak", units = "0" }, ["meter", "units"]),
                (new { meter = "nothing", units = "-1", amount = "5" }, ["meter", "units", "amount"]),
                (new { meter = "calls", units = "9999999999999999" }, ["units"]),
                (new { meter = "calls" }, ["units"]),
            ])
        {
            var json = JsonSerializer.SerializeToNode(body)!.AsObject();
            (json["customer"], json["kind"]) = ("ann", "prepaid");
            using var answer = await server.Admin.PostAsJsonAsync("/v1/credits", json);
            var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.Equal(400, (int)answer.StatusCode);
            Assert.All(fields, f => Assert.Contains($"\"field\":\"{f}\"", text, StringComparison.Ordinal));
        }
    }

    private static Task<JsonElement> GrantAsync(TestServer server, object more)
    {
        var body = JsonSerializer.SerializeToNode(more)!.AsObject();
        (body["customer"], body["kind"], body["meter"]) = ("ann", "prepaid", "calls");
        return server.PostAsync("/v1/credits", body);
    }

    private static async Task<JsonElement> BalanceAsync(TestServer server) =>
        (await server.GetAsync("/v1/customers/ann/balances")).GetProperty("data").EnumerateArray()
        .Single(b => Text(b, "kind") == "units");

    private static string? Text(JsonElement of, string name) => of.GetProperty(name).GetString();
}
