using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Tests.Billing.Bugs;

/// <summary>Bugs that others had in public and for which no other test of ours stands: docs/public-bugs.md has them all.
/// </summary>
public sealed class PublicBugTests
{
    private static readonly string[] s_zones =
    [
        "UTC", "Pacific/Auckland", "Pacific/Kiritimati", "Asia/Kolkata", "America/Sao_Paulo", "America/New_York",
        "America/Santiago",
    ];

    [Fact]
    public async Task Whatever_the_zone_each_call_is_billed_once_and_a_second_run_issues_nothing()
    {
        await using var books = new Books();
        var used = new Dictionary<string, long>();
        var calls = new List<(long At, string Subscription)>();
        foreach (var zone in s_zones)
        {
            var start = Books.At("2026-02-28", zone);
            var customer = await books.CustomerAsync(zone, zone: zone, at: start);
            var plan = await books.PlanAsync("plan-" + used.Count, "data per_unit 0.01 data");
            var id = (await books.SubscribeAsync(customer, plan, start)).Id;
            used.Add(id, 0);
            // the last minute and the first of months, and of the days on which clocks change
            foreach (var day in (string[])["2026-02-28", "2026-03-01", "2026-03-08", "2026-04-01", "2026-04-05", "2026-04-30"])
                calls.AddRange([(Books.At(day, zone), id), (Books.At(day + "T23:59", zone), id)]);
        }

        var month = Books.At("2026-02-28");
        foreach (var (at, id) in calls.OrderBy(c => c.At))
        {
            for (; month <= at; month += Micros.PerDay) await books.BillAsync(month);
            var many = 1 + used[id] % 7;
            await books.UseAsync(id, "data", many, at);
            used[id] += many;
        }

        var end = Books.At("2026-06-03");
        await books.BillAsync(end);
        Assert.Equal(0, (await books.BillAsync(end)).Issued);
        var billed = (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document))
            .GroupBy(d => d.Subscription)
            .ToDictionary(g => g.Key, g => g.SelectMany(d => d.Lines).Sum(l => long.Parse(l.Quantity)));
        Assert.Equal(used.OrderBy(u => u.Key, StringComparer.Ordinal), billed.OrderBy(b => b.Key, StringComparer.Ordinal));
    }

    [Fact]
    public Task A_phase_that_ends_at_local_midnight_leaves_no_stray_part() => TellAsync("""
        2026-03-01        start   trial=2026-03-08 | base flat 31.00 advance
        2026-03-08        invoice 2026-03-01..2026-04-01 base 24/31 24.00 = 24.00
        2026-04-01T01:00  invoice 2026-03-01..2026-04-01 base 31.00 = 31.00
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 31.00 = 31.00
        """, "America/Los_Angeles");

    [Fact]
    public Task An_upgrade_that_is_taken_back_leaves_neither_charge_nor_credit() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-11        change  now | base flat 60.00 advance
        2026-04-11        invoice 2026-04-01..2026-05-01 base 20/30 -20.00, base 20/30 40.00 = 20.00
        2026-04-11        change  now | base flat 30.00 advance
        2026-04-11        invoice 2026-04-01..2026-05-01 base 20/30 -40.00, base 20/30 20.00 = -20.00
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        """, "UTC");

    [Fact]
    public async Task A_minimum_is_prorated_by_the_days_of_the_customers_zone()
    {
        await using var books = new Books();
        var start = Books.At("2026-01-20T00:30", "Asia/Tokyo");
        var customer = await books.CustomerAsync("acme", zone: "Asia/Tokyo");
        var plan = await books.PlanAsync("pro", "data per_unit 0.01 data");
        var subscription = await books.SubscribeAsync(customer, plan, start);
        await new CommitmentStore(books.Database, books.ClockAt(start)).AddAsync(
            subscription.Key, CommitmentRow.Minimum, new Money(3100, Currency.Usd), (start, null));
        await books.UseAsync(subscription.Id, "data", 100, Books.At("2026-01-31T23:59", "Asia/Tokyo"));
        await books.BillAsync(Books.At("2026-02-01T01:00", "Asia/Tokyo"));
        var invoice = InvoiceDocument.Read(Assert.Single(await books.IssuedAsync()).Document);
        // 12 of 31 days: in UTC, where it began on the 19th, they would be 13
        Assert.Equal(["1.00", "11.00"], invoice.Lines.Select(l => l.Amount));
        Assert.Equal("12.00", invoice.Total);
    }

    [Fact]
    public async Task Paying_an_invoice_makes_no_prepaid_credit()
    {
        await using var books = new Books();
        var start = Books.At("2026-01-01");
        var customer = await books.CustomerAsync("acme");
        var subscription = await books.SubscribeAsync(
            customer, await books.PlanAsync("pro", "base flat 30.00 advance"), start);
        await books.BillAsync(start);
        await books.PayAsync(subscription, 3000, start);
        Assert.Equal(InvoiceRow.Paid, Assert.Single(await books.IssuedAsync()).Status);
        Assert.Empty(await books.Grants.ListAsync(customer.Key, 0, 10));
        Assert.Equal((0, 0), (
            await books.ReadAsync(db => Ledger.BalanceAsync(db, customer.Key, Account.Prepaid, "USD")),
            await books.ReadAsync(db => Ledger.BalanceAsync(db, customer.Key, Account.Customer, "USD"))));
        await books.AssertBalancedAsync();
    }

    private static async Task TellAsync(string table, string zone)
    {
        await using var story = new Story(zone);
        await story.TellAsync(table);
    }
}
