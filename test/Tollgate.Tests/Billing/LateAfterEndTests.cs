using Dapper;
using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Tests.Billing;

/// <summary>Usage that comes after the last invoice of its terms: of a subscription that ended, of a calendar that was left, of
/// a month behind which nothing was used. It is billed or marked, and never dropped.</summary>
public sealed class LateAfterEndTests
{
    private static readonly long s_hour = 3_600 * Micros.PerSecond;

    [Theory]
    // in the middle of a month, at its end, and with the minutes of the last one
    [InlineData("2026-01-11", "2026-02-01", "2026-02-01T00:00:00Z")]
    [InlineData("2026-02-01", "2026-03-01", "2026-03-01T00:00:00Z")]
    [InlineData("2026-01-31T23:45", "2026-02-01", "2026-02-01T00:00:00Z")]
    public async Task Usage_of_what_has_ended_is_adjusted_where_the_next_invoice_would_have_been_and_once(
        string end, string look, string billAt)
    {
        await using var books = new Books();
        var subscription = await StartAsync(books);
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        await books.EndAsync(subscription.Id, Books.At(end));
        await books.BillAsync(Books.At(end) + s_hour);
        await LateAsync(books, subscription, 200);
        await books.BillAsync(Books.At(look) + s_hour);
        await books.BillAsync(Books.At("2026-12-01"));
        var issued = (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document)).ToArray();
        Assert.Equal(["10.00", "2.00"], issued.Select(i => i.Total));
        var line = Assert.Single(issued[1].Lines);
        Assert.Equal(("adjustment", "1000", "1200", "200"), (line.Kind, line.OldQuantity, line.NewQuantity, line.Quantity));
        Assert.Equal((billAt, "pro"), (issued[1].BillAt, issued[1].Plan));
        await books.AssertBalancedAsync();
    }

    [Fact]
    public async Task Usage_that_comes_when_nothing_looks_back_any_more_is_marked_though_nothing_is_billed()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books);
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        await books.EndAsync(subscription.Id, Books.At("2026-01-11"));
        await books.BillAsync(Books.At("2026-03-01") + s_hour);
        await LateAsync(books, subscription, 200);
        Assert.Equal(0, await MarkedAsync(books));
        var report = await books.BillAsync(Books.At("2026-04-01") + s_hour);
        Assert.Equal((0, 1, 1_200), (report.Issued, report.Late, await MarkedAsync(books)));
        Assert.Single(await books.IssuedAsync());
    }

    [Fact]
    public async Task Old_usage_is_marked_also_where_a_month_without_any_usage_has_no_invoice()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books);
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        await books.BillAsync(Books.At("2026-04-01T01:00"));
        await LateAsync(books, subscription, 200);
        Assert.Equal(1, (await books.BillAsync(Books.At("2026-05-01T01:00"))).Late);
        Assert.Equal((1, 1_200), ((await books.IssuedAsync()).Count, await MarkedAsync(books)));
    }

    [Fact]
    public async Task Usage_of_a_calendar_that_was_left_is_adjusted_on_the_first_invoice_of_the_new_one()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books);
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        var changed = await books.Changes(Books.At("2026-01-15")).ChangeAsync(
            subscription.Id, new WantedChange { Interval = Interval.Week, When = ChangeWhen.Now }, false);
        Assert.True(changed.Ok, string.Join("; ", changed.Problems));
        await books.BillAsync(Books.At("2026-01-15T01:00"));
        await LateAsync(books, subscription, 200);
        await books.BillAsync(Books.At("2026-02-20"));
        Assert.Equal(["10.00", "2.00"], (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document).Total));
    }

    [Fact]
    public async Task An_end_that_is_taken_back_while_late_usage_is_looked_for_goes_on_as_if_nothing_had_been()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books);
        await books.EndAsync(subscription.Id, Books.At("2026-01-11"));
        await books.BillAsync(Books.At("2026-01-12"));
        Assert.True((await books.Changes(Books.At("2026-01-20")).ReactivateAsync(subscription.Id, false)).Ok);
        await books.UseAsync(subscription.Id, "data", 300, Books.At("2026-01-21"));
        await books.UseAsync(subscription.Id, "data", 400, Books.At("2026-02-21"));
        await books.BillAsync(Books.At("2026-03-01T01:00"));
        Assert.Equal(["3.00", "4.00"], (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document).Total));
    }

    private static async Task<SubscriptionRow> StartAsync(Books books) => await books.SubscribeAsync(
        await books.CustomerAsync("acme"), await books.PlanAsync("pro", "data per_unit 0.01 data"), Books.At("2026-01-01"));

    /// <summary>Calls of 10 January that are drained now.</summary>
    private static Task LateAsync(Books books, SubscriptionRow subscription, long calls) =>
        books.UseAsync(subscription.Id, "data", calls, Books.At("2026-01-10T12:00"));

    private static Task<long> MarkedAsync(Books books) => books.ReadAsync(
        db => db.ExecuteScalarAsync<long>("select cast(coalesce(sum(quantity), 0) as bigint) from late_usage"));
}
