using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>Prices by dimension, by hour and of single events, from the event to the invoice.</summary>
public sealed class SplitInvoiceTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations:
              data: GET /data
        meters:
          gb:   { aggregation: sum, event: stored, value: $.gb, dimensions: { region: $.region } }
          paid: { aggregation: sum, scale: 2, event: payment, value: $.amount, keep_values: true }
        plans:
          pro:
            operations: ["*"]
            prices:
              gb:    { meter: gb, model: per_unit, unit_amount: "1", matrix: [{ where: { region: eu }, unit_amount: "2" }] }
              paid:  { meter: paid, model: percentage, rate: "2", fixed: "0.30", minimum_per_event: "0.50", maximum_per_event: "5.00" }
              calls: { meter: calls, model: per_unit, unit_amount: "1", matrix: [{ when: "00:00-24:00", unit_amount: "0.25" }] }
        """;

    [Fact]
    public async Task An_invoice_has_a_line_for_each_part_and_holds_each_event_to_its_bounds()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("acme", "pro");
        foreach (var (region, gb) in ((string, int)[])[("eu", 1), ("us", 4), ("eu", 2)])
            await server.PostAsync("/v1/events", Event("stored", new { region, gb }));
        foreach (var amount in (string[])["10", "5", "1000"])
            await server.PostAsync("/v1/events", Event("payment", new { amount }));
        for (var i = 0; i < 4; i++) (await server.CallAsync("/data", key)).Dispose();
        await server.AdvanceAsync("P32D");
        var lines = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0].GetProperty("lines").EnumerateArray();
        Assert.Equal(
            ["gb, region eu, 3 gb = 6.00", "gb, other, 4 gb = 4.00", "paid, 1,015 paid = 6.00",
                "/data, 00:00-24:00, 4 calls = 1.00"],
            lines.Select(l => $"{l.GetProperty("description").GetString()} = {l.GetProperty("amount").GetString()}"));
    }

    [Fact]
    public async Task A_line_that_is_told_apart_by_hours_lists_no_calls_that_are_not_its_own()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(
            File.Replace("00:00-24:00", "12:00-12:15", StringComparison.Ordinal), upstream);
        var key = await server.SubscribeAsync("acme", "pro");
        for (var quarter = 0; quarter < 3; quarter++)
        {
            for (var i = 0; i <= quarter; i++) (await server.CallAsync("/data", key)).Dispose();
            await server.AdvanceAsync("PT15M");
        }

        await server.AdvanceAsync("P32D");
        var number = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0].GetProperty("number").GetString();
        Assert.Equal((1, 5), (await CountAsync(1), await CountAsync(2)));

        async Task<int> CountAsync(int line) => (await server.GetAsync($"/v1/invoices/{number}/lines/{line}/calls"))
            .GetProperty("data").GetArrayLength();
    }

    [Fact]
    public async Task A_preview_of_usage_has_the_lines_of_its_invoice()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var answer = await server.PostAsync("/v1/prices/preview", JsonSerializer.Deserialize<JsonElement>("""
            {"currency":"USD","timezone":"Europe/Berlin","price":{"model":"per_unit","unit_amount":"1","included":"1","matrix":[
              {"where":{"region":"eu"},"when":"mon-fri 08:00-18:00","unit_amount":"3"}]},
             "usage":[{"quantity":"2","at":"2026-03-02T07:00:00Z","dimensions":{"region":"eu"}},
              {"quantity":"2","at":"2026-03-02T06:45:00Z","dimensions":{"region":"eu"}}]}
            """));
        Assert.Equal(("7.00", 2), (answer.GetProperty("amount").GetString(), answer.GetProperty("lines").GetArrayLength()));
        var lines = answer.GetProperty("lines").EnumerateArray().Select(l => l.GetProperty("description").GetString());
        Assert.Equal(["region eu, mon-fri 08:00-18:00, 2 units", "other, 2 units, 1 of them included"], lines);
    }

    [Fact]
    public async Task Every_fault_of_a_split_price_is_told_at_once()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        const string body = """
            {"name":"bad","operations":["*"],"prices":{
              "a":{"meter":"gb","model":"per_unit","unit_amount":"1","by":"colour","where":{"regin":"eu"},"when":"noon"},
              "b":{"meter":"gb","model":"per_unit","unit_amount":"1","matrix":[{"unit_amount":"1"},
                 {"where":{"region":[]},"unit_amount":"1"},{"where":{"region":"eu"},"unit_amount":"1","minimum":"3"}]},
              "c":{"meter":"gb","model":"percentage","rate":"1","fixed":"1"},
              "d":{"meter":"calls","model":"per_unit","unit_amount":"1","included":"5","convert":{"divide_by":"2"},"by":"operation"},
              "e":{"meter":"paid","model":"per_unit","unit_amount":"1","matrix":[]},
              "f":{"meter":"gb","model":"per_unit","unit_amount":"1","by":["region","region"]}}}
            """;
        using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        using var answer = await server.Admin.PostAsync(
            new Uri("/v1/plans", UriKind.Relative), content, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal(400, (int)answer.StatusCode);
        foreach (var field in (string[])["prices.a.by", "prices.a.where.regin", "prices.a.when", "prices.b.matrix[0]",
            "prices.b.matrix[1].where.region", "prices.b.matrix[2].minimum", "prices.c", "prices.d.by", "prices.e.matrix",
            "prices.f.by"])
            Assert.Contains($"\"{field}\"", text, StringComparison.Ordinal);
    }

    private static object Event(string type, object data) =>
        new { specversion = "1.0", id = Guid.NewGuid().ToString(), source = "test", type, subject = "acme", data };
}
