using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>From calls through the gate to the invoice that finance gets, with nothing in between but the product.
/// </summary>
public sealed class FirstInvoiceTests
{
    [Fact]
    public async Task Calls_of_1234_and_77_at_their_rates_are_16_19_line_by_line()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream);
        var key = await server.SubscribeAsync("acme", "metered");
        await CallAsync(server, "/api/v1/data", key, 1_234);
        await CallAsync(server, "/api/v1/premium/analytics", key, 77);
        var draft = (await server.GetAsync("/v1/invoices/preview?customer=acme&period=2026-01")).GetProperty("data")[0];
        Assert.Equal("gathering", draft.GetProperty("status").GetString());
        Assert.Equal("16.19", draft.GetProperty("total").GetString());
        Assert.Equal(JsonValueKind.Null, draft.GetProperty("number").ValueKind);

        await server.AdvanceAsync("P1M");
        var invoices = (await server.GetAsync("/v1/invoices")).GetProperty("data");
        var invoice = Assert.Single(invoices.EnumerateArray());
        Assert.Equal("issued", invoice.GetProperty("status").GetString());
        Assert.Equal("2026-000001", invoice.GetProperty("number").GetString());
        Assert.Equal("16.19", invoice.GetProperty("total").GetString());
        Assert.Equal(
            ["data 1234 0.01 12.34", "premium 77 0.05 3.85"],
            invoice.GetProperty("lines").EnumerateArray().Select(l =>
                $"{l.GetProperty("operation")} {l.GetProperty("quantity")} {l.GetProperty("unit_amount")} {l.GetProperty("amount")}"));

        var text = await server.TextAsync("/v1/invoices/2026-000001");
        Assert.Contains("1,234 calls × 0.01", text);
        Assert.Contains("12.34", text);
        Assert.Contains("77 calls × 0.05", text);
        Assert.Contains("USD 16.19", text);
    }

    [Fact]
    public async Task The_number_on_the_dashboard_is_the_number_on_the_invoice()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream);
        var key = await server.SubscribeAsync("acme", "metered");
        await CallAsync(server, "/api/v1/data", key, 41);
        Assert.Equal(41, await server.UsageAsync("&customer=acme&operation=data&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z"));
        await server.AdvanceAsync("P1M");
        var invoice = (await server.GetAsync("/v1/invoices?customer=acme")).GetProperty("data")[0];
        Assert.Equal("41", invoice.GetProperty("lines")[0].GetProperty("quantity").GetString());
    }

    [Fact]
    public async Task An_issued_invoice_is_the_same_to_the_letter_after_more_runs_and_a_restart()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string before;
        await using (var first = await TestServer.StartAsync(Yaml.Rates, upstream, folder))
        {
            var key = await first.SubscribeAsync("acme", "metered");
            await CallAsync(first, "/api/v1/data", key, 5);
            await first.AdvanceAsync("P1M");
            await first.AdvanceAsync("PT1H");
            before = await first.Admin.GetStringAsync("/v1/invoices/2026-000001");
        }

        await using var second = await TestServer.StartAsync(
            Yaml.Rates, upstream, folder, TestServer.Start.AddDays(40));
        await second.AdvanceAsync("PT1H");
        Assert.Equal(before, await second.Admin.GetStringAsync("/v1/invoices/2026-000001"));
        Assert.Single((await second.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task A_call_on_either_side_of_midnight_stands_on_the_invoice_of_its_own_month()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream);
        var key = await server.SubscribeAsync(
            "tokyo", "metered", new { name = "tokyo", timezone = "Asia/Tokyo" });
        await server.PostAsync("/v1/test_clock", new { now = "2026-01-31T14:59:59.999999Z" });
        await CallAsync(server, "/api/v1/data", key, 3);
        await server.PostAsync("/v1/test_clock", new { now = "2026-01-31T15:00:00Z" });
        await CallAsync(server, "/api/v1/data", key, 4);
        await server.AdvanceAsync("P2M");
        var totals = (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray()
            .Select(i => $"{i.GetProperty("period_start")} {i.GetProperty("total")}");
        Assert.Equal(["2026-01-10T12:00:00Z 0.03", "2026-01-31T15:00:00Z 0.04"], totals.Take(2));
    }

    [Fact]
    public async Task A_changed_price_in_the_file_is_a_new_version_and_running_subscriptions_keep_theirs()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var first = await TestServer.StartAsync(Yaml.Rates, upstream, folder))
            key = await first.SubscribeAsync("acme", "metered");
        var dearer = Yaml.Rates.Replace("\"0.01\"", "\"0.02\"", StringComparison.Ordinal);
        await using (var second = await TestServer.StartAsync(dearer, upstream, folder))
        {
            await CallAsync(second, "/api/v1/data", key, 10);
            Assert.Equal("0.10", await TotalAsync(second));
            Assert.Equal(2, (await second.GetAsync("/v1/plans/metered")).GetProperty("version").GetInt32());
        }

        await using var third = await TestServer.StartAsync(
            dearer.Replace("  metered:", "  metered:\n    migrate: now", StringComparison.Ordinal), upstream, folder,
            TestServer.Start.AddHours(1));
        await CallAsync(third, "/api/v1/data", key, 10);
        Assert.Equal("0.30", await TotalAsync(third));

        static async Task<string?> TotalAsync(TestServer server) =>
            (await server.GetAsync("/v1/invoices/preview?customer=acme&period=2026-01")).GetProperty("data")[0]
            .GetProperty("total").GetString();
    }

    [Fact]
    public async Task A_fee_that_a_new_version_leaves_as_it_was_is_charged_once_and_whole()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        var yaml = Yaml.Rates.Replace("    prices:", "    migrate: now\n    prices:\n" +
            "      base:    { model: flat, amount: \"10.01\", every: month }", StringComparison.Ordinal);
        var first = new DateTimeOffset(2026, 2, 1, 0, 0, 0, TimeSpan.Zero);
        await using (var server = await TestServer.StartAsync(yaml, upstream, folder, first))
            await server.SubscribeAsync("acme", "metered");
        await using var second = await TestServer.StartAsync(
            yaml.Replace("\"0.01\"", "\"0.02\"", StringComparison.Ordinal), upstream, folder, first.AddDays(14));
        await second.AdvanceAsync("P1M");
        var invoice = (await second.GetAsync("/v1/invoices")).GetProperty("data")[0];
        Assert.Equal("10.01", invoice.GetProperty("total").GetString());
        Assert.Single(invoice.GetProperty("lines").EnumerateArray());
    }

    [Fact]
    public async Task A_cancelled_subscription_stops_at_the_gate_and_is_billed_to_that_instant()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream);
        var key = await server.SubscribeAsync("acme", "metered");
        await CallAsync(server, "/api/v1/data", key, 7);
        var subscription = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0];
        Assert.Equal("acme", subscription.GetProperty("customer").GetString());
        var path = $"/v1/subscriptions/{subscription.GetProperty("id")}/cancel";
        await server.PostAsync(path, new { });
        using var refused = await server.CallAsync("/api/v1/data", key);
        Assert.Equal(403, (int)refused.StatusCode);
        using var again = await server.Admin.PostAsync(path, null);
        Assert.Equal(409, (int)again.StatusCode);
        await server.AdvanceAsync("PT2H");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        Assert.Equal("0.07", invoice.GetProperty("total").GetString());
        Assert.Equal("2026-01-10T12:00:00Z", invoice.GetProperty("period_end").GetString());
    }

    private static async Task CallAsync(TestServer server, string path, string key, int calls) =>
        await Parallel.ForEachAsync(Enumerable.Range(0, calls), new ParallelOptions { MaxDegreeOfParallelism = 16 },
            async (_, _) =>
            {
                using var answer = await server.CallAsync(path, key);
                Assert.Equal(200, (int)answer.StatusCode);
            });
}
