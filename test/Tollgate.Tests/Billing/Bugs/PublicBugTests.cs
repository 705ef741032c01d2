using System.Text.Json;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Tests.Support;

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

    [Fact]
    public async Task An_invoice_in_forints_asks_what_its_preview_asked_up_to_its_maximum()
    {
        const string price = """{"model":"per_unit","unit_amount":"333.3335","maximum":"1000"}""";
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync($$"""
            version: 1
            currency: HUF
            apis: { shop: { upstream: UPSTREAM, operations: { data: GET /data } } }
            plans: { pro: { operations: ["*"], prices: { calls: { meter: calls, {{price[1..]}} } } }
            """, upstream);
        var (one, many) = (await server.SubscribeAsync("one", "pro"), await server.SubscribeAsync("many", "pro"));
        await server.PassAsync("/data", one, 1);
        await server.PassAsync("/data", many, 7);
        await server.AdvanceAsync("P22D");
        var asked = new List<string?>();
        foreach (var quantity in (string[])["1", "7"])
            asked.Add((await server.PostAsync("/v1/prices/preview", JsonSerializer.Deserialize<JsonElement>(
                $$"""{"currency":"HUF","quantity":"{{quantity}}","price":{{price}}}"""))).GetProperty("amount").GetString());
        Assert.Equal(["333.33", "1000.00"], asked);
        Assert.Equal(asked, (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray()
            .Select(i => i.GetProperty("total").GetString()));
    }

    [Theory]
    [InlineData("0.30", "0.3 hours")]
    [InlineData("1234567.000000001", "1,234,567.000000001 hours")]
    [InlineData("1000", "1,000 hours")]
    public void Units_are_printed_as_they_were_counted(string quantity, string printed) =>
        Assert.Equal(printed, DecimalText.Counted(decimal.Parse(quantity), "hours"));

    [Fact]
    public async Task Every_sum_of_tax_on_an_invoice_and_in_the_ledger_is_that_of_its_lines()
    {
        await using var books = new Books();
        var customer = await books.CustomerAsync("acme");
        var subscription = await books.SubscribeAsync(customer, await books.PlanAsync(
            "pro", "a flat 0.33 arrears; b flat 0.33 arrears; c flat 0.33 arrears"), Books.At("2026-01-01"));
        await books.TermsAsync(subscription, CustomerTerms.Plain with { TaxPercent = 7 });
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        var invoice = InvoiceDocument.Read(Assert.Single(await books.IssuedAsync()).Document);
        // 0.0231 each: 0.06 over all lines, and 0.07 of their sum
        Assert.Equal(["0.02", "0.02", "0.02"], invoice.Lines.Select(l => l.Tax));
        Assert.Equal(("0.06", "0.06", "1.05"), (invoice.Tax, Assert.Single(invoice.Taxes).Amount, invoice.Total));
        Assert.Equal(-6, await books.ReadAsync(db => Ledger.BalanceAsync(db, customer.Key, Account.Tax, "USD")));
    }

    private static async Task TellAsync(string table, string zone)
    {
        await using var story = new Story(zone);
        await story.TellAsync(table);
    }
}
