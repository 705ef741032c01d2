using CsCheck;
using NodaTime;
using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Tests.Billing;

/// <summary>Another zone or another anchor begins with the next period (money.md 8): no day is charged twice.</summary>
public sealed class ZoneChangeTests
{
    private static readonly string[] s_zones =
    [
        "UTC", "Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin", "Asia/Kathmandu",
        "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Cairo",
    ];

    private const string Fees = "a flat 31.00 advance; b flat 31.00 arrears; data per_unit 1 *";

    [Theory]
    // the first of February begins earlier there, and later
    [InlineData("UTC", "Asia/Tokyo", "2026-02-01T00:00:00Z", "31.00")]
    [InlineData("UTC", "America/New_York", "2026-02-01T05:00:00Z", "31.00")]
    [InlineData("Asia/Tokyo", "America/Los_Angeles", "2026-02-01T08:00:00Z", "31.00")]
    // where the second begins when the first does here, the first is nobody's: 27 of 28 days
    [InlineData("Pacific/Pago_Pago", "Pacific/Kiritimati", "2026-02-01T11:00:00Z", "29.89")]
    public async Task Another_zone_begins_with_the_next_period_on_the_same_date(string from, string to, string at, string february)
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, from, Fees, new(null!, "", default));
        var changed = await ChangeAsync(books, subscription, new WantedChange { Timezone = to });
        Assert.Equal(at, Micros.ToText(changed.EffectiveAt));
        await books.BillAsync(Books.At("2026-03-01T12:00", to));
        var invoices = (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document)).ToArray();
        Assert.Equal(["31.00", february, "31.00"], Amounts(invoices, "a"));
        Assert.Equal(["31.00", february], Amounts(invoices, "b"));
        Assert.Equal(to, invoices[^1].Timezone);
        Assert.Equal(from, invoices[0].Timezone);
        await books.AssertBalancedAsync();
    }

    [Fact]
    public async Task What_is_called_in_the_hours_between_is_billed_on_its_own()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "UTC", Fees, new(null!, "", default));
        await ChangeAsync(books, subscription, new WantedChange { Timezone = "America/New_York" });
        await books.UseAsync(subscription.Id, "data", 3, Books.At("2026-02-01T04:45"));
        await books.UseAsync(subscription.Id, "data", 2, Books.At("2026-02-01T05:00"));
        await books.BillAsync(Books.At("2026-03-01T12:00"));
        var invoices = (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document)).ToArray();
        Assert.Equal(["3.00", "2.00"], Amounts(invoices, "data"));
        Assert.Equal(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-01T05:00:00Z"],
            invoices.Select(i => i.PeriodStart));
    }

    [Fact]
    public async Task Behind_an_end_days_are_counted_where_it_ended()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "UTC", Fees, new(null!, "", default));
        await ChangeAsync(books, subscription, new WantedChange { Timezone = "Asia/Tokyo" });
        await books.BillAsync(Books.At("2026-02-02"));
        // the evening of the 10th: its day belongs to nobody, so 19 of 28 days are left, of which the zone before knows 18
        await books.EndAsync(subscription.Id, Books.At("2026-02-10T21:00", "Asia/Tokyo"));
        await books.BillAsync(Books.At("2026-02-12"));
        var last = InvoiceDocument.Read((await books.IssuedAsync())[^1].Document);
        Assert.Equal(["-21.04"], Amounts([last], "a"));
        Assert.Equal(["9.96"], Amounts([last], "b"));
    }

    [Fact]
    public async Task Another_anchor_begins_with_the_next_period_and_its_first_part_is_prorated()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "UTC", Fees, new(null!, "", default) { Anchor = new LocalDate(2026, 1, 1) });
        await ChangeAsync(books, subscription, new WantedChange { Anchor = new LocalDate(2026, 1, 15) });
        await books.BillAsync(Books.At("2026-03-15T01:00"));
        var invoices = (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document)).ToArray();
        // January, 14 of 31 days until 15 February, then whole ones
        Assert.Equal(["31.00", "14.00", "31.00", "31.00"], Amounts(invoices, "a"));
        Assert.Equal(["31.00", "14.00", "31.00"], Amounts(invoices, "b"));
    }

    [Fact]
    public async Task A_change_of_zone_is_taken_back_by_asking_for_the_zone_that_holds()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "UTC", Fees, new(null!, "", default));
        await ChangeAsync(books, subscription, new WantedChange { Timezone = "Asia/Tokyo" });
        await ChangeAsync(books, subscription, new WantedChange { Timezone = "UTC" });
        var again = await books.Changes(Middle).ChangeAsync(subscription.Id, new WantedChange { Timezone = "UTC" }, false);
        Assert.Equal("nothing_changes", again.Problems.Single().Code);
        await books.BillAsync(Books.At("2026-03-01T01:00"));
        Assert.Equal(["31.00", "31.00", "31.00"],
            Amounts((await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document)), "a"));
    }

    [Fact]
    public Task Each_date_is_charged_once_whatever_the_zones() =>
        Gen.Select(Gen.Int[0, s_zones.Length - 1], Gen.Int[0, s_zones.Length - 1], Gen.Int[1, 360]).SampleAsync(async (one, other, day) =>
        {
            var (from, to) = (s_zones[one], s_zones[other]);
            if (to == from) return;
            await using var books = new Books();
            var start = new LocalDate(2026, 1, 1).PlusDays(day);
            var began = Micros.Of(DateTimeZoneProviders.Tzdb[from].AtStartOfDay(start).ToInstant());
            var customer = await books.CustomerAsync("acme", zone: from);
            var plan = await books.PlanAsync("pro", """d {"model":"flat","amount":"1","every":"day"}""");
            var subscription = await books.SubscribeAsync(customer, plan, began);
            var now = began + Micros.PerDay / 2;
            var changed = await books.Changes(now).ChangeAsync(subscription.Id, new WantedChange { Timezone = to }, false);
            var next = Micros.Of(DateTimeZoneProviders.Tzdb[from].AtStartOfDay(start.PlusDays(1)).ToInstant());
            await books.BillAsync(began + 10 * Micros.PerDay);
            var dates = (await books.IssuedAsync()).Select(i => InvoiceDocument.Read(i.Document)).SelectMany(i => i.Lines.Select(
                l => NodaTime.Text.InstantPattern.ExtendedIso.Parse(l.PeriodStart).Value
                    .InZone(DateTimeZoneProviders.Tzdb[i.Timezone]).Date)).ToArray();
            // from +14 to -11 a whole day lies between the two midnights, and is one
            Assert.Equal(changed.Value.EffectiveAt - next >= Micros.PerDay ? 1 : 0, dates.Length - dates.Distinct().Count());
            // only a date that begins nowhere in between is left out
            Assert.InRange(NodaTime.Period.DaysBetween(dates[0], dates[^1]) + 1 - dates.Distinct().Count(), 0, 1);
        }, iter: 40, threads: 1);

    private static long Middle => Books.At("2026-01-20");

    private static async Task<SubscriptionRow> StartAsync(Books books, string zone, string prices, NewSubscription wanted)
    {
        var customer = await books.CustomerAsync("acme", zone: zone);
        var plan = await books.PlanAsync("pro", prices);
        var start = Books.At("2026-01-01", zone);
        var subscription = await books.SubscribeAsync(
            wanted with { Customer = customer, Plan = plan.Id, StartAt = start, Interval = Tollgate.Catalog.Interval.Month }, start);
        await books.BillAsync(start);
        return subscription;
    }

    /// <summary>On 20 January; its preview says the same.</summary>
    private static async Task<ChangeOutcome> ChangeAsync(Books books, SubscriptionRow subscription, WantedChange wanted)
    {
        var preview = (await books.Changes(Middle).ChangeAsync(subscription.Id, wanted, preview: true)).Value;
        var changed = (await books.Changes(Middle).ChangeAsync(subscription.Id, wanted, preview: false)).Value;
        Assert.Equal((preview.EffectiveAt, preview.Invoice), (changed.EffectiveAt, changed.Invoice));
        return changed;
    }

    private static IEnumerable<string> Amounts(IEnumerable<InvoiceDocument> invoices, string price) =>
        invoices.SelectMany(i => i.Lines).Where(l => l.Price == price).Select(l => l.Amount);
}
