using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>What was agreed beside the prices can be ended; what is issued stays.</summary>
public sealed class AgreementEndTests
{
    private static readonly string s_rates = Yaml.Rates.Replace("UPSTREAM", "http://127.0.0.1:9", StringComparison.Ordinal);

    [Theory]
    // never meant; until the 20th, 10 of the 31 days of January; until further notice
    [InlineData("2026-01-10T12:00:00Z", null)]
    [InlineData("2026-01-20T12:00:00Z", "10.00")]
    [InlineData("2026-02-15T00:00:00Z", "22.00")]
    public async Task A_commitment_ends_when_it_is_said_and_asks_for_its_days(string endAt, string? asked)
    {
        await using var server = await TestServer.StartAsync(s_rates);
        await server.PostAsync("/v1/customers", new { name = "acme" });
        var started = await server.PostAsync("/v1/subscriptions", new { customer = "acme", plan = "metered" });
        var id = started.GetProperty("id").GetString();
        var made = await server.PostAsync("/v1/commitments", new { subscription = id, kind = "minimum", amount = "31.00" });
        var commitment = made.GetProperty("id").GetString();
        using var early = await server.Admin.PostAsJsonAsync(
            $"/v1/commitments/{commitment}/end", new { end_at = "2026-01-10T11:59:59Z", now = true });
        Assert.Equal(HttpStatusCode.BadRequest, early.StatusCode);
        var faults = await early.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(["end_at", "now"], faults.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("field").GetString()));
        Assert.Equal(JsonValueKind.Null, (await server.GetAsync($"/v1/commitments/{commitment}")).GetProperty("end_at").ValueKind);

        var ended = await server.PostAsync($"/v1/commitments/{commitment}/end", new { end_at = endAt });
        Assert.Equal(endAt, ended.GetProperty("end_at").GetString());
        await server.AdvanceAsync("P22D");
        var invoices = (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray();
        Assert.Equal(asked is null ? [] : [asked], invoices.Select(i => i.GetProperty("total").GetString()));
        // once it is issued it stays
        var now = await server.PostAsync($"/v1/commitments/{commitment}/end", new { });
        Assert.Equal("2026-02-01T12:00:00Z", now.GetProperty("end_at").GetString());
        Assert.Equal(asked is null ? 0 : 1, (await server.GetAsync("/v1/invoices")).GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task A_coupon_is_taken_away_before_the_next_invoice_and_can_be_applied_again()
    {
        await using var server = await TestServer.StartAsync(s_rates);
        await server.PostAsync("/v1/customers", new { name = "acme" });
        var started = await server.PostAsync("/v1/subscriptions", new { customer = "acme", plan = "metered" });
        var id = started.GetProperty("id").GetString();
        await server.PostAsync("/v1/commitments",
            new { subscription = id, kind = "minimum", amount = "20.00", start_at = "2026-02-01T00:00:00Z" });
        await server.PostAsync("/v1/coupons", new { name = "half", percent_off = "50" });
        await server.PostAsync("/v1/coupons/half/apply", new { customer = "acme" });
        await server.AdvanceAsync("P50DT1H");
        await server.PostAsync("/v1/coupons/half/remove", new { customer = "acme" });
        using var again = await server.Admin.PostAsJsonAsync("/v1/coupons/half/remove", new { customer = "acme" });
        Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);
        using var nobody = await server.Admin.PostAsJsonAsync("/v1/coupons/half/remove", new { customer = "no", all = 1 });
        Assert.Equal(HttpStatusCode.BadRequest, nobody.StatusCode);
        await server.AdvanceAsync("P31D");
        await server.PostAsync("/v1/coupons/half/apply", new { customer = "acme" });
        await server.AdvanceAsync("P31D");
        // February and March; the coupon was there for the one, and not for the other
        Assert.Equal(["10.00", "20.00", "10.00"], (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray()
            .Select(i => i.GetProperty("total").GetString()));
    }
}
