using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

public sealed class PreviewTests
{
    private const string Zone = "Asia/Tokyo";
    private const string Prices = "base flat 49.00 arrears; seat flat 31.00 advance; data per_unit 0.01 data";

    [Fact]
    public async Task The_running_month_gathers_its_usage_so_far_and_its_fees_at_the_end()
    {
        await using var books = new Books();
        var customer = await AcmeAsync(books, "2026-01-01");
        var now = Books.At("2026-01-15", Zone);
        await books.BillAsync(now);
        var found = await ShowAsync(books, customer, "2026-01", now);
        Assert.Equal(["issued", "gathering"], found.Select(d => d.Status));
        var draft = found[1];
        Assert.Equal((null, "2026-01-14T15:00:00Z", "2026-01-31T15:00:00Z"), (draft.Number, draft.AsOf, draft.BillAt));
        // the id that it will be issued under, so that it can be finalized
        Assert.StartsWith("inv_", draft.Id, StringComparison.Ordinal);
        Assert.Equal(["49.00", "1.00", "31.00"], draft.Lines.Select(l => l.Amount));
        Assert.Equal("81.00", draft.Total);
    }

    [Fact]
    public async Task An_invoice_takes_late_usage_for_as_long_as_the_window_says()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream,
            clock: new DateTimeOffset(2026, 1, 31, 0, 0, 0, TimeSpan.Zero),
            change: options => options with { CollectionWindow = TimeSpan.FromHours(30), LatePeriods = 0 });
        (await server.CallAsync("/api/v1/data", await server.SubscribeAsync("acme", "metered"))).Dispose();
        await server.AdvanceAsync("PT53H59M");
        Assert.Equal(0, (await server.GetAsync("/v1/invoices")).GetProperty("data").GetArrayLength());
        await server.AdvanceAsync("PT1M");
        Assert.Equal(1, (await server.GetAsync("/v1/invoices")).GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task What_was_issued_is_shown_as_it_is_stored_and_equals_its_draft()
    {
        await using var books = new Books();
        var customer = await AcmeAsync(books, "2026-01-01");
        var before = Books.At("2026-02-01T00:30", Zone);
        var draft = (await ShowAsync(books, customer, "2026-01", before))[1];
        Assert.Equal("draft", draft.Status);
        await books.BillAsync(Books.At("2026-02-01T01:00", Zone));
        var stored = (await books.IssuedAsync()).Select(i => i.Document);
        Assert.Equal(stored, await PreviewAsync(books, customer, "2026-01", Books.At("2026-02-02", Zone)));
        var issued = InvoiceDocument.Read(stored.Last());
        Assert.Equal(draft.Total, issued.Total);
        Assert.Equal(draft.Lines, issued.Lines);
    }

    [Fact]
    public async Task A_month_is_that_of_the_customers_zone_and_holds_what_starts_in_it()
    {
        await using var books = new Books();
        var customer = await AcmeAsync(books, "2026-01-31");
        var now = Books.At("2026-03-15", Zone);
        await books.BillAsync(now);
        Assert.Equal(["2026-01-30T15:00:00Z", "2026-01-30T15:00:00Z"], await StartsAsync("2026-01"));
        Assert.Equal(["2026-01-31T15:00:00Z"], await StartsAsync("2026-02"));
        Assert.Equal(["2026-01-31T15:00:00Z", "2026-02-28T15:00:00Z"], await StartsAsync("2026-02-01..2026-04-01"));
        Assert.Empty(await StartsAsync("2026-04"));
        Assert.Empty(await StartsAsync("2025-12"));

        async Task<IEnumerable<string>> StartsAsync(string period) =>
            (await ShowAsync(books, customer, period, now)).Select(d => d.PeriodStart);
    }

    [Fact]
    public async Task A_running_month_without_anything_is_an_empty_draft_and_an_ended_one_is_nothing()
    {
        await using var books = new Books();
        var customer = await books.CustomerAsync("acme");
        var plan = await books.PlanAsync("free", "");
        var subscription = await books.SubscribeAsync(customer, plan, Books.At("2026-01-01"));
        await books.UseAsync(subscription.Id, "data", 12, Books.At("2026-01-02"));
        var draft = Assert.Single(await ShowAsync(books, customer, "2026-01", Books.At("2026-01-03")));
        Assert.Equal(("0.00", "12"), (draft.Total, draft.UnpricedUsage.Single().Quantity));
        Assert.Empty(await ShowAsync(books, customer, "2026-01", Books.At("2026-02-03")));
    }

    [Theory]
    [InlineData("2026-13")]
    [InlineData("2026")]
    [InlineData("January")]
    [InlineData("2026-02-01..2026-02-01")]
    [InlineData("2026-02-01..")]
    [InlineData("")]
    [InlineData("9999-12")]
    [InlineData("1999-12")]
    [InlineData("0001-01-01..9999-12-31")]
    [InlineData("2026-01-01..2201-01-01")]
    public void What_is_no_period_is_refused_with_what_would_be_right(string text) => Assert.Equal(
        "period_invalid", InvoicePeriod.Read(text, NodaTime.DateTimeZone.Utc).Problems.Single().Code);

    private static async Task<CustomerRow> AcmeAsync(Books books, string start)
    {
        var customer = await books.CustomerAsync("acme", zone: Zone);
        var plan = await books.PlanAsync("pro", Prices);
        var at = Books.At(start, Zone);
        var subscription = await books.SubscribeAsync(customer, plan, at);
        await books.UseAsync(subscription.Id, "data", 100, at);
        return customer;
    }

    private static async Task<InvoiceDocument[]> ShowAsync(
        Books books, CustomerRow customer, string period, long now) =>
        (await PreviewAsync(books, customer, period, now)).Select(InvoiceDocument.Read).ToArray();

    private static async Task<IReadOnlyList<string>> PreviewAsync(
        Books books, CustomerRow customer, string period, long now) => (await books.Run().PreviewAsync(
            customer, InvoicePeriod.Read(period, BillingCalendar.FindZone(customer.Timezone)!).Value, now)).Value
        .Select(i => i.Document).ToArray();
}
