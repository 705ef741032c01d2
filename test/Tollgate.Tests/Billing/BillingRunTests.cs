using CsCheck;
using System.Data.Common;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

public sealed class BillingRunTests
{
    private const string Prices = "base flat 49.00 arrears; seat flat 9.99 advance; data per_unit 0.01 data,quote";

    [Fact]
    public async Task Running_twice_changes_nothing()
    {
        await using var books = new Books();
        await CustomersAsync(books, 3);
        var now = Books.At("2026-03-15");
        var first = await books.BillAsync(now);
        var issued = await books.IssuedAsync();
        var again = await books.BillAsync(now);
        Assert.Equal((9, 0), (first.Issued, again.Issued));
        Assert.Equal(issued, await books.IssuedAsync());
    }

    [Fact]
    public async Task Two_runs_at_once_issue_each_invoice_once()
    {
        await using var books = new Books();
        await CustomersAsync(books, 20);
        var now = Books.At("2026-03-15");
        var reports = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => books.BillAsync(now))));
        await books.BillAsync(now);
        var issued = await books.IssuedAsync();
        Assert.Equal(60, issued.Count);
        Assert.True(reports.Sum(r => r.Issued) <= 60);
        Assert.Equal(60, issued.Select(i => (i.SubscriptionKey, i.BillAt)).Distinct().Count());
        AssertGapless(issued, 2026);
    }

    [Fact]
    public async Task Numbers_have_no_gap_after_a_death_between_two_invoices()
    {
        await using var books = new Books();
        var customers = await CustomersAsync(books, 3);
        var now = Books.At("2026-02-15");
        await books.Database.WriteAsync(
            db => TestDatabase.BreakAsync(db, "invoices", $"customer_key = {customers[1].Key}"));
        await Assert.ThrowsAnyAsync<DbException>(() => books.BillAsync(now));
        Assert.Equal(2, (await books.IssuedAsync()).Count);
        await books.Database.WriteAsync(db => TestDatabase.MendAsync(db, "invoices"));
        await books.BillAsync(now);
        var issued = await books.IssuedAsync();
        Assert.Equal(6, issued.Count);
        AssertGapless(issued, 2026);
    }

    [Fact]
    public async Task Numbers_begin_anew_in_the_year_of_issue_and_go_on_when_the_clock_jumps_back()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "base flat 1.00 arrears");
        await books.SubscribeAsync(await books.CustomerAsync("acme"), plan, Books.At("2026-11-01"));
        await books.BillAsync(Books.At("2026-12-01T01:00"));
        await books.BillAsync(Books.At("2027-01-01T01:00"));
        await books.SubscribeAsync(await books.CustomerAsync("late"), plan, Books.At("2026-11-01"));
        await books.BillAsync(Books.At("2026-12-15"));
        Assert.Equal(["2026-000001", "2027-000001", "2026-000002"], (await books.IssuedAsync()).Select(i => i.Number));
    }

    [Fact]
    public async Task The_journals_are_drained_before_anything_is_issued()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "data per_unit 0.01 data");
        var subscription = await books.SubscribeAsync(await books.CustomerAsync("acme"), plan, Books.At("2026-01-01"));
        books.CatchUp = () => books.UseAsync(subscription.Id, "data", 100, Books.At("2026-01-31T23:59"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        Assert.Equal(100, (await books.IssuedAsync()).Single().Total);
    }

    [Fact]
    public async Task When_the_journals_cannot_be_drained_nothing_is_issued()
    {
        await using var books = new Books();
        await CustomersAsync(books, 1);
        books.CatchUp = () => throw new IOException("journal 2 is away");
        await Assert.ThrowsAsync<IOException>(() => books.BillAsync(Books.At("2026-03-01")));
        Assert.Empty(await books.IssuedAsync());
    }

    [Fact]
    public async Task A_subscription_that_cannot_be_billed_is_parked_and_the_others_are_billed()
    {
        await using var books = new Books();
        var start = Books.At("2026-01-01");
        var pro = await books.PlanAsync("pro", "base flat 10.00 arrears");
        var parked = await books.SubscribeAsync(await books.CustomerAsync("mixed"), pro, start);
        var euros = await books.PlanAsync("pro", "base flat 20.00 arrears", "EUR");
        await books.MigrateAsync(euros, Books.At("2026-01-10"));
        var huge = await books.PlanAsync("huge", "data per_unit 999999999999 data");
        var large = await books.SubscribeAsync(await books.CustomerAsync("large"), huge, start);
        await books.UseAsync(large.Id, "data", long.MaxValue / 2, Books.At("2026-01-10"));
        await books.SubscribeAsync(await books.CustomerAsync("fine", "EUR"), euros, start);
        var report = await books.BillAsync(Books.At("2026-02-02"));
        Assert.Equal((1, 2), (report.Issued, report.ParkedCount));
        Assert.Equal(["currency_mixed", "amount_too_large"], report.Parked.Select(p => p.Code));
        Assert.Contains(parked.Id, report.Parked[0].Detail);
        Assert.Equal("EUR", (await books.IssuedAsync()).Single().Currency);
    }

    [Fact]
    public async Task A_subscription_in_a_zone_that_is_no_more_is_parked_and_the_others_are_billed()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("pro", "base flat 10.00 arrears");
        var late = await books.SubscribeAsync(await books.CustomerAsync("late"), plan, Books.At("2026-01-01"));
        await books.SubscribeAsync(await books.CustomerAsync("fine"), plan, Books.At("2026-01-01"));
        await books.SqlAsync($"update subscriptions set timezone = 'Atlantis/Poseidonis' where key = {late.Key}");
        await books.SqlAsync($"update entitlements set timezone = 'Atlantis/Poseidonis' where subscription_id = '{late.Id}'");
        var report = await books.BillAsync(Books.At("2026-02-02"));
        Assert.Equal((1, 1), (report.Issued, report.ParkedCount));
        Assert.Equal("billing_failed", report.Parked.Single().Code);
        Assert.Contains(late.Id, report.Parked.Single().Detail);
    }

    [Fact]
    public async Task Pages_of_any_size_bill_the_same()
    {
        await using var books = new Books();
        await CustomersAsync(books, 7);
        var report = await books.BillAsync(Books.At("2026-02-02"), new BillingOptions { PageSize = 2 });
        Assert.Equal(14, report.Issued);
        AssertGapless(await books.IssuedAsync(), 2026);
    }

    [Fact]
    public async Task A_plan_without_prices_is_counted_and_never_billed()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("free", "");
        var subscription = await books.SubscribeAsync(await books.CustomerAsync("acme"), plan, Books.At("2026-01-01"));
        await books.UseAsync(subscription.Id, "data", 100, Books.At("2026-01-10"));
        Assert.Equal(0, (await books.BillAsync(Books.At("2026-04-01"))).Issued);
    }

    [Fact]
    public async Task The_stored_document_is_what_is_served_and_its_total_is_the_sum_of_its_lines()
    {
        await using var books = new Books();
        await CustomersAsync(books, 2);
        await books.BillAsync(Books.At("2026-03-15"));
        foreach (var row in await books.IssuedAsync())
        {
            Assert.Equal(row, await books.Invoices.FindAsync(row.Id));
            Assert.Equal(row, await books.Invoices.FindAsync(row.Number));
            var document = InvoiceDocument.Read(row.Document);
            Assert.Equal(row.Document, document.ToJson());
            Assert.Equal((row.Id, row.Number, "issued"), (document.Id, document.Number, document.Status));
            Assert.Equal(decimal.Parse(document.Total), document.Lines.Sum(l => decimal.Parse(l.Amount)));
            Assert.Equal(row.Total, (long)(decimal.Parse(document.Total) * 100));
        }
    }

    [Fact]
    public void A_run_refuses_settings_that_make_no_sense()
    {
        Assert.Throws<ArgumentOutOfRangeException>(
            () => new BillingOptions { CollectionWindow = TimeSpan.FromDays(32) }.Validate());
        Assert.Throws<ArgumentOutOfRangeException>(() => new BillingOptions { PageSize = 0 }.Validate());
    }

    /// <summary>However often and whenever the run is made, the invoices say the same.</summary>
    [Fact]
    public async Task Many_runs_and_one_late_run_issue_the_same_invoices()
    {
        var days = Gen.Int[0, 150].Array[0, 12];
        var uses = Gen.Select(Gen.Int[0, 119], Gen.Int[1, 5_000]).Array[0, 12];
        await Gen.Select(days, uses).SampleAsync(async (runs, used) =>
        {
            Assert.Equal(await BilledAsync([], used), await BilledAsync(runs, used));
        }, iter: 8, threads: 1);
    }

    private static async Task<string[]> BilledAsync(int[] runs, (int Day, int Calls)[] used)
    {
        await using var books = new Books();
        var start = Books.At("2026-01-05T10:00");
        var day = 86_400 * Micros.PerSecond;
        var plan = await books.PlanAsync("pro", Prices);
        var subscription = await books.SubscribeAsync(await books.CustomerAsync("acme"), plan, start);
        var steps = runs.Select(r => (At: start + r * day, Calls: 0))
            .Concat(used.Select(u => (At: start + u.Day * day, u.Calls))).OrderBy(s => s.At);
        foreach (var (at, calls) in steps)
        {
            if (calls > 0) await books.UseAsync(subscription.Id, "data", calls, at);
            else await books.BillAsync(at);
        }

        await books.BillAsync(start + 151 * day);
        return (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document) with
        {
            Id = null,
            Subscription = "",
            IssuedAt = null,
            DueAt = null,
            Customer = new InvoiceCustomer("", ""),
        }).Select(d => d.ToJson()).ToArray();
    }

    private static async Task<List<CustomerRow>> CustomersAsync(Books books, int count)
    {
        var plan = await books.PlanAsync("pro", Prices);
        var customers = new List<CustomerRow>();
        for (var i = 0; i < count; i++)
        {
            customers.Add(await books.CustomerAsync($"customer {i}"));
            var subscription = await books.SubscribeAsync(customers[^1], plan, Books.At("2026-01-10"));
            await books.UseAsync(subscription.Id, "data", 100 + i, Books.At("2026-01-20"));
        }

        return customers;
    }

    private static void AssertGapless(IEnumerable<InvoiceRow> issued, int year)
    {
        var numbers = issued.Select(i => i.Number).Order(StringComparer.Ordinal).ToArray();
        Assert.Equal(Enumerable.Range(1, numbers.Length).Select(n => $"{year}-{n:000000}"), numbers);
    }
}
