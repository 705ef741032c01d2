using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary><c>POST /v1/simulations</c>: other prices for what was used already.</summary>
public sealed class SimulationTests
{
    private const string File = """
        version: 1
        currency: USD
        apis: { shop: { upstream: UPSTREAM, operations: { data: GET /data } } }
        plans:
          pro:
            operations: ["*"]
            prices:
              base: { model: flat, amount: "31.00", every: month, in: advance }
              calls: { meter: calls, model: per_unit, unit_amount: "1" }
        """;

    private static readonly object s_other = new
    {
        calls = new
        {
            model = "graduated",
            meter = "calls",
            tiers = new object[] { new { up_to = "2", unit_amount = "5" }, new { unit_amount = "10" } },
        },
    };

    [Fact]
    public async Task Other_prices_are_tried_on_what_customers_used_and_nothing_is_changed()
    {
        await using var server = await FilledAsync();
        var before = (await server.GetAsync("/v1/invoices")).GetRawText();
        var answer = await server.PostAsync("/v1/simulations", new { plan = "pro", period = "2026-01", prices = s_other });
        // a fee of 31.00 for all of January and for 21 days of it, and one for each call
        Assert.Equal(["ann 34.00 20.00 -14.00", "bob 22.00 5.00 -17.00"], Rows(answer));
        Assert.Equal("USD 56.00 25.00 -31.00", Row(answer.GetProperty("totals")[0], "currency"));
        Assert.Equal(before, (await server.GetAsync("/v1/invoices")).GetRawText());
        // what is in force costs what it cost
        var same = await server.PostAsync("/v1/simulations", new { plan = "pro", period = "2026-01", version = 1 });
        Assert.Equal(["ann 34.00 34.00 0.00", "bob 22.00 22.00 0.00"], Rows(same));
        // the running month as far as it is used
        var running = await server.PostAsync("/v1/simulations", new { plan = "pro", period = "2026-02", prices = s_other });
        Assert.Equal(["ann 31.00 0.00 -31.00", "bob 31.00 0.00 -31.00"], Rows(running));
        Assert.Empty(Rows(await server.PostAsync("/v1/simulations", new { plan = "pro", period = "2025-06", version = 1 })));
    }

    [Fact]
    public async Task Customers_come_in_pages_and_who_pays_in_a_currency_without_prices_is_told_apart()
    {
        await using var server = await FilledAsync();
        await server.PostAsync("/v1/plans", new { name = "team", operations = new[] { "*" } });
        await server.SubscribeAsync("eva", "team", new { name = "eva", currency = "EUR" });
        var first = await server.PostAsync("/v1/simulations?limit=1", new { plan = "pro", period = "2026-01", version = 1 });
        Assert.Equal(["ann 34.00 34.00 0.00"], Rows(first));
        var next = first.GetProperty("next_cursor").GetString();
        var second = await server.PostAsync(
            $"/v1/simulations?limit=1&cursor={next}", new { plan = "pro", period = "2026-01", version = 1 });
        Assert.Equal(["bob 22.00 22.00 0.00"], Rows(second));
        Assert.Equal(JsonValueKind.Null, second.GetProperty("next_cursor").ValueKind);
        var team = await server.PostAsync("/v1/simulations", new { plan = "team", period = "2026-02", prices = s_other });
        Assert.Equal(["eva 0.00  "], Rows(team));
        Assert.Equal(0, team.GetProperty("totals").GetArrayLength());
    }

    [Theory]
    [InlineData("""{}""", "plan period prices")]
    [InlineData("""{"plan":"no","period":"soon","version":0,"colour":1}""", "plan period version colour")]
    [InlineData("""{"plan":"pro","period":"2026-01","version":9}""", "version")]
    [InlineData("""{"plan":"pro","period":"2024-01-01..2026-01-01","version":1,"prices":{}}""", "period prices")]
    [InlineData("""{"plan":"pro","period":"2026-01","version":1,"quotas":[]}""", "quotas")]
    [InlineData(
        """{"plan":"pro","period":"2026-01","prices":{"a":{"model":"per_unit","meter":"calls","unit_amount":1,"included":"from quota"}}}""",
        "prices.a.included")]
    public async Task Every_fault_is_told_with_its_field(string body, string fields)
    {
        await using var server = await TestServer.StartAsync(File.Replace("UPSTREAM", "http://127.0.0.1:9", StringComparison.Ordinal));
        using var answer = await server.Admin.PostAsJsonAsync("/v1/simulations", JsonSerializer.Deserialize<JsonElement>(body));
        Assert.Equal(400, (int)answer.StatusCode);
        var faults = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("errors").EnumerateArray();
        Assert.Equal(fields.Split(' ').Order(), faults.Select(e => e.GetProperty("field").GetString()!).Order());
    }

    /// <summary>Ann is there for all of January, Bob from the 11th on; it is 2 February.</summary>
    private static async Task<TestServer> FilledAsync()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var server = await TestServer.StartAsync(File, upstream, clock: new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
        await server.PassAsync("/data", await server.SubscribeAsync("ann", "pro"), 3);
        await server.AdvanceAsync("P10D");
        await server.PassAsync("/data", await server.SubscribeAsync("bob", "pro"), 1);
        await server.AdvanceAsync("P22D");
        return server;
    }

    private static string[] Rows(JsonElement answer) =>
        [.. answer.GetProperty("data").EnumerateArray().Select(r => Row(r, "customer"))];

    private static string Row(JsonElement row, string name) => string.Join(' ',
        new[] { name, "before", "after", "difference" }.Select(f => row.GetProperty(f).GetString()));
}
