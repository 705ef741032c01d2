using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Tests.Billing;

/// <summary>A credit is at most what was billed: coupons, credit notes and the tax of the charge go with it (money.md 9).
/// What a period costs at least and at most (money.md 12).</summary>
public sealed class FairCreditTests : IAsyncDisposable
{
    private readonly Books _books = new();

    [Fact]
    public async Task What_a_credit_note_took_back_is_not_credited_again_at_the_end()
    {
        var subscription = await StartAsync("base flat 30.00 advance", "2026-04-01");
        await _books.TermsAsync(subscription, CustomerTerms.Plain with { TaxPercent = 20 });
        await RunAsync("2026-04-01");
        await CreditAsync(await LastAsync(), null, "2026-04-02");
        await EndAsync(subscription, "2026-04-11");
        await RunAsync("2026-04-12");
        Assert.Single(await _books.IssuedAsync());
    }

    [Fact]
    public async Task Of_a_fee_credited_in_part_the_unused_days_of_the_rest_come_back()
    {
        var subscription = await StartAsync("base flat 30.00 advance", "2026-04-01");
        await RunAsync("2026-04-01");
        await CreditAsync(await LastAsync(), new Money(1200, Currency.Usd), "2026-04-02");
        await EndAsync(subscription, "2026-04-11");
        await RunAsync("2026-04-12");
        // 18.00 are left of 30.00, and 20 of 30 days
        Assert.Equal("-12.00", (await DocumentAsync()).Total);
    }

    [Theory]
    [InlineData("100", null)]
    [InlineData("50", "-10.16")]
    public async Task A_credit_carries_the_coupon_that_its_charge_had(string percent, string? credit)
    {
        var subscription = await StartAsync("base flat 30.00 advance", "2026-05-01");
        await CouponAsync(subscription, decimal.Parse(percent, null), 1);
        await RunAsync("2026-05-01");
        await EndAsync(subscription, "2026-05-11");
        await RunAsync("2026-05-12");
        var issued = await _books.IssuedAsync();
        Assert.Equal(credit is null ? 1 : 2, issued.Count);
        if (credit is not null) Assert.Equal((credit, credit), (Line(await DocumentAsync()).Amount, (await DocumentAsync()).Total));
    }

    [Fact]
    public async Task While_the_coupon_goes_on_a_change_takes_it_off_the_charge_alone()
    {
        var subscription = await StartAsync("base flat 30.00 advance", "2026-04-01");
        await CouponAsync(subscription, 50, null);
        await RunAsync("2026-04-01");
        var dearer = await _books.PlanAsync("dearer", "base flat 60.00 advance");
        var at = Books.At("2026-04-11");
        var change = await _books.Changes(at).ChangeAsync(subscription.Id, new WantedChange { Plan = dearer.Id }, false);
        Assert.True(change.Ok);
        var invoice = await DocumentAsync();
        // 20 of 30 days: half of 20.00 back, half of 40.00 more
        Assert.Equal(["-10.00", "40.00"], invoice.Lines.Select(l => l.Amount));
        Assert.Equal(("20.00", "10.00"), (Assert.Single(invoice.Discounts).Amount, invoice.Total));
    }

    [Fact]
    public async Task A_credit_is_taxed_as_its_charge_was()
    {
        var subscription = await StartAsync("base flat 14.52 advance", "2026-04-01");
        await RunAsync("2026-04-01");
        await _books.TermsAsync(subscription, CustomerTerms.Plain with { TaxPercent = 20 });
        await EndAsync(subscription, "2026-04-21");
        await RunAsync("2026-04-22");
        var invoice = await DocumentAsync();
        Assert.Equal(("-4.84", "0.00"), (invoice.Total, invoice.Tax));
    }

    [Fact]
    public async Task Credit_notes_of_parts_sum_to_net_and_tax_of_their_invoice()
    {
        var subscription = await StartAsync("a flat 33.33 advance; b flat 33.33 advance; c flat 33.34 advance", "2026-04-01");
        await _books.TermsAsync(subscription, CustomerTerms.Plain with { TaxPercent = 7.7m });
        await RunAsync("2026-04-01");
        foreach (var cents in (long?[])[1000, 3333, 1, null])
            await CreditAsync(await LastAsync(), cents is { } c ? new Money(c, Currency.Usd) : null, "2026-04-02");
        foreach (var account in Enum.GetValues<Account>())
            Assert.Equal(0, await _books.ReadAsync(db => Ledger.BalanceAsync(db, subscription.CustomerKey, account, "USD")));
    }

    [Fact]
    public async Task A_minimum_asks_nothing_for_a_pause_and_nothing_for_a_trial()
    {
        var start = Books.At("2026-03-17");
        var subscription = await _books.SubscribeAsync(new NewSubscription(
            await _books.CustomerAsync("acme"), (await _books.PlanAsync("pro", "data per_unit 1 data")).Id, ManagedBy.Api)
        {
            StartAt = start,
            TrialEnd = Books.At("2026-03-31"),
        }, start);
        await CommitAsync(subscription, CommitmentRow.Minimum, 3100);
        await RunAsync("2026-04-01T01:00");
        Assert.Equal("1.00", (await DocumentAsync()).Total);
        await _books.Changes(Books.At("2026-04-02")).PauseAsync(subscription.Id, Books.At("2026-07-01"), false);
        await RunAsync("2026-07-01T01:00");
        // one day of April; May and June are nothing
        Assert.Equal((2, "1.03"), ((await _books.IssuedAsync()).Count, (await DocumentAsync()).Total));
    }

    [Fact]
    public async Task A_maximum_caps_a_part_of_a_month_as_it_does_a_whole_one()
    {
        var subscription = await StartAsync("data per_unit 1 data", "2026-04-01");
        await CommitAsync(subscription, CommitmentRow.Maximum, 3000);
        await _books.UseAsync(subscription.Id, "data", 100, Books.At("2026-04-02"));
        await EndAsync(subscription, "2026-04-11");
        await RunAsync("2026-04-11T01:00");
        Assert.Equal("30.00", (await DocumentAsync()).Total);
    }

    [Theory]
    [InlineData(CommitmentRow.Minimum, 100, "5.00 45.00 50.00")]
    [InlineData(CommitmentRow.Maximum, 52, "5.00 -3.00 50.00")]
    public async Task What_was_charged_in_advance_for_a_period_counts_in_it(string kind, long amount, string lines)
    {
        var subscription = await StartAsync("base flat 50.00 advance; data per_unit 1 data", "2026-04-01");
        await CommitAsync(subscription, kind, amount * 100);
        await RunAsync("2026-04-01");
        await _books.UseAsync(subscription.Id, "data", 5, Books.At("2026-04-02"));
        await RunAsync("2026-05-01T01:00");
        Assert.Equal(lines, string.Join(' ', (await DocumentAsync()).Lines.Select(l => l.Amount)));
    }

    private async Task<SubscriptionRow> StartAsync(string prices, string at) => await _books.SubscribeAsync(
        await _books.CustomerAsync("acme"), await _books.PlanAsync("pro", prices), Books.At(at));

    private Task EndAsync(SubscriptionRow subscription, string at) =>
        _books.Changes(Books.At(at)).CancelAsync(subscription.Id, ChangeWhen.Now, null, false);

    private Task CommitAsync(SubscriptionRow subscription, string kind, long cents) =>
        new CommitmentStore(_books.Database, _books.ClockAt(subscription.StartAt)).AddAsync(
            subscription.Key, kind, new Money(cents, Currency.Usd), (subscription.StartAt, null));

    private async Task CouponAsync(SubscriptionRow subscription, decimal percent, int? invoices)
    {
        var store = new CouponStore(_books.Database, _books.ClockAt(0));
        var coupon = await store.AddAsync(new Discount("less", percent, null), invoices);
        Assert.True(await store.ApplyAsync(coupon!, subscription.CustomerKey, null));
    }

    private async Task CreditAsync(InvoiceRow invoice, Money? amount, string at)
    {
        var store = new CreditNoteStore(_books.Database, _books.ClockAt(Books.At(at)));
        var note = await _books.Database.WriteAsync(async db =>
            await store.IssueAsync(db, (await InvoiceStore.FindAsync(db, invoice.Id))!, amount, "test"));
        Assert.True(note.Ok, string.Join(' ', note.Problems));
    }

    private async Task RunAsync(string at) => Assert.Empty((await _books.BillAsync(Books.At(at))).Parked);

    private async Task<InvoiceRow> LastAsync() => (await _books.IssuedAsync())[^1];

    private async Task<InvoiceDocument> DocumentAsync() => InvoiceDocument.Read((await LastAsync()).Document);

    private static InvoiceLine Line(InvoiceDocument invoice) => Assert.Single(invoice.Lines);

    public ValueTask DisposeAsync() => _books.DisposeAsync();
}
