using Dapper;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>Which subscriptions a run looks at, and that none is missed.</summary>
public sealed class DueTests
{
    private static readonly long s_hour = 3_600 * Micros.PerSecond;

    [Theory]
    [InlineData("")]
    [InlineData("data per_unit 0.01 data")]
    [InlineData("base flat 1.00 arrears")]
    [InlineData("base flat 1.00 advance")]
    public async Task After_a_run_nothing_is_looked_at_until_the_next_bill_is_due(string prices)
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", prices);
        for (var i = 0; i < 5; i++)
            await books.SubscribeAsync(await books.CustomerAsync($"c{i}"), plan, Books.At("2023-01-10"));
        var now = Books.At("2026-01-15");
        Assert.Equal(5, (await DueAsync(books, now)).Count);
        await books.BillAsync(now, new BillingOptions { PageSize = 2 });
        Assert.Empty(await DueAsync(books, now));
        Assert.Empty(await DueAsync(books, Books.At("2026-02-01T00:59")));
        Assert.Equal(5, (await DueAsync(books, Books.At("2026-02-01T01:00"))).Count);
    }

    [Fact(Skip = TestDatabase.NeedsTheFile, SkipType = typeof(TestDatabase), SkipWhen = nameof(TestDatabase.OnPostgres))]
    public async Task Who_is_due_is_one_range_of_an_index()
    {
        await using var books = new Books();
        var plan = await books.ReadAsync(db => db.QueryAsync<(long, long, long, string Detail)>(
            "explain query plan select key from subscriptions s where s.next_bill_at <= 1 " +
            "and (s.next_bill_at <= 0 or s.waits = 0) " +
            "and (s.next_bill_at, s.start_at, s.key) > (0, 0, 0) order by s.next_bill_at, s.start_at, s.key limit 5"));
        Assert.Contains("INDEX subscriptions_by_next_bill", Assert.Single(plan).Detail);
    }

    [Fact]
    public async Task A_draft_behind_another_is_found_by_its_id_and_issued_behind_it()
    {
        await using var books = new Books();
        var subscription = await books.SubscribeAsync(
            await books.CustomerAsync("acme"), await books.PlanAsync("pro", "data per_unit 0.01 data"), Books.At("2026-01-01"));
        await books.BillAsync(Books.At("2026-01-02"));
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        await books.UseAsync(subscription.Id, "data", 2_000, Books.At("2026-02-10"));
        var (run, now) = (books.Run(new BillingOptions { CollectionWindow = TimeSpan.FromDays(31) }), Books.At("2026-03-02"));
        string[] ids = [.. ((string[])["2026-02-01", "2026-03-01", "2026-04-01"]).Select(d => InvoiceIds.Of(subscription.Id, Books.At(d)))];
        var found = new List<string?>();
        foreach (var id in ids) found.Add((await run.FindOpenAsync(id, now)).Value?.Total);
        Assert.Equal(["10.00", "20.00", "0.00"], found);
        Assert.Null((await run.FindOpenAsync(InvoiceIds.Of("sub_other", Books.At("2026-03-01")), now)).Value);

        var early = await run.FinalizeAsync(ids[1], now);
        Assert.Equal("not_next", early.Problems[0].Code);
        Assert.Contains(ids[0], early.Problems[0].Detail, StringComparison.Ordinal);
        Assert.Equal("period_not_over", (await run.FinalizeAsync(ids[2], now)).Problems[0].Code);
        Assert.Empty(await books.IssuedAsync());
        Assert.True((await run.FinalizeAsync(ids[0], now)).Ok);
        Assert.True((await run.FinalizeAsync(ids[1], now)).Ok);
        Assert.Equal(ids[..2], (await books.IssuedAsync()).Select(i => i.Id));
    }

    [Fact]
    public async Task An_ended_subscription_is_billed_once_more_and_looked_at_for_late_usage_three_times()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "base flat 31.00 arrears");
        var subscription = await books.SubscribeAsync(await books.CustomerAsync("acme"), plan, Books.At("2026-01-01"));
        await books.BillAsync(Books.At("2026-01-02"));
        await books.EndAsync(subscription.Id, Books.At("2026-01-11"));
        await books.BillAsync(Books.At("2026-01-11T01:00"));
        foreach (var look in (string[])["2026-02-01", "2026-03-01", "2026-04-01"])
        {
            Assert.Equal(Books.At(look), await NextAsync(books));
            await books.BillAsync(Books.At(look) + s_hour);
        }

        Assert.Equal(1_000, (await books.IssuedAsync()).Single().Total);
        Assert.Null(await NextAsync(books));
        Assert.Empty(await DueAsync(books, Books.At("2027-01-01")));
    }

    [Fact]
    public async Task An_end_that_is_moved_to_later_is_billed_from_where_the_earlier_one_left_off()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "data per_unit 0.01 data");
        var subscription = await books.SubscribeAsync(await books.CustomerAsync("acme"), plan, Books.At("2026-01-01"));
        await books.EndAsync(subscription.Id, Books.At("2026-01-11"));
        await books.BillAsync(Books.At("2026-01-12"));
        Assert.Equal(Books.At("2026-02-01"), await NextAsync(books));
        await books.EndAsync(subscription.Id, Books.At("2026-03-11"));
        Assert.Equal(Books.At("2026-01-11"), await NextAsync(books));
    }

    [Fact]
    public async Task Prices_published_at_the_instant_of_the_start_are_billed_though_it_was_found_free()
    {
        await using var books = new Books();
        var free = await books.PlanAsync("pro", "");
        var start = Books.At("2026-01-01");
        await books.SubscribeAsync(await books.CustomerAsync("acme"), free, start);
        await books.BillAsync(start);
        await books.MigrateAsync(await books.PlanAsync("pro", "base flat 49.00 advance"), start);
        Assert.Equal(1, (await books.BillAsync(start)).Issued);
    }

    [Fact]
    public async Task Prices_that_a_free_plan_gets_are_billed_with_its_running_month()
    {
        await using var books = new Books();
        var free = await books.PlanAsync("pro", "");
        await books.SubscribeAsync(await books.CustomerAsync("acme"), free, Books.At("2025-10-01"));
        await books.BillAsync(Books.At("2026-01-11"));
        await books.MigrateAsync(await books.PlanAsync("pro", "base flat 31.00 arrears"), Books.At("2026-01-11"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        Assert.Equal(2_100, (await books.IssuedAsync()).Single().Total);
    }

    [Fact]
    public async Task Months_found_empty_while_the_clock_was_ahead_are_billed_when_they_come()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "data per_unit 0.01 data");
        var subscription = await books.SubscribeAsync(await books.CustomerAsync("acme"), plan, Books.At("2026-01-01"));
        await books.BillAsync(Books.At("2028-06-15"));
        await books.UseAsync(subscription.Id, "data", 100, Books.At("2026-01-10"));
        await books.BillAsync(Books.At("2026-01-15"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        Assert.Equal(100, (await books.IssuedAsync()).Single().Total);
    }

    [Fact]
    public async Task A_subscription_that_changed_since_it_was_looked_at_is_not_passed_over()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "base flat 1.00 arrears");
        var subscription = await books.SubscribeAsync(await books.CustomerAsync("acme"), plan, Books.At("2026-01-01"));
        var seen = (await DueAsync(books, Books.At("2026-01-02"))).Single();
        await books.EndAsync(subscription.Id, Books.At("2026-01-20"));
        Assert.False(await books.Database.WriteAsync(
            db => InvoiceStore.TryAdvanceAsync(db, seen, Books.At("2026-02-01"))));
        Assert.Equal(Books.At("2026-01-01"), await NextAsync(books));
    }

    [Fact]
    public async Task More_bills_at_once_than_the_bound_park_the_subscription_and_issue_none()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "base flat 1.00 arrears");
        await books.SubscribeAsync(await books.CustomerAsync("old"), plan, Books.At("1976-01-01"));
        await books.SubscribeAsync(await books.CustomerAsync("fine"), plan, Books.At("2021-01-01"));
        var report = await books.BillAsync(Books.At("2025-12-02"));
        Assert.Equal((59, 1), (report.Issued, report.ParkedCount));
        Assert.Equal("too_many_bills", report.Parked.Single().Code);
        Assert.Contains("more than 60 bills", report.Parked.Single().Detail);
    }

    [Fact]
    public async Task A_subscription_billed_in_part_is_parked_once()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "base flat 10.00 arrears");
        await books.SubscribeAsync(await books.CustomerAsync("acme"), plan, Books.At("2026-01-01"));
        await books.MigrateAsync(await books.PlanAsync("pro", "base flat 9.00 arrears", "EUR"), Books.At("2026-02-10"));
        var report = await books.BillAsync(Books.At("2026-06-02"), new BillingOptions { PageSize = 1 });
        Assert.Equal((1, 1), (report.Issued, report.ParkedCount));
    }

    private static Task<IReadOnlyList<BilledSubscription>> DueAsync(Books books, long now) =>
        books.Invoices.DueAsync(DueCursor.Start, now, s_hour, 100);

    private static Task<long?> NextAsync(Books books) => books.ReadAsync(
        db => db.ExecuteScalarAsync<long?>("select next_bill_at from subscriptions"));
}
