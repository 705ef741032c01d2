using Dapper;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;

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

    [Theory]
    [InlineData(null)]
    [InlineData("2026-01-31")]
    public async Task Usage_of_half_a_year_ago_is_marked_once_and_never_dropped_silently(string? end)
    {
        await using var books = new Books();
        var subscription = await StartAsync(books);
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        if (end is not null) await books.EndAsync(subscription.Id, Books.At(end));
        await books.BillAsync(Books.At("2026-07-01T01:00"));
        await LateAsync(books, subscription, 200);
        await NoteAsync(books);
        Assert.Equal((0, 1), Told(await books.BillAsync(Books.At("2026-07-02"))));
        Assert.Equal(1_200, await MarkedAsync(books));
        Assert.Equal((0, 1), Told(await books.BillAsync(Books.At("2026-08-01T01:00"))));
        Assert.Equal(0, await books.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from late_stamps")));
        Assert.Equal("10.00", InvoiceDocument.Read(Assert.Single(await books.IssuedAsync()).Document).Total);
    }

    [Fact]
    public async Task Usage_that_an_invoice_has_told_or_is_to_tell_is_not_marked_however_late_it_was_drained()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books);
        // a node was away for days: its calls are in the invoice of January, or adjusted on that of February
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        await NoteAsync(books);
        await books.BillAsync(Books.At("2026-01-20"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        await LateAsync(books, subscription, 200);
        await NoteAsync(books);
        foreach (var day in (string[])["2026-02-20", "2026-03-01T01:00", "2026-06-01T01:00"]) await books.BillAsync(Books.At(day));
        await NoteAsync(books);
        Assert.Equal((0, 0), Told(await books.BillAsync(Books.At("2026-06-02"))));
        Assert.Equal(["10.00", "2.00"], (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document).Total));
    }

    [Fact]
    public async Task Calls_of_a_trial_are_late_for_nothing()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "data per_unit 0.01 data");
        var subscription = await books.SubscribeAsync(new NewSubscription(await books.CustomerAsync("acme"), plan.Id, ManagedBy.Api)
        {
            StartAt = Books.At("2026-01-01"),
            TrialEnd = Books.At("2026-02-01"),
        }, Books.At("2026-01-01"));
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        foreach (var month in (string[])["02", "03", "04", "05", "06"])
            Assert.Equal((0, 0), Told(await books.BillAsync(Books.At($"2026-{month}-01T01:00"))));
        await NoteAsync(books);
        Assert.Equal((0, 0), Told(await books.BillAsync(Books.At("2026-06-02"))));
    }

    /// <summary>What the drain notes of usage that is older than a day.</summary>
    private static Task NoteAsync(Books books) => books.SqlAsync("insert into late_stamps (entitlement_key, period) " +
        "select distinct entitlement, period from rollups where true on conflict do nothing");

    private static (int Issued, long Late) Told(BillingReport report) => (report.Issued, report.Late);

    private static async Task<SubscriptionRow> StartAsync(Books books) => await books.SubscribeAsync(
        await books.CustomerAsync("acme"), await books.PlanAsync("pro", "data per_unit 0.01 data"), Books.At("2026-01-01"));

    /// <summary>Calls of 10 January that are drained now.</summary>
    private static Task LateAsync(Books books, SubscriptionRow subscription, long calls) =>
        books.UseAsync(subscription.Id, "data", calls, Books.At("2026-01-10T12:00"));

    private static Task<long> MarkedAsync(Books books) => books.ReadAsync(
        db => db.ExecuteScalarAsync<long>("select cast(coalesce(sum(quantity), 0) as bigint) from late_usage"));
}
