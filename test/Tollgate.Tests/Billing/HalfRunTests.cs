using Dapper;
using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Tests.Billing;

/// <summary>A run that ends in the middle, as a process that is killed: what is committed stays, the rest comes with the next
/// run, and together they are what one run would have issued.</summary>
public sealed class HalfRunTests
{
    private static readonly long s_start = Books.At("2026-01-01"), s_end = Books.At("2026-02-01T01:00");

    [Fact]
    public async Task Stopped_half_way_and_run_again_the_invoices_are_those_of_one_run()
    {
        await using var whole = await FilledAsync();
        await whole.BillAsync(s_end);
        var expected = await TellAsync(whole);

        await using var half = await FilledAsync();
        Assert.SkipUnless(half.Database.IsEmbedded, "The trigger is SQLite's.");
        // the store takes part of the invoices and fails: as a kill, at the commit of the second transaction
        await half.SqlAsync("create trigger full_disk before insert on invoices when (select count(*) from invoices) >= 120 " +
            "begin select raise(abort, 'database or disk is full'); end");
        await Assert.ThrowsAnyAsync<Exception>(() => half.BillAsync(s_end, new BillingOptions { PageSize = 40 }));
        var issued = (await half.IssuedAsync()).Count;
        Assert.InRange(issued, 1, 120);
        await half.SqlAsync("drop trigger full_disk");
        await half.BillAsync(s_end);
        Assert.Equal(expected, await TellAsync(half));
        Assert.Equal(0, (await half.BillAsync(s_end)).Issued);
        await half.AssertBalancedAsync();
    }

    [Fact]
    public async Task Two_runs_at_once_issue_each_invoice_once()
    {
        await using var books = await FilledAsync();
        var reports = await Task.WhenAll(
            books.BillAsync(s_end, new BillingOptions { PageSize = 30 }), books.BillAsync(s_end, new BillingOptions { PageSize = 70 }));
        var numbers = (await books.IssuedAsync()).Select(i => i.Number).ToArray();
        Assert.Equal(150, numbers.Length);
        Assert.Equal(150, reports.Sum(r => r.Issued));
        Assert.Equal(Enumerable.Range(1, 150).Select(n => $"2026-{n:000000}"), numbers.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Credit_that_is_voided_while_a_page_is_drafted_holds_back_nobody_else()
    {
        await using var books = await FilledAsync();
        Assert.SkipUnless(books.Database.IsEmbedded, "The trigger is SQLite's.");
        var subscriptions = await books.Database.ReadAsync(db => db.QueryAsync<(string Id, long Customer)>(
            "select id, customer_key from subscriptions order by key limit 2"));
        var (id, customer) = subscriptions.Last();
        await books.GrantAsync((await books.Database.ReadAsync(db => SubscriptionStore.FindAsync(db, id)))!, GrantRow.Promotional, 1_000);
        await books.SqlAsync($"create trigger voids before insert on invoices when new.customer_key = {customer} " +
            "begin update grants set voided_at = 1; end");
        var report = await books.BillAsync(s_end);
        Assert.Equal((149, 1), (report.Issued, report.ParkedCount));
        Assert.Contains(id, report.Parked[0].Detail, StringComparison.Ordinal);
        await books.SqlAsync("drop trigger voids");
        await books.SqlAsync("update grants set voided_at = 1");
        Assert.Equal(1, (await books.BillAsync(s_end)).Issued);
        Assert.Equal(Enumerable.Range(1, 150).Select(n => $"2026-{n:000000}"), (await books.IssuedAsync()).Select(i => i.Number));
        await books.AssertBalancedAsync();
    }

    private static async Task<Books> FilledAsync()
    {
        var books = new Books();
        var plan = await books.PlanAsync("pro", "base flat 30.00 arrears; data per_unit 0.01 data");
        for (var i = 0; i < 150; i++)
        {
            var subscription = await books.SubscribeAsync(await books.CustomerAsync($"c{i:000}"), plan, s_start);
            await books.UseAsync(subscription.Id, "data", i, s_start + Micros.PerDay);
        }

        return books;
    }

    private static async Task<string[]> TellAsync(Books books) =>
    [
        .. (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document))
            .Select(d => $"{d.Customer.Name} {d.Number} {d.Total} {string.Join(',', d.Lines.Select(l => l.Amount))}"),
    ];
}
