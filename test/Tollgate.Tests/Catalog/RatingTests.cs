using CsCheck;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

public sealed class RatingTests
{
    private static readonly PlanVersion s_pro = new("plan_pro", 1, Currency.Usd,
    [
        new PriceComponent("analytics", "calls", ["analytics"], new Price.PerUnit(0.05m)),
        new PriceComponent("data", "calls", ["data", "quote"], new Price.PerUnit(0.01m)),
        new PriceComponent("base", null, null, new Price.Flat(49, BillingTiming.Arrears)),
        new PriceComponent("seat", null, null, new Price.Flat(10, BillingTiming.Advance)),
    ]);

    [Fact]
    public void Calls_at_two_prices_are_billed_line_by_line()
    {
        var lines = Rating.RateUsage(s_pro, [Calls("data", 1_234), Calls("analytics", 77)]).ToArray();
        Assert.Equal([("analytics", 3.85m), ("data", 12.34m)], lines.Select(l => (l.PriceName, l.PreciseAmount)));
        var total = lines.Select(l => Money.Round(l.PreciseAmount, Currency.Usd)).Aggregate((a, b) => a + b);
        Assert.Equal("16.19", total.ToString());
    }

    [Fact]
    public void Lines_come_in_the_order_of_prices_and_then_of_operations() => Assert.Equal(
        ["analytics", "data", "quote"],
        Rating.RateUsage(s_pro, [Calls("quote", 1), Calls("data", 1), Calls("analytics", 1), Calls("free", 9)])
            .Select(l => l.Operation));

    [Fact]
    public void Usage_of_another_meter_and_of_nothing_has_no_line() => Assert.Empty(
        Rating.RateUsage(s_pro, [new Usage("tokens", "data", 5), Calls("data", 0)]));

    [Fact]
    public void A_price_without_operations_covers_every_one() =>
        Assert.True(new PriceComponent("all", "calls", null, new Price.PerUnit(1)).Covers("anything"));

    [Fact]
    public void Usage_that_two_prices_name_is_billed_by_each()
    {
        var both = s_pro with { Prices = [.. s_pro.Prices, new("fee", "calls", null, new Price.PerUnit(0.001m))] };
        Assert.Equal(["data", "fee"], Rating.RateUsage(both, [Calls("data", 3)]).Select(l => l.PriceName));
    }

    [Fact]
    public void Fees_fall_due_in_their_own_way()
    {
        Assert.Equal("base", Rating.RateFlat(s_pro, BillingTiming.Arrears, Proration.Whole).Single().PriceName);
        Assert.Equal("seat", Rating.RateFlat(s_pro, BillingTiming.Advance, Proration.Whole).Single().PriceName);
    }

    [Theory]
    [InlineData(30, 20, 30, "20")]
    [InlineData(60, 20, 30, "40")]
    [InlineData(49, 31, 31, "49")]
    [InlineData(49, 40, 31, "49")]
    [InlineData(49, 0, 31, "0")]
    public void A_fee_is_prorated_by_days_and_never_above_one(int amount, int days, int ofDays, string expected) =>
        Assert.Equal(decimal.Parse(expected), new Proration(days, ofDays).Of(amount));

    [Fact]
    public void Parts_of_a_period_are_within_a_digit_of_the_whole() => Gen.Select(
        Gen.Int[1, 31], Gen.Int[0, 31], Gen.Int[0, 1_000_000]).Sample((ofDays, cut, cents) =>
        {
            var days = Math.Min(cut, ofDays);
            var amount = cents / 100m;
            var sum = new Proration(days, ofDays).Of(amount) + new Proration(ofDays - days, ofDays).Of(amount);
            Assert.True(Math.Abs(sum - amount) < 0.000_000_000_001m);
        });

    [Fact]
    public void A_line_keeps_every_digit_before_it_is_rounded()
    {
        var tiny = s_pro with { Prices = [new("t", "calls", null, new Price.PerUnit(0.000000000001m))] };
        var line = Rating.RateUsage(tiny, [Calls("data", 9_007_199_254_740_993)]).Single();
        Assert.Equal(9007.199254740993m, line.PreciseAmount);
    }

    private static Usage Calls(string operation, decimal quantity) => new("calls", operation, quantity);
}
