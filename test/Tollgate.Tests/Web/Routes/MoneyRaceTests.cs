using System.Globalization;
using System.Text;
using System.Text.Json;
using Dapper;

namespace Tollgate.Tests.Web.Routes;

/// <summary>Twenty who ask for the same at the same time: as if they had come one after the other, and the ledger is right.
/// </summary>
public sealed class MoneyRaceTests
{
    private const int Together = 20;

    // what is there | the path | the body | how many may succeed, and with what the others are refused
    [Theory]
    [InlineData("invoice", "/v1/invoices/$invoice/void", "{}", 1, 409)]
    [InlineData("invoice", "/v1/invoices/$invoice/uncollectible", "{}", 1, 409)]
    [InlineData("invoice", "/v1/payments", """{"invoice":"$invoice","amount":"1.00"}""", 20, 0)]
    [InlineData("invoice", "/v1/credit_notes", """{"invoice":"$invoice","reason":"r"}""", 1, 400)]
    [InlineData("invoice", "/v1/credit_notes", """{"invoice":"$invoice","reason":"r","amount":"1.00"}""", 7, 400)]
    [InlineData("draft", "/v1/invoices/$draft/finalize", "{}", 20, 0)]
    [InlineData("subscription", "/v1/subscriptions/$subscription/cancel", "{}", 1, 409)]
    [InlineData("subscription", "/v1/subscriptions/$subscription/change", """{"plan":"other"}""", 1, 409)]
    [InlineData("subscription", "/v1/subscriptions/$subscription/pause", "{}", 1, 409)]
    [InlineData("paused", "/v1/subscriptions/$subscription/resume", "{}", 1, 409)]
    [InlineData("credit", "/v1/credits/$credit/void", "{}", 1, 409)]
    [InlineData("coupon customer", "/v1/coupons/$coupon/apply", """{"customer":"$customer"}""", 1, 409)]
    [InlineData("customer", "/v1/subscriptions", """{"customer":"$customer","plan":"metered"}""", 1, 409)]
    public async Task Twenty_at_once_are_as_good_as_one_after_the_other(
        string needs, string path, string body, int succeed, int refusal)
    {
        await using var world = await RouteWorld.StartAsync();
        var example = new RouteExample("billing", "POST x", needs.Split(' '), path, body);
        var names = await world.MakeAsync(example);
        var answers = await Task.WhenAll(Enumerable.Range(0, Together).Select(_ => world.SendAsync(example, names)));
        var told = string.Join("\n", answers.Select(a => $"{a.Status} {a.Text}"));
        Assert.True(succeed == answers.Count(a => a.Status < 300), told);
        Assert.True(answers.All(a => a.Status < 300 || a.Status == refusal), told);
        await BooksAreRightAsync(world, names["customer"]);
    }

    [Fact]
    public async Task Twenty_migrations_at_once_move_each_subscription_once()
    {
        await using var world = await RouteWorld.StartAsync();
        var example = RouteExample.All["POST /v1/plans/{plan}/versions/{version}/migrate"];
        var names = await world.MakeAsync(example);
        for (var i = 0; i < 5; i++)
        {
            await world.Server.PostAsync("/v1/customers", new { name = "mover-" + i });
            await world.Server.PostAsync("/v1/subscriptions", new { customer = "mover-" + i, plan = names["plan"] });
        }

        const string dearer = """
            {"prices": {"base": {"model": "flat", "amount": "9.00", "every": "month", "in": "advance"}}, "migrate": "never"}
            """;
        var published = await world.SendAsync("POST", $"/v1/plans/{names["plan"]}/versions", Encoding.UTF8.GetBytes(dearer));
        Assert.True(published.Status == 201, published.Text);
        var to = example with { Path = $"/v1/plans/{names["plan"]}/versions/2/migrate" };
        var answers = await Task.WhenAll(Enumerable.Range(0, Together).Select(_ => world.SendAsync(to, names)));
        Assert.All(answers, a => Assert.True(a.Status == 200, a.Text));
        Assert.Equal(5, answers.Sum(a => JsonDocument.Parse(a.Text).RootElement.GetProperty("count").GetInt32()));
        await world.Server.AdvanceAsync("PT2H");
        for (var i = 0; i < 5; i++)
        {
            // what was paid for the rest of the month, given back, and asked for at the new price
            var invoices = (await world.Server.GetAsync("/v1/invoices?customer=mover-" + i)).GetProperty("data");
            Assert.Equal(2, invoices.GetArrayLength());
            await BooksAreRightAsync(world, "mover-" + i);
        }
    }

    [Fact]
    public async Task Payments_notes_and_a_void_at_once_leave_books_that_add_up()
    {
        await using var world = await RouteWorld.StartAsync();
        var needs = new RouteExample("billing", "POST x", ["invoice"], "", null);
        for (var round = 0; round < 3; round++)
        {
            var names = await world.MakeAsync(needs);
            string[] paths = ["/v1/payments", "/v1/credit_notes", $"/v1/invoices/{names["invoice"]}/void", "/v1/payments"];
            var answers = await Task.WhenAll(Enumerable.Range(0, Together).Select(i => world.SendAsync("POST", paths[i % 4],
                Encoding.UTF8.GetBytes(i % 4 == 2 ? "{}"
                    : i % 4 == 1 ? $$"""{"invoice":"{{names["invoice"]}}","amount":"0.50","reason":"r"}"""
                    : $$"""{"invoice":"{{names["invoice"]}}","amount":"2.00"}"""))));
            Assert.All(answers, a => Assert.True(a.Status < 500, a.Text));
            Assert.InRange(answers.Where((_, i) => i % 4 == 2).Count(a => a.Status < 300), 0, 1);
            await BooksAreRightAsync(world, names["customer"]);
        }
    }

    /// <summary>The postings of each entry sum to zero, the accounts are the sums of the postings, and what customers owe is
    /// what is left of their invoices.</summary>
    private static async Task BooksAreRightAsync(RouteWorld world, string customer)
    {
        var unbalanced = await world.Server.Node.Database.ReadAsync(db => db.QueryAsync<string>(
            "select entry || '' from postings group by entry, currency having sum(amount) <> 0"));
        Assert.Empty(unbalanced);
        var accounts = (await world.Server.GetAsync($"/v1/customers/{customer}/accounts")).GetProperty("data").EnumerateArray()
            .ToDictionary(a => a.GetProperty("account").GetString()!, a => Number(a, "balance"));
        Assert.Equal(0, accounts.Values.Sum());
        var invoices = (await world.Server.GetAsync($"/v1/invoices?customer={customer}")).GetProperty("data");
        var open = 0m;
        foreach (var invoice in invoices.EnumerateArray())
        {
            var remaining = Number(invoice, "amount_remaining");
            if (invoice.GetProperty("status").GetString() is "issued" or "overdue" or "paid")
                Assert.Equal(Math.Max(0, Number(invoice, "amount_due")), Number(invoice, "amount_paid") + remaining);
            open += remaining;
        }

        var payments = (await world.Server.GetAsync($"/v1/payments?customer={customer}")).GetProperty("data").EnumerateArray();
        Assert.Equal(payments.Sum(p => Number(p, "amount")), accounts.GetValueOrDefault("cash"));
        // below zero it is what we owe them
        Assert.True(accounts.GetValueOrDefault("customer") <= open, $"{accounts.GetValueOrDefault("customer")} {open}");
    }

    private static decimal Number(JsonElement of, string field) =>
        decimal.Parse(of.GetProperty(field).GetString()!, CultureInfo.InvariantCulture);
}
