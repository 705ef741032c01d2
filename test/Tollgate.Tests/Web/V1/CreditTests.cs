using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>Credit over the admin API and at the gate: both stop at one number.</summary>
public sealed class CreditTests
{
    private const string Quotes = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations:
              quote: GET /quotes
        plans:
          payg:
            operations: ["*"]
            prices:
              quotes: { model: per_unit, meter: calls, unit_amount: "0.10" }
          pro:
            operations: ["*"]
            prices:
              base:   { model: flat, amount: "49.00", every: month, in: advance }
              quotes: { model: per_unit, meter: calls, unit_amount: "0.10" }
          max:
            operations: ["*"]
            prices:
              base:   { model: flat, amount: "99.00", every: month, in: advance }
              quotes: { model: per_unit, meter: calls, unit_amount: "0.10" }
        """;

    [Fact]
    public async Task The_call_that_credit_does_not_cover_is_refused_and_a_top_up_lets_it_pass()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", "payg");
        await GrantAsync(server, "10.00");
        Assert.Equal(100, await server.PassAsync("/quotes", key, 101));
        Assert.Equal("credit_exhausted", await RefusedAsync(server, key));
        await GrantAsync(server, "0.20");
        Assert.Equal(2, await server.PassAsync("/quotes", key, 4));
        Assert.Equal("0", (await BalanceAsync(server)).GetProperty("available").GetString());

        await server.AdvanceAsync("P1M");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        Assert.Equal(("10.20", "10.20", "0.00", "paid"), (Text(invoice, "total"), Text(invoice, "prepaid_credit"),
            Text(invoice, "amount_due"), Text(invoice, "status")));
        Assert.All((await server.GetAsync("/v1/credits?customer=ann")).GetProperty("data").EnumerateArray(),
            c => Assert.Equal("0.00", Text(c, "balance")));
        Assert.Equal("credit_exhausted", await RefusedAsync(server, key));
        await GrantAsync(server, "1.00");
        Assert.Equal(10, await server.PassAsync("/quotes", key, 12));
    }

    [Fact]
    public async Task The_gate_reserves_credit_with_tax()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", "payg");
        await TermsAsync(server, new { tax_percent = "20" });
        await GrantAsync(server, "1.20");
        Assert.Equal(10, await server.PassAsync("/quotes", key, 12));
        await server.AdvanceAsync("P1M");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        Assert.Equal(("1.00", "0.20", "1.20", "0.00"), (Text(invoice, "net"), Text(invoice, "tax"),
            Text(invoice, "prepaid_credit"), Text(invoice, "amount_due")));
    }

    [Fact]
    public async Task With_many_calls_in_flight_a_balance_never_goes_below_zero()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", "payg");
        await GrantAsync(server, "1.00");
        var answers = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => server.CallAsync("/quotes", key)));
        Assert.Equal(10, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
        Assert.Equal(50, answers.Count(a => a.StatusCode == HttpStatusCode.PaymentRequired));
        foreach (var answer in answers) answer.Dispose();
    }

    [Fact]
    public async Task Credit_that_expires_has_paid_for_what_was_called_before_and_pays_for_nothing_after()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", "payg");
        await server.PostAsync("/v1/credits",
            new { customer = "ann", kind = "prepaid", amount = "5.00", expires_at = "2026-01-20T00:00:00Z" });
        Assert.Equal(10, await server.PassAsync("/quotes", key, 10));
        await server.AdvanceAsync("P11D");
        Assert.Equal("credit_exhausted", await RefusedAsync(server, key));
        await GrantAsync(server, "2.00");
        Assert.Equal(20, await server.PassAsync("/quotes", key, 22));
        await server.AdvanceAsync("P1M");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        Assert.Equal(("3.00", "0.00"), (Text(invoice, "prepaid_credit"), Text(invoice, "amount_due")));
        Assert.Equal(["4.00", "0.00"], (await server.GetAsync("/v1/credits")).GetProperty("data").EnumerateArray()
            .Select(c => Text(c, "balance")));
    }

    [Fact]
    public async Task Credit_that_begins_later_counts_from_then_on()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", "payg");
        await GrantAsync(server, "0.10");
        await server.PostAsync("/v1/credits",
            new { customer = "ann", kind = "prepaid", amount = "0.30", effective_at = "2026-01-12T00:00:00Z" });
        Assert.Equal(1, await server.PassAsync("/quotes", key, 3));
        await server.AdvanceAsync("P2D");
        Assert.Equal(3, await server.PassAsync("/quotes", key, 5));
    }

    [Fact]
    public async Task Fees_are_paid_from_the_credit_that_the_gate_holds_calls_to()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", null);
        await GrantAsync(server, "50.00");
        await server.PostAsync("/v1/subscriptions",
            new { customer = "ann", plan = "pro", start_at = "2026-01-10T12:00:00Z", anchor = "2026-01-10" });
        await server.AdvanceAsync("PT1M");
        var charged = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        var left = 50m - decimal.Parse(Text(charged, "prepaid_credit"), System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal((int)(left * 10), await server.PassAsync("/quotes", key, (int)(left * 10) + 3));
    }

    [Fact]
    public async Task With_overage_calls_beyond_the_credit_are_invoiced()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", "payg");
        await GrantAsync(server, "0.20");
        Assert.Equal(2, await server.PassAsync("/quotes", key, 3));
        await TermsAsync(server, new { credit_overage = "bill" });
        Assert.Equal(3, await server.PassAsync("/quotes", key, 3));
        await server.AdvanceAsync("P1M");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        Assert.Equal(("0.20", "0.30"), (Text(invoice, "prepaid_credit"), Text(invoice, "amount_due")));
    }

    [Fact]
    public async Task Credit_comes_again_with_each_period_until_it_is_ended()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", "payg");
        var recurring = await server.PostAsync("/v1/credits",
            new { customer = "ann", kind = "prepaid", amount = "0.20", every = "day" });
        var path = "/v1/credits/" + Text(recurring, "id");
        Assert.Equal(2, await server.PassAsync("/quotes", key, 3));
        await server.AdvanceAsync("P1D");
        Assert.Equal(2, await server.PassAsync("/quotes", key, 3));
        Assert.Equal("2026-01-12T00:00:00Z", Text(await server.GetAsync(path), "next_at"));
        await server.PostAsync(path + "/void", new { });
        await server.AdvanceAsync("P2D");
        Assert.Equal("credit_exhausted", await RefusedAsync(server, key));
        using var again = await server.Admin.PostAsJsonAsync(path + "/void", new { });
        Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);
    }

    [Fact]
    public async Task A_balance_made_of_credit_is_not_set_by_hand()
    {
        await using var server = await TestServer.StartAsync(Yaml.Tiers, await TestUpstream.StartAsync());
        await server.SubscribeAsync("ann", "pro");
        await GrantAsync(server, "5.00");
        using var put = await server.Admin.PutAsJsonAsync("/v1/customers/ann/balances/prepaid", new { amount = "9.00" });
        using var delete = await server.Admin.DeleteAsync("/v1/customers/ann/balances/prepaid");
        Assert.Equal((HttpStatusCode.Conflict, HttpStatusCode.Conflict), (put.StatusCode, delete.StatusCode));
    }

    [Fact]
    public async Task Who_is_overdue_is_held_whatever_changes_until_everything_is_paid()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", null);
        await TermsAsync(server, new { net_days = 0, hold_after_days = 5 });
        var subscription = Text(await server.PostAsync("/v1/subscriptions", new { customer = "ann", plan = "pro" }), "id");
        Assert.Equal(1, await server.PassAsync("/quotes", key, 1));
        await server.AdvanceAsync("P6D");
        Assert.Equal("payment_overdue", await RefusedAsync(server, key));
        var first = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        Assert.Equal("overdue", Text(first, "status"));
        // a better plan does not lift the hold
        await server.PostAsync($"/v1/subscriptions/{subscription}/change", new { plan = "max" });
        Assert.Equal("payment_overdue", await RefusedAsync(server, key));
        await server.PostAsync("/v1/payments", new { invoice = Text(first, "number"), amount = "1.00" });
        Assert.Equal("payment_overdue", await RefusedAsync(server, key));
        var paid = await server.PostAsync("/v1/payments", new { customer = "ann", amount = "500.00" });
        Assert.Equal(Text(await server.GetAsync("/v1/customers/ann"), "id"), Text(paid, "customer"));
        Assert.Equal(1, await server.PassAsync("/quotes", key, 1));
    }

    [Fact]
    public async Task A_pause_and_its_end_and_a_new_subscription_do_not_lift_the_hold()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", null);
        await TermsAsync(server, new { net_days = 0, hold_after_days = 5 });
        var subscription = Text(await server.PostAsync("/v1/subscriptions", new { customer = "ann", plan = "payg" }), "id");
        Assert.Equal(3, await server.PassAsync("/quotes", key, 3));
        await server.AdvanceAsync("P1M");
        await server.AdvanceAsync("P6D");
        Assert.Equal("payment_overdue", await RefusedAsync(server, key));
        await server.PostAsync($"/v1/subscriptions/{subscription}/pause", new { });
        await server.PostAsync($"/v1/subscriptions/{subscription}/resume", new { });
        Assert.Equal("payment_overdue", await RefusedAsync(server, key));
        await server.PostAsync("/v1/subscriptions", new { customer = "ann", plan = "max", priority = 5 });
        Assert.Equal("payment_overdue", await RefusedAsync(server, key));
        // what is written off is not waited for either
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0];
        await server.PostAsync($"/v1/invoices/{Text(invoice, "number")}/uncollectible", new { });
        Assert.Equal(1, await server.PassAsync("/quotes", key, 1));
    }

    [Fact]
    public async Task What_is_paid_of_an_invoice_that_was_written_off_pays_that_invoice_and_no_later_one()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Quotes, upstream);
        var key = await server.SubscribeAsync("ann", "payg");
        Assert.Equal(3, await server.PassAsync("/quotes", key, 3));
        await server.AdvanceAsync("P1M");
        var lost = Text((await server.GetAsync("/v1/invoices")).GetProperty("data")[0], "number");
        var due = decimal.Parse(Text(await server.GetAsync($"/v1/invoices/{lost}"), "amount_due")!);
        await server.PostAsync($"/v1/invoices/{lost}/uncollectible", new { });
        Assert.Equal(due, await BadDebtAsync());
        await server.PassAsync("/quotes", key, 1);
        await server.AdvanceAsync("P1M");
        var next = Text((await server.GetAsync("/v1/invoices")).GetProperty("data")[1], "number");

        await server.PostAsync("/v1/payments", new { invoice = lost, amount = "0.01" });
        Assert.Equal("uncollectible 0.01", await StandingAsync(lost));
        Assert.Equal(due - 0.01m, await BadDebtAsync());
        // what is more than was lost is the customer's
        await server.PostAsync("/v1/payments", new { invoice = lost, amount = $"{due}" });
        Assert.Equal($"paid {due}", await StandingAsync(lost));
        Assert.Equal(0, await BadDebtAsync());
        Assert.EndsWith(" 0.01", await StandingAsync(next));
        // and taken back it is their credit, as a payment of any invoice
        await server.PostAsync($"/v1/invoices/{lost}/void", new { });
        Assert.StartsWith("paid ", await StandingAsync(next));
        Assert.Equal(0, await BadDebtAsync());

        async Task<string> StandingAsync(string? number)
        {
            var invoice = await server.GetAsync($"/v1/invoices/{number}");
            return $"{Text(invoice, "status")} {Text(invoice, "amount_paid")}";
        }

        async Task<decimal> BadDebtAsync() => (await server.GetAsync("/v1/customers/ann/accounts")).GetProperty("data")
            .EnumerateArray().Where(a => Text(a, "account") == "bad_debt").Sum(a => decimal.Parse(Text(a, "balance")!));
    }

    private static Task<JsonElement> GrantAsync(TestServer server, string amount) =>
        server.PostAsync("/v1/credits", new { customer = "ann", kind = "prepaid", amount });

    private static async Task TermsAsync(TestServer server, object terms)
    {
        using var answer = await server.Admin.PutAsJsonAsync("/v1/customers/ann/terms", terms);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    private static async Task<string> RefusedAsync(TestServer server, string key)
    {
        using var answer = await server.CallAsync("/quotes", key);
        Assert.Equal(HttpStatusCode.PaymentRequired, answer.StatusCode);
        return Text(await answer.Content.ReadFromJsonAsync<JsonElement>(), "code");
    }

    private static async Task<JsonElement> BalanceAsync(TestServer server) =>
        (await server.GetAsync("/v1/customers/ann/balances")).GetProperty("data")[0];

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;
}
