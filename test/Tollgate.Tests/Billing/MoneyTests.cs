using CsCheck;
using Dapper;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Tests.Billing;

/// <summary>Tax, coupons, credit, commitments, late usage: what stands on an invoice beside its prices.</summary>
public sealed class MoneyTests
{
    private static readonly long s_day = Micros.PerDay;

    /// <summary>The worked example of money.md.</summary>
    [Fact]
    public async Task Lines_of_80_and_20_with_a_coupon_tax_and_prepaid_credit_leave_80_40_to_pay()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "a flat 80.00 arrears; b flat 20.00 arrears");
        await books.TermsAsync(subscription, CustomerTerms.Plain with { TaxPercent = 20 });
        var coupons = new CouponStore(books.Database, books.ClockAt(0));
        var coupon = await coupons.AddAsync(new Discount("ten", 10, null) { Prices = ["a"] }, 1);
        Assert.True(await coupons.ApplyAsync(coupon!, subscription.CustomerKey, null));
        Assert.False(await coupons.ApplyAsync(coupon!, subscription.CustomerKey, null));
        await books.GrantAsync(subscription, GrantRow.Prepaid, 3_000);
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        var invoice = InvoiceDocument.Read((await books.IssuedAsync()).Single().Document);
        Assert.Equal(("100.00", "92.00", "18.40", "110.40", "30.00", "80.40"), (invoice.Subtotal, invoice.Net,
            invoice.Tax, invoice.Total, invoice.PrepaidCredit, invoice.AmountDue));
        Assert.Equal(("coupon", "ten", "8.00"),
            (invoice.Discounts[0].Kind, invoice.Discounts[0].Name, invoice.Discounts[0].Amount));
        Assert.Contains("Tax 20 %", InvoiceText.Render(invoice));
        // once only, and the credit is gone
        await books.BillAsync(Books.At("2026-03-01T01:00"));
        Assert.Equal(12_000, (await books.IssuedAsync())[1].AmountDue);
        await books.AssertBalancedAsync();
    }

    [Theory]
    [InlineData("taxed", true, "83.33", "16.67", "100.00")]
    [InlineData("exempt", false, "100.00", "0.00", "100.00")]
    [InlineData("reverse_charge", false, "100.00", "0.00", "100.00")]
    public async Task Inclusive_tax_is_in_the_price_and_who_is_exempt_pays_none(
        string treatment, bool inclusive, string net, string tax, string total)
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "a flat 100.00 arrears");
        await books.TermsAsync(subscription, CustomerTerms.Plain with
        {
            TaxPercent = 20,
            TaxInclusive = inclusive,
            TaxTreatment = treatment,
        });
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        var invoice = InvoiceDocument.Read((await books.IssuedAsync()).Single().Document);
        Assert.Equal((net, tax, total), (invoice.Net, invoice.Tax, invoice.Total));
        Assert.Equal(treatment, Assert.Single(invoice.Taxes).Treatment);
        await books.AssertBalancedAsync();
    }

    [Fact]
    public async Task Credit_is_burnt_by_priority_then_by_what_expires_first()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "data per_unit 1 data");
        await books.UseAsync(subscription.Id, "data", 250, Books.At("2026-01-10"));
        await books.GrantAsync(subscription, GrantRow.Promotional, 10_000, 1, Books.At("2026-03-31"));
        await books.GrantAsync(subscription, GrantRow.Promotional, 10_000, 1, Books.At("2026-02-28"));
        await books.GrantAsync(subscription, GrantRow.Promotional, 10_000);
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        var left = (await books.Grants.ListAsync(null, 0, 10)).Select(g => g.Left);
        Assert.Equal([5_000, 0, 0], left);
        Assert.Equal(0, (await books.IssuedAsync()).Single().AmountDue);
        await books.AssertBalancedAsync();
    }

    [Fact]
    public async Task Credit_that_expired_within_the_month_pays_for_what_was_used_before()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "data per_unit 1 data");
        await books.UseAsync(subscription.Id, "data", 30, Books.At("2026-01-10"));
        await books.UseAsync(subscription.Id, "data", 50, Books.At("2026-01-20"));
        await books.GrantAsync(subscription, GrantRow.Promotional, 10_000, 0, Books.At("2026-01-15"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        Assert.Equal(5_000, (await books.IssuedAsync()).Single().AmountDue);
    }

    [Fact]
    public async Task A_minimum_is_reached_by_a_line_of_its_own_after_usage_is_rounded()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "data per_unit 0.004 data");
        await books.UseAsync(subscription.Id, "data", 15_001, Books.At("2026-01-10"));
        await new CommitmentStore(books.Database, books.ClockAt(0)).AddAsync(subscription.Key,
            CommitmentRow.Minimum, new Money(10_000, Currency.Usd), (subscription.StartAt, Books.At("2026-02-15")));
        await books.BillAsync(Books.At("2026-03-01T01:00"));
        Assert.Equal(["60.00 40.00", "50.00"], (await books.IssuedAsync())
            .Select(i => string.Join(' ', InvoiceDocument.Read(i.Document).Lines.Select(l => l.Amount))));
    }

    [Fact]
    public async Task A_maximum_takes_off_what_is_above_it()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "data per_unit 1 data");
        await books.UseAsync(subscription.Id, "data", 150, Books.At("2026-01-10"));
        await new CommitmentStore(books.Database, books.ClockAt(0)).AddAsync(subscription.Key,
            CommitmentRow.Maximum, new Money(10_000, Currency.Usd), (subscription.StartAt, null));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        Assert.Equal(10_000, (await books.IssuedAsync()).Single().Total);
    }

    [Fact]
    public async Task Usage_that_comes_after_its_invoice_is_an_adjustment_on_the_next_one_and_only_once()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "data per_unit 0.01 data");
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        await books.UseAsync(subscription.Id, "data", 200, Books.At("2026-01-31T23:00"));
        await books.BillAsync(Books.At("2026-02-10"));
        await books.BillAsync(Books.At("2026-03-01T01:00"));
        await books.BillAsync(Books.At("2026-04-01T01:00"));
        var issued = await books.IssuedAsync();
        Assert.Equal([1_000, 200], issued.Select(i => i.Total));
        var line = Assert.Single(InvoiceDocument.Read(issued[1].Document).Lines);
        Assert.Equal(("adjustment", "1000", "1200", "200", "2.00"),
            (line.Kind, line.OldQuantity, line.NewQuantity, line.Quantity, line.Amount));
        Assert.Contains("adjustment for 2026-01-01 to 2026-01-31", line.Description);
    }

    [Fact]
    public async Task Usage_of_three_periods_ago_is_kept_and_marked_and_never_billed()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "data per_unit 0.01 data");
        await books.UseAsync(subscription.Id, "data", 1_000, Books.At("2026-01-10"));
        await books.BillAsync(Books.At("2026-04-01T01:00"));
        await books.UseAsync(subscription.Id, "data", 200, Books.At("2026-01-31T23:00"));
        await books.UseAsync(subscription.Id, "data", 100, Books.At("2026-04-10"));
        await books.BillAsync(Books.At("2026-05-01T01:00"));
        Assert.Equal([1_000, 100], (await books.IssuedAsync()).Select(i => i.Total));
        Assert.Equal(1_200, await books.ReadAsync(
            db => db.ExecuteScalarAsync<long>("select quantity from late_usage")));
    }

    [Fact]
    public async Task A_payment_settles_what_is_due_first_and_the_rest_is_credit_for_the_next_invoice()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "base flat 10.00 arrears");
        await books.BillAsync(Books.At("2026-03-01T01:00"));
        await books.PayAsync(subscription, 2_500, Books.At("2026-03-02"));
        await books.BillAsync(Books.At("2026-04-01T01:00"));
        Assert.Equal([("paid", 1_000L), ("paid", 1_000L), ("issued", 500L)],
            (await books.IssuedAsync()).Select(i => (i.Status, i.Settled)));
        await books.AssertBalancedAsync();
    }

    [Fact]
    public async Task An_invoice_overdue_for_too_long_holds_the_gate_until_it_is_paid_in_the_same_instant()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "base flat 10.00 arrears");
        await books.TermsAsync(subscription, CustomerTerms.Plain with { NetDays = 10, HoldAfterDays = 5 });
        var issued = Books.At("2026-02-01T01:00");
        await books.BillAsync(issued);
        Assert.Empty(await books.Run().HoldAsync(issued + 15 * s_day - 1));
        Assert.Equal([subscription.CustomerKey], await books.Run().HoldAsync(issued + 15 * s_day));
        Assert.Equal(Hold.PaymentOverdue, await HoldOfAsync(books, subscription));
        Assert.Equal("overdue", (await books.IssuedAsync()).Single().StatusAt(issued + 10 * s_day));
        await books.PayAsync(subscription, 999, issued + 15 * s_day);
        Assert.Equal(Hold.PaymentOverdue, await HoldOfAsync(books, subscription));
        await books.PayAsync(subscription, 1, issued + 15 * s_day);
        Assert.Equal(Hold.None, await HoldOfAsync(books, subscription));
        Assert.Empty(await books.Run().HoldAsync(issued + 15 * s_day));
    }

    [Fact]
    public async Task A_credit_note_takes_back_a_part_and_never_more_than_the_invoice()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "base flat 10.00 arrears");
        await books.TermsAsync(subscription, CustomerTerms.Plain with { TaxPercent = 20 });
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        var notes = new CreditNoteStore(books.Database, books.ClockAt(Books.At("2026-02-02")));
        Task<Result<CreditNoteRow>> NoteAsync(long? cents) => books.Database.WriteAsync(async db =>
            await notes.IssueAsync(db, (await InvoiceStore.FindAsync(db, "2026-000001"))!,
                cents is { } c ? new Money(c, Currency.Usd) : null, "too much"));
        var first = (await NoteAsync(300)).Value;
        Assert.Equal("CN-2026-000001", first.Number);
        Assert.Contains("\"tax\":\"0.50\"", first.Document);
        Assert.Equal("amount_too_large", (await NoteAsync(901)).Problems.Single().Code);
        Assert.Equal(900, (await NoteAsync(null)).Value.Amount);
        Assert.Equal(("paid", 1_200L), (await books.IssuedAsync()).Select(i => (i.Status, i.Credited)).Single());
        await books.AssertBalancedAsync();
    }

    [Fact]
    public async Task A_voided_invoice_gives_back_its_credit_and_frees_what_was_paid_of_it()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "base flat 10.00 arrears");
        await books.GrantAsync(subscription, GrantRow.Prepaid, 300);
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        await books.PayAsync(subscription, 500, Books.At("2026-02-02"));
        var now = Books.At("2026-02-03");
        Assert.Null(await books.Database.WriteAsync(async db =>
            await InvoiceStore.VoidAsync(db, (await InvoiceStore.FindAsync(db, "2026-000001"))!, now)));
        Assert.Equal("invoice_closed", (await books.Database.WriteAsync(async db =>
            await InvoiceStore.VoidAsync(db, (await InvoiceStore.FindAsync(db, "2026-000001"))!, now)))!.Code);
        Assert.Equal(300, (await books.Grants.ListAsync(null, 0, 10)).Single().Left);
        await books.BillAsync(Books.At("2026-03-01T01:00"));
        Assert.Equal((700L, 500L), (await books.IssuedAsync()).Select(i => (i.AmountDue, i.Settled)).Last());
        await books.AssertBalancedAsync();
    }

    [Fact]
    public async Task Credit_that_comes_with_every_month_lasts_as_long_as_it_rolls_over()
    {
        await using var books = new Books();
        var subscription = await StartAsync(books, "data per_unit 1 data");
        var calendar = new BillingCalendar(new NodaTime.LocalDate(2026, 1, 1), NodaTime.DateTimeZone.Utc);
        await books.Database.WriteAsync(db => books.Grants.AddRecurringAsync(db, new NewRecurringGrant(
            new NewGrant(subscription.CustomerKey, GrantRow.Promotional, new Money(1_000, Currency.Usd), "monthly")
            {
                EffectiveAt = subscription.StartAt,
            }, calendar, 1, null)));
        await books.UseAsync(subscription.Id, "data", 4, Books.At("2026-01-10"));
        await books.BillAsync(Books.At("2026-02-01T01:00"));
        await books.UseAsync(subscription.Id, "data", 17, Books.At("2026-02-10"));
        await books.BillAsync(Books.At("2026-03-01T01:00"));
        // 10 and 10, less 4 in January and 17 in February: what was January's is 0, 1 too many was asked
        Assert.Equal([0L, 100L], (await books.IssuedAsync()).Select(i => i.AmountDue));
    }

    /// <summary>Whatever happens, the postings of each entry sum to zero, and the customer owes what is open.</summary>
    [Fact]
    public async Task The_ledger_balances_after_any_history()
    {
        // each step, and each before each other
        await SampleAsync([0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0], 18, 1_688);
        await Gen.Select(Gen.Int[0, 5].Array[1, 8], Gen.Int[0, 25], Gen.Int[1, 3_000]).SampleAsync(SampleAsync, iter: 4, threads: 1);

        static async Task SampleAsync(int[] steps, int tax, int cents)
        {
            await using var books = new Books();
            var subscription = await StartAsync(books, $"base flat {cents / 100m} advance; data per_unit 0.07 data");
            await books.TermsAsync(subscription, CustomerTerms.Plain with { TaxPercent = tax });
            var at = Books.At("2026-01-05");
            foreach (var step in steps)
            {
                at += 9 * s_day;
                if (step == 0) await books.PayAsync(subscription, cents, at);
                if (step == 1) await books.GrantAsync(subscription, GrantRow.Prepaid, cents);
                if (step == 2) await books.GrantAsync(subscription, GrantRow.Promotional, cents);
                if (step == 3) await books.UseAsync(subscription.Id, "data", cents, at);
                if (step == 4)
                    await books.Changes(at).ChangeAsync(
                        subscription.Id, new WantedChange { Quantity = (cents % 3) + 1, When = ChangeWhen.Now }, false);
                await books.BillAsync(at);
            }

            await books.BillAsync(at + 40 * s_day);
            await books.AssertBalancedAsync();
        }
    }

    private static async Task<SubscriptionRow> StartAsync(Books books, string prices) => await books.SubscribeAsync(
        await books.CustomerAsync("acme"), await books.PlanAsync("pro", prices), Books.At("2026-01-01"));

    private static async Task<Hold> HoldOfAsync(Books books, SubscriptionRow subscription) =>
        (await books.ReadAsync(db => EntitlementStore.OfSubscriptionAsync(db, subscription.Id))).Single().Hold;
}
