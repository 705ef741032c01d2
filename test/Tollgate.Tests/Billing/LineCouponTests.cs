using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Tests.Billing;

/// <summary>
/// A coupon of some prices is a discount of their lines: it comes before maximum and minimum, of the price and of the
/// period, and a coupon of the invoice comes behind them (money.md 6). Every number was worked out by hand.
/// </summary>
public sealed class LineCouponTests
{
    private const string Most50 = """data {"model":"per_unit","meter":"calls","unit_amount":"1","maximum":"50"}""";
    private const string Least60 = """data {"model":"per_unit","meter":"calls","unit_amount":"1","minimum":"60"}""";

    // prices | calls | coupons: name, percent or amount, of which price | spend | lines, less what is taken off | net
    [Theory]
    // half of 80 is below the maximum of 50
    [InlineData(Most50, 80, "half 50% data", null, "usage 80.00-40.00", "40.00")]
    // 70 are 20 too much
    [InlineData(Most50, 80, "ten 10.00 data", null, "usage 80.00-10.00; maximum -20.00", "50.00")]
    // of all 50 that the maximum leaves: 80 and -30 bear it together, the one that has something to give
    [InlineData(Most50, 80, "half 50% *", null, "usage 80.00-25.00; maximum -30.00", "25.00")]
    // 80 - 10 = 70, 20 too much; a tenth of the 50 that are left
    [InlineData(Most50, 80, "tenth 10% *; ten 10.00 data", null, "usage 80.00-15.00; maximum -20.00", "45.00")]
    // half of 80 misses the minimum by 20; the discount does not touch what is missing
    [InlineData(Least60, 80, "half 50% data", null, "usage 80.00-40.00; minimum 20.00", "60.00")]
    [InlineData(Least60, 0, "half 50% data", null, "minimum 60.00", "60.00")]
    // 80 are enough, and half of the invoice is 40
    [InlineData(Least60, 80, "half 50% *", null, "usage 80.00-40.00", "40.00")]
    // 20 of the fee and 20 calls: 60 are missing of 100
    [InlineData("base flat 40.00 arrears; data per_unit 1 data", 20, "half 50% base", "minimum 100.00",
        "fee 40.00-20.00; usage 20.00; minimum 60.00", "100.00")]
    // the same before a tenth of all of it: of 20, 20 and 60
    [InlineData("base flat 40.00 arrears; data per_unit 1 data", 20, "half 50% base; tenth 10% *", "minimum 100.00",
        "fee 40.00-22.00; usage 20.00-2.00; minimum 60.00-6.00", "90.00")]
    // three fifths of 150 are below 100
    [InlineData("data per_unit 1 data", 150, "forty 40% data", "maximum 100.00", "usage 150.00-60.00", "90.00")]
    [InlineData("data per_unit 1 data", 150, "forty 40% *", "maximum 100.00", "usage 150.00-40.00; maximum -50.00", "60.00")]
    // ten shared by 30 and 60 of two prices, before the maximum of the one: 26.67, and 53.33 are 3.33 too much
    [InlineData("base flat 30.00 arrears; " + Most50, 60, "ten 10.00 base,data", null,
        "fee 30.00-3.33; usage 60.00-6.67; maximum -3.33", "76.67")]
    public async Task Coupons_of_prices_come_before_every_bound(
        string prices, int calls, string coupons, string? spend, string lines, string net)
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, prices);
        foreach (var coupon in coupons.Split("; ")) await ApplyAsync(books, subscription, coupon);
        if (spend?.Split(' ') is [var kind, var amount]) await CommitAsync(books, subscription, kind, decimal.Parse(amount));
        if (calls > 0) await books.UseAsync(subscription.Id, "data", calls, Books.At("2026-01-10"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        var invoice = Document(await books.IssuedAsync()).Single();
        Assert.Equal((lines, net), (Text(invoice), invoice.Net));
        await books.AssertBalancedAsync();
    }

    [Fact]
    public async Task A_fee_in_advance_counts_for_a_minimum_with_the_discount_that_it_had()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "base flat 40.00 advance; data per_unit 1 data");
        await ApplyAsync(books, subscription, "half 50% base");
        await ApplyAsync(books, subscription, "tenth 10% *");
        await CommitAsync(books, subscription, CommitmentRow.Minimum, 100);
        await books.BillAsync(Books.At("2026-01-01T01:00"));
        await books.UseAsync(subscription.Id, "data", 30, Books.At("2026-01-10"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        // 20 in advance and 30 calls: 50 are missing; the tenth of both invoices counts for neither
        Assert.Equal(["fee 40.00-22.00", "usage 30.00-3.00; minimum 50.00-5.00; fee 40.00-22.00"],
            Document(await books.IssuedAsync()).Select(Text));
    }

    [Fact]
    public async Task What_is_taken_off_a_line_is_told_beside_what_is_taken_off_the_invoice()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, Most50);
        await books.TermsAsync(subscription, CustomerTerms.Plain with { TaxPercent = 20 });
        await ApplyAsync(books, subscription, "tenth 10% *");
        await ApplyAsync(books, subscription, "ten 10.00 data");
        await books.UseAsync(subscription.Id, "data", 80, Books.At("2026-01-10"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        var invoice = Document(await books.IssuedAsync()).Single();
        Assert.Equal([("ten", "10.00"), ("tenth", "5.00")], invoice.Discounts.Select(d => (d.Name, d.Amount)));
        Assert.Equal(("80.00", "15.00", "10.00"),
            (invoice.Lines[0].Amount, invoice.Lines[0].Discount, invoice.Lines[0].LineDiscount));
        // 20 % of 65 and of -20
        Assert.Equal(["13.00", "-4.00"], invoice.Lines.Select(l => l.Tax));
        Assert.Equal(("60.00", "45.00", "9.00", "54.00"), (invoice.Subtotal, invoice.Net, invoice.Tax, invoice.Total));
        var text = InvoiceText.Render(invoice).Split('\n');
        Assert.Matches("^data +down to the maximum +-20.00$", Assert.Single(text, l => l.Contains("-20.00", StringComparison.Ordinal)));
    }

    private static async Task<SubscriptionRow> StartAsync(Books books, string prices) => await books.SubscribeAsync(
        await books.CustomerAsync("acme"), await books.PlanAsync("pro", prices), Books.At("2026-01-01"));

    private static async Task ApplyAsync(Books books, SubscriptionRow subscription, string text)
    {
        var words = text.Split(' ');
        var store = new CouponStore(books.Database, books.ClockAt(0));
        var isPercent = words[1][^1] == '%';
        var number = decimal.Parse(words[1].TrimEnd('%'));
        var coupon = await store.AddAsync(
            new Discount(words[0], isPercent ? number : null, isPercent ? null : Money.Round(number, Currency.Usd))
            {
                Prices = words[2] == "*" ? null : words[2].Split(','),
            }, null);
        Assert.True(await store.ApplyAsync(coupon!, subscription.CustomerKey, null));
    }

    private static Task CommitAsync(Books books, SubscriptionRow subscription, string kind, decimal amount) =>
        new CommitmentStore(books.Database, books.ClockAt(0)).AddAsync(
            subscription.Key, kind, Money.Round(amount, Currency.Usd), (subscription.StartAt, null));

    private static IEnumerable<InvoiceDocument> Document(IReadOnlyList<InvoiceRow> rows) =>
        rows.Select(r => InvoiceDocument.Read(r.Document));

    private static string Text(InvoiceDocument invoice) => string.Join("; ", invoice.Lines.Select(
        l => $"{l.Kind} {l.Amount}{(l.Discount is null ? "" : $"-{l.Discount}")}"));
}
