using Dapper;
using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Tests.Billing;

/// <summary>Subscriptions of one customer that are billed at one instant share their credit and their coupons.</summary>
public sealed class SharedCreditTests : IAsyncDisposable
{
    private readonly Books _books = new();

    [Fact]
    public async Task Two_invoices_of_one_run_do_not_burn_the_same_credit_twice()
    {
        var (one, _) = await StartAsync();
        await _books.GrantAsync(one, GrantRow.Prepaid, 1200);
        await _books.GrantAsync(one, GrantRow.Promotional, 500);
        await RunAsync("2026-05-01T01:00");
        Assert.Equal((0L, 2L), await _books.ReadAsync(async db => (
            await db.ExecuteScalarAsync<long>("select count(*) from grants where burnt > amount"),
            await db.ExecuteScalarAsync<long>("select count(*) from grants where burnt = amount"))));
        Assert.Equal(3.00m, (await _books.IssuedAsync()).Sum(i => i.AmountDue) / 100m);
        await _books.AssertBalancedAsync();
    }

    [Fact]
    public async Task A_coupon_for_one_invoice_is_taken_off_one_of_them()
    {
        var (one, _) = await StartAsync();
        var coupons = new CouponStore(_books.Database, _books.ClockAt(0));
        var coupon = await coupons.AddAsync(new Discount("first", 50, null), 1);
        Assert.True(await coupons.ApplyAsync(coupon!, one.CustomerKey, null));
        await RunAsync("2026-05-01T01:00");
        Assert.Equal([500L, 1000L], (await _books.IssuedAsync()).Select(i => i.Total).Order());
    }

    [Fact]
    public async Task What_was_burnt_meanwhile_is_never_burnt_again()
    {
        var (one, _) = await StartAsync();
        await _books.GrantAsync(one, GrantRow.Prepaid, 100);
        var grant = Assert.Single(await _books.Grants.ListAsync(null, 0, 10));
        await RunAsync("2026-05-01T01:00");
        var invoice = (await _books.IssuedAsync())[0];
        await Assert.ThrowsAsync<CreditGoneException>(() => _books.Database.WriteAsync(
            db => GrantStore.BurnAsync(db, grant.Key, invoice.Key, 1, 0)));
        Assert.Equal(100, await _books.ReadAsync(db => db.ExecuteScalarAsync<long>("select cast(sum(amount) as bigint) from burns")));
    }

    private async Task<(SubscriptionRow, SubscriptionRow)> StartAsync()
    {
        var customer = await _books.CustomerAsync("acme");
        var both = (await _books.SubscribeAsync(customer, await _books.PlanAsync("a", "base flat 10.00 arrears"), Books.At("2026-04-01")),
            await _books.SubscribeAsync(customer, await _books.PlanAsync("b", "base flat 10.00 arrears"), Books.At("2026-04-01")));
        // nothing is owed at the start; then one bill of each is due, and a page would draft both at once
        await RunAsync("2026-04-01T01:00");
        return both;
    }

    private async Task RunAsync(string at) => Assert.Empty((await _books.BillAsync(Books.At(at))).Parked);

    public ValueTask DisposeAsync() => _books.DisposeAsync();
}
