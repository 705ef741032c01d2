using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Catalog;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>What others have of what is sold (money.md 15), from the API to the ledger and the statement.</summary>
public sealed class PublisherTests
{
    [Fact]
    public void The_parts_of_a_line_sum_to_it_and_bands_go_on_from_what_was_turned_over_before()
    {
        ShareBand[] third = [new(null, 33.333m)], banded = [new(100, 50), new(null, 80)];
        Assert.Equal([3333L, 3333L], Split(10_000, (third, 0), (third, 0)));
        // 40 of the 60 lie in the first band
        Assert.Equal([3_600L], Split(6_000, (banded, 60)));
        Assert.Equal([-3_600L], Split(-6_000, (banded, 120)));
        Assert.Equal([0L], Split(0, (banded, 0)));
        Assert.Equal([0L], Split(1_000, ([new ShareBand(null, 0)], 0)));
        Assert.Equal([1L, 0L], Split(1, ([new ShareBand(null, 50)], 0), ([new ShareBand(null, 50)], 0)));
    }

    [Fact]
    public async Task An_invoice_owes_the_publisher_a_part_and_credit_notes_and_voids_take_it_back()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream);
        await server.PostAsync("/v1/publishers", new { name = "weather" });
        var share = await server.PostAsync("/v1/publishers/weather/shares", new { plan = "metered", percent = "70" });
        var key = await server.SubscribeAsync("fred", "metered");
        using (var terms = await server.Admin.PutAsJsonAsync("/v1/customers/fred/terms", new { tax_percent = "20" }))
            Assert.True(terms.IsSuccessStatusCode);
        for (var i = 0; i < 25; i++) (await server.CallAsync("/api/v1/data", key)).Dispose();
        await server.AdvanceAsync("P22D");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        Assert.Equal("0.30", Text(invoice, "total"));
        // 70 % of 0.25 are 17.5 cents
        Assert.Equal(("0.25", "0.18"), await StatementAsync(server));
        Assert.Equal(["customer 0.30", "payable -0.18", "revenue -0.07", "tax -0.05"], await AccountsAsync(server));
        await server.PostAsync("/v1/credit_notes", new { invoice = Text(invoice, "number"), amount = "0.12", reason = "slow" });
        Assert.Equal(("0.15", "0.11"), await StatementAsync(server));
        await server.PostAsync("/v1/credit_notes", new { invoice = Text(invoice, "number"), reason = "all of it" });
        Assert.Equal(("0.00", "0.00"), await StatementAsync(server));
        Assert.All(await AccountsAsync(server), a => Assert.EndsWith(" 0.00", a, StringComparison.Ordinal));

        (await server.CallAsync("/api/v1/data", key)).Dispose();
        await server.AdvanceAsync("P28D");
        var second = (await server.GetAsync("/v1/invoices")).GetProperty("data")[1];
        Assert.Equal(("0.01", "0.01"), await StatementAsync(server, "2026-03"));
        await server.PostAsync($"/v1/invoices/{Text(second, "id")}/void", new { });
        Assert.Equal(("0.00", "0.00"), await StatementAsync(server, "2026-03"));
        Assert.All(await AccountsAsync(server), a => Assert.EndsWith(" 0.00", a, StringComparison.Ordinal));

        await server.PostAsync($"/v1/publishers/weather/shares/{Text(share, "id")}/end", new { });
        (await server.CallAsync("/api/v1/data", key)).Dispose();
        await server.AdvanceAsync("P31D");
        Assert.Empty((await server.GetAsync("/v1/publishers/weather/statement?period=2026-04")).GetProperty("totals").EnumerateArray());
    }

    [Fact]
    public async Task Every_fault_of_a_share_is_told()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream);
        await server.PostAsync("/v1/publishers", new { name = "weather" });
        await server.PostAsync("/v1/publishers/weather/shares", new { plan = "metered", percent = "60" });
        foreach (var (body, field) in (IEnumerable<(object, string)>)
            [
                (new { plan = "nothing", percent = "60" }, "plan"), (new { plan = "metered" }, "percent"),
                (new { plan = "metered", percent = "41" }, "percent"), (new { plan = "metered", percent = "101" }, "percent"),
                (new { plan = "metered", bands = new object[] { new { up_to = "5", percent = "1" } } }, "bands[0].up_to"),
                (new { plan = "metered", bands = new object[] { 5 } }, "bands[0].percent"),
                (new { plan = "metered", percent = "1", end_at = "2025-01-01T00:00:00Z" }, "end_at"),
            ])
        {
            using var answer = await server.Admin.PostAsJsonAsync("/v1/publishers/weather/shares", body);
            var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.Equal(400, (int)answer.StatusCode);
            Assert.Contains($"\"field\":\"{field}\"", text, StringComparison.Ordinal);
        }

        using var twice = await server.Admin.PostAsJsonAsync("/v1/publishers", new { name = "weather" });
        Assert.Equal(409, (int)twice.StatusCode);
        using var period = await server.Admin.GetAsync(
            new Uri("/v1/publishers/weather/statement?period=x", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(400, (int)period.StatusCode);
    }

    private static IEnumerable<long> Split(long cents, params (IReadOnlyList<ShareBand>, decimal)[] shares) =>
        RevenueShare.Split(new Money(cents, Currency.Usd), shares).Select(m => m.MinorUnits);

    private static async Task<(string? Net, string? Amount)> StatementAsync(TestServer server, string period = "2026-02")
    {
        var statement = await server.GetAsync($"/v1/publishers/weather/statement?period={period}");
        var total = statement.GetProperty("totals")[0];
        Assert.Equal(decimal.Parse(Text(total, "amount")!, null),
            statement.GetProperty("data").EnumerateArray().Sum(e => decimal.Parse(Text(e, "amount")!, null)));
        return (Text(total, "net"), Text(total, "amount"));
    }

    private static async Task<IEnumerable<string>> AccountsAsync(TestServer server) =>
        (await server.GetAsync("/v1/customers/fred/accounts")).GetProperty("data").EnumerateArray()
        .Select(a => $"{Text(a, "account")} {Text(a, "balance")}");

    private static string? Text(JsonElement of, string name) => of.GetProperty(name).GetString();
}
