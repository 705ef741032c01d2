using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>Trial, phases, currencies and overrides: from the file to the gate and the invoice.</summary>
public sealed class PlanTermsTests
{
    private const string Yaml = """
        version: 1
        currency: USD
        apis: { shop: { upstream: UPSTREAM, operations: { data: GET /data } } }
        plans:
          pro:
            operations: ["*"]
            features: { support: priority, volume: { quota: calls } }
            quotas: [{ meter: calls, allowance: 100, per: month }]
            trial: 10 days
            prices:
              base: { model: flat, amount: "31.00", every: month, in: arrears }
              calls: { meter: calls, model: per_unit, unit_amount: "1" }
            currencies:
              EUR:
                base: { model: flat, amount: "62.00", every: month, in: arrears }
                calls: { meter: calls, model: per_unit, unit_amount: "2" }
            phases:
              - name: ramp
                for: 10 days
                prices: { base: { model: flat, amount: "15.50", every: month, in: arrears } }
                currencies: { EUR: { base: { model: flat, amount: "31.00", every: month, in: arrears } } }
                allowances: { calls: 1 }
        """;

    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task A_trial_and_a_ramp_change_gate_and_money_at_the_same_instants()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml, upstream, clock: s_start);
        var key = await server.SubscribeAsync("acme", "pro");
        Assert.Equal(200, await CallAsync(server, key));
        var subscription = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0];
        Assert.Equal("trial", subscription.GetProperty("status").GetString());
        Assert.Equal("2026-01-11T00:00:00Z", subscription.GetProperty("trial_end").GetString());
        Assert.Equal("priority", subscription.GetProperty("features").GetProperty("support").GetString());

        await server.AdvanceAsync("P10D");
        subscription = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0];
        Assert.Equal("ramp", subscription.GetProperty("plan_phase").GetString());
        Assert.Equal("1", subscription.GetProperty("features").GetProperty("volume").GetProperty("allowance").GetString());
        Assert.Equal(429, await CallAsync(server, key));

        await server.AdvanceAsync("P10D");
        Assert.Equal(200, await CallAsync(server, key));
        await server.AdvanceAsync("P12D");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        // 10 days at 15.50, 11 at 31.00, and the call after the ramp; the trial costs nothing
        Assert.Equal(["5.00", "1.00", "11.00"], Amounts(invoice));
    }

    [Theory]
    // in the trial, in the ramp, and behind it
    [InlineData("2026-01-06T00:00:00Z")]
    [InlineData("2026-01-11T00:00:00Z")]
    [InlineData("2026-01-16T00:00:00Z")]
    [InlineData("2026-01-25T00:00:00Z")]
    public async Task An_end_that_is_moved_to_later_leaves_trial_and_ramp_where_they_end(string first)
    {
        var yaml = Yaml.Replace("UPSTREAM", "http://127.0.0.1:9", StringComparison.Ordinal);
        await using var server = await TestServer.StartAsync(yaml, clock: s_start);
        await server.SubscribeAsync("acme", "pro");
        var id = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0].GetProperty("id").GetString();
        await server.PostAsync($"/v1/subscriptions/{id}/cancel", new { at = first });
        await server.PostAsync($"/v1/subscriptions/{id}/cancel", new { at = "2026-01-31T00:00:00Z" });
        await server.AdvanceAsync("P32D");
        var lines = (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray()
            .SelectMany(i => Amounts(i)).Order(StringComparer.Ordinal);
        // 10 days of a trial, 10 days at 15.50, 10 at 31.00
        Assert.Equal(["10.00", "5.00"], lines);
    }

    [Fact]
    public async Task A_customer_pays_the_prices_of_its_currency()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml, upstream, clock: s_start);
        await server.PostAsync("/v1/customers", new { name = "euro", currency = "EUR" });
        await server.PostAsync("/v1/customers", new { name = "yen", currency = "JPY" });
        await server.PostAsync("/v1/subscriptions", new { customer = "euro", plan = "pro", trial_days = 0 });
        using var refused = await server.Admin.PostAsync("/v1/subscriptions", JsonContent(new { customer = "yen", plan = "pro" }));
        Assert.Contains("The plan's prices are in USD, EUR", await refused.Content.ReadAsStringAsync());
        await server.AdvanceAsync("P32D");
        // 10 days at 31.00 and 21 at 62.00
        Assert.Equal(["10.00", "42.00"], Amounts((await server.GetAsync("/v1/invoices")).GetProperty("data")[0]));
    }

    [Fact]
    public async Task What_was_agreed_with_a_customer_stands_in_place_of_the_plan()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml, upstream, clock: s_start);
        await server.PostAsync("/v1/customers", new { name = "acme" });
        var started = await server.PostAsync("/v1/subscriptions", new
        {
            customer = "acme",
            plan = "pro",
            trial_days = 0,
            overrides = new
            {
                limits = new[] { "5/minute" },
                allowances = new { calls = "7" },
                prices = new { @base = new { model = "flat", amount = "3.10", every = "month" } },
            },
        });
        var id = started.GetProperty("id").GetString();
        await server.AdvanceAsync("P10D");
        // a price that is agreed later begins then, and leaves the time before as it was
        using var put = await server.Admin.PutAsync($"/v1/subscriptions/{id}/overrides", JsonContent(new
        {
            prices = new { @base = new { model = "flat", amount = "6.20", every = "month" } },
        }));
        Assert.True(put.IsSuccessStatusCode, await put.Content.ReadAsStringAsync());
        await server.AdvanceAsync("P22D");
        Assert.Equal(["1.00", "4.20"], Amounts((await server.GetAsync("/v1/invoices")).GetProperty("data")[0]));
    }

    [Fact]
    public async Task A_version_moves_whom_it_is_to_move_when_it_is_to_and_keeps_what_it_does_not_name()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(clock: s_start, upstream: upstream, yaml: """
            version: 1
            currency: USD
            apis: { shop: { upstream: UPSTREAM, operations: { data: GET /data } } }
            """);
        await server.PostAsync("/v1/plans", new
        {
            name = "team",
            operations = new[] { "data" },
            trial = "none",
            quotas = new[] { new { meter = "calls", allowance = "5", per = "month" } },
            prices = new { @base = new { model = "flat", amount = "31", every = "month", @in = "advance" } },
        });
        await server.SubscribeAsync("acme", "team");
        var version = await server.PostAsync("/v1/plans/team/versions", new
        {
            migrate = "never",
            prices = new { @base = new { model = "flat", amount = "62", every = "month", @in = "advance" } },
        });
        Assert.Equal(1, version.GetProperty("quotas").GetArrayLength());
        await server.AdvanceAsync("P10D");
        var preview = await server.PostAsync("/v1/plans/team/versions/2/migrate", new { when = "now", preview = true });
        Assert.Equal("21.00", preview.GetProperty("data")[0].GetProperty("invoice").GetProperty("total").GetString());
        var moved = await server.PostAsync("/v1/plans/team/versions/2/migrate", new { when = "renewal" });
        Assert.Equal("2026-02-01T00:00:00Z", moved.GetProperty("data")[0].GetProperty("effective_at").GetString());
        Assert.Equal(0, (await server.PostAsync("/v1/plans/team/versions/2/migrate", new { when = "renewal" }))
            .GetProperty("count").GetInt32());
        await server.AdvanceAsync("P22D");
        var invoices = (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray().ToArray();
        Assert.Equal(["31.00", "62.00"], invoices.Select(i => i.GetProperty("total").GetString()!).Order());
    }

    private static StringContent JsonContent(object body) =>
        new(JsonSerializer.Serialize(body), System.Text.Encoding.UTF8, "application/json");

    private static async Task<int> CallAsync(TestServer server, string key)
    {
        using var answer = await server.CallAsync("/data", key);
        return (int)answer.StatusCode;
    }

    private static string[] Amounts(JsonElement invoice) =>
        [.. invoice.GetProperty("lines").EnumerateArray().Select(l => l.GetProperty("amount").GetString()!)];
}
