using System.Text.RegularExpressions;
using Tollgate.Billing;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>An invoice for people: each amount can be checked by hand, and it says what has become of it.</summary>
public sealed partial class InvoiceTextTests
{
    [Theory]
    [InlineData("""{"model":"per_unit","unit_amount":"0.07","included":"3"}""", "/api/v1/data 5 calls, 3 included, × 0.07 0.14")]
    [InlineData("""{"model":"graduated","included":"1","tiers":[{"up_to":2,"unit_amount":"1","flat_amount":"5"},{"unit_amount":"0.5"}]}""",
        "/api/v1/data 5 calls, 1 included 8.00",
        "2 calls up to 2 × 1.00 = 2", "flat amount up to 2 = 5", "2 calls above 2 × 0.50 = 1")]
    [InlineData("""{"model":"package","size":"2","amount":"1.50"}""", "/api/v1/data 5 calls 4.50", "3 packages of 2 × 1.50 = 4.5")]
    [InlineData("""{"model":"stairstep","tiers":[{"up_to":"2","flat_amount":"5"},{"flat_amount":"20"}]}""",
        "/api/v1/data 5 calls 20.00", "flat amount above 2 = 20")]
    [InlineData("""{"model":"per_unit","unit_amount":"2","convert":{"divide_by":"4","round":"up"}}""",
        "/api/v1/data 5 calls 4.00", "2 calls × 2.00 = 4")]
    // one tier at one amount needs no more words
    [InlineData("""{"model":"graduated","tiers":[{"unit_amount":"0.5"}]}""", "/api/v1/data 5 calls × 0.50 2.50")]
    public async Task A_line_says_how_its_amount_comes_about(string price, params string[] lines)
    {
        await using var books = new Books();
        var invoice = await UseAsync(books, "data " + Of(price));
        Assert.Equal(lines, LinesOf(InvoiceText.Render(invoice)));
        var line = Assert.Single(invoice.Lines);
        // the same for machines: either the unit amount says it all, or the parts sum to the amount
        Assert.Equal(line.UnitAmount is null, line.Parts is not null);
        if (line.Parts is not null)
            Assert.Equal(DecimalText.Read(line.PreciseAmount), line.Parts.Sum(p => DecimalText.Read(p.PreciseAmount)));
        Assert.Equal(price.Contains("included", StringComparison.Ordinal), line.IncludedUnits is not null);
    }

    [Fact]
    public async Task Where_several_prices_ask_for_one_endpoint_each_line_names_its_own_and_its_cell()
    {
        await using var books = new Books();
        var cell = Of("""{"model":"per_unit","unit_amount":"1","matrix":[{"when":"00:00-24:00","unit_amount":"2"}]}""");
        var invoice = await UseAsync(books, $"data per_unit 0.01 *; extra {cell}");
        Assert.Equal(["/api/v1/data (data) 5 calls × 0.01 0.05", "/api/v1/data (extra), 00:00-24:00 5 calls × 2.00 10.00"],
            LinesOf(InvoiceText.Render(invoice)));
    }

    [Theory]
    [InlineData("""{"model":"per_unit","unit_amount":"0.10"}""", "/api/v1/data adjusted: 5 → 7 calls × 0.10 0.20")]
    // two more calls are one more package, and no calls at 1.50
    [InlineData("""{"model":"package","size":"2","amount":"1.50"}""", "/api/v1/data adjusted: 5 → 7 calls 1.50")]
    public async Task An_adjustment_says_what_was_told_and_what_there_is(string price, string line)
    {
        await using var books = new Books();
        await UseAsync(books, "data " + Of(price), 2);
        await books.BillAsync(Books.At("2026-03-01T01:00"));
        var text = InvoiceText.Render(InvoiceDocument.Read((await books.IssuedAsync())[^1].Document));
        Assert.Equal(["2026-01-01 to 2026-01-31, version 1", line], LinesOf(text));
    }

    [Fact]
    public async Task A_credit_of_a_fee_says_that_it_was_not_used()
    {
        await using var books = new Books();
        var subscription = await books.SubscribeAsync(
            await books.CustomerAsync("acme"), await books.PlanAsync("pro", "base flat 31.00 advance"), Books.At("2026-01-01"));
        await books.BillAsync(Books.At("2026-01-01"));
        await books.EndAsync(subscription.Id, Books.At("2026-01-11"));
        await books.BillAsync(Books.At("2026-01-11T01:00"));
        var text = InvoiceText.Render(InvoiceDocument.Read((await books.IssuedAsync())[^1].Document));
        Assert.Contains("base not used: 21 of 31 days × 31.00 -21.00", LinesOf(text));
    }

    [Fact]
    public async Task Text_and_preview_say_what_has_become_of_an_invoice()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream);
        var key = await server.SubscribeAsync("acme", "metered");
        await server.PassAsync("/api/v1/data", key, 100);
        await server.AdvanceAsync("P22D");
        Assert.Contains("issued at 2026-02-01T12:00:00Z, due at 2026-03-03T12:00:00Z\n", await TextAsync());
        await server.PostAsync("/v1/payments", new { customer = "acme", amount = "0.40" });
        Assert.Equal(["Total USD 1.00", "Paid or credited -0.40", "Left to pay USD 0.60"],
            (await TextAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries)[^3..].Select(l => Columns().Replace(l, " ")));
        await server.AdvanceAsync("P31D");
        Assert.Contains("overdue since 2026-03-03T12:00:00Z, issued at 2026-02-01T12:00:00Z\n", await TextAsync());
        await server.PostAsync("/v1/payments", new { customer = "acme", amount = "0.60" });
        Assert.Contains("paid since 2026-03-04T12:00:00Z, issued at 2026-02-01T12:00:00Z\n", await TextAsync());
        var number = (await server.GetAsync("/v1/invoices")).GetProperty("data")[0].GetProperty("number").GetString();
        await server.PostAsync($"/v1/invoices/{number}/void", new { });
        Assert.Contains("void since 2026-03-04T12:00:00Z", await server.TextAsync($"/v1/invoices/{number}"));
        var shown = (await server.GetAsync("/v1/invoices/preview?customer=acme&period=2026-01")).GetProperty("data")[0];
        Assert.Equal(("void", "0.00"),
            (shown.GetProperty("status").GetString(), shown.GetProperty("amount_remaining").GetString()));

        Task<string> TextAsync() => server.TextAsync("/v1/invoices/preview?customer=acme&period=2026-01");
    }

    /// <summary>Five calls in January, and more of them after their invoice.</summary>
    private static async Task<InvoiceDocument> UseAsync(Books books, string prices, int late = 0)
    {
        var subscription = await books.SubscribeAsync(
            await books.CustomerAsync("acme"), await books.PlanAsync("pro", prices), Books.At("2026-01-01"));
        await books.UseAsync(subscription.Id, "data", 5, Books.At("2026-01-10"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        if (late > 0) await books.UseAsync(subscription.Id, "data", late, Books.At("2026-01-20"));
        return InvoiceDocument.Read((await books.IssuedAsync())[0].Document);
    }

    private static string Of(string price) => price.Insert(1, "\"meter\":\"calls\",");

    /// <summary>What stands between the header and the total, columns by one space.</summary>
    private static string[] LinesOf(string text) =>
    [
        .. text.Split('\n').SkipWhile(l => l.Length > 0).TakeWhile(l => !l.StartsWith("---", StringComparison.Ordinal))
            .Where(l => l.Length > 0).Select(l => Columns().Replace(l.Trim(), " ")),
    ];

    [GeneratedRegex(" {2,}")]
    private static partial Regex Columns();
}
