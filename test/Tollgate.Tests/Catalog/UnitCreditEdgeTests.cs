using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>Where credit in units begins and ends: instants, meters, corrections over several grants, what comes at one instant.</summary>
public sealed class UnitCreditEdgeTests
{
    private static readonly PriceComponent s_cent = new("calls", "calls", null, new Price.PerUnit(0.01m));

    [Fact]
    public void A_grant_covers_what_is_used_from_its_first_instant_until_before_its_last()
    {
        var grant = new UnitGrant(1, "calls", 100) { From = 10, To = 20 };
        var line = Assert.Single(Rate([s_cent], [Used("a", 9, 1), Used("a", 10, 2), Used("a", 19, 4), Used("a", 20, 8)], [grant]));
        Assert.Equal((15m, 6m), (line.Quantity, line.Credited));
    }

    [Fact]
    public void Units_are_taken_only_from_grants_of_the_meter_that_have_some_left()
    {
        UnitGrant[] grants = [new(1, "tokens", 5), new(2, "calls", 5), new(3, "calls", 5), new(4, "calls", 5) { To = 3 }];
        decimal[] left = [5, 0, 2, 9], taken = [0, 0, 0, 0];
        Assert.Equal(2, UnitCredit.Take(grants, left, s_cent, 3, 7, taken));
        Assert.Equal([5m, 0m, 0m, 9m], left);
        Assert.Equal([0m, 0m, 2m, 0m], taken);
        // at whatever instant it is valid, also its last
        Assert.Equal(7, UnitCredit.Take(grants, left, s_cent, null, 7, []));
        Assert.Equal([5m, 0m, 0m, 2m], left);
    }

    [Fact]
    public void What_was_taken_last_comes_back_first_and_never_more_than_was_taken()
    {
        decimal[] left = [0, 2, 1], taken = [5, 0, 3];
        Assert.Equal(4, UnitCredit.GiveBack(left, taken, 4));
        Assert.Equal([1m, 2m, 4m], left);
        Assert.Equal([4m, 0m, 0m], taken);
        Assert.Equal(0, UnitCredit.GiveBack(left, taken, 0));
        Assert.Equal(4, UnitCredit.GiveBack(left, taken, 10));
        Assert.Equal([5m, 2m, 4m], left);
        Assert.Equal([0m, 0m, 0m], taken);
        Assert.Equal(0, UnitCredit.GiveBack(left, [], 10));
    }

    [Fact]
    public void Corrections_take_off_what_nothing_covered_and_then_give_credit_back()
    {
        // 18 of 30 are covered; 12 that are not and 3 come off, then 3 and not the other 7 are covered; those 7 and 1 come off
        var line = Assert.Single(Rate(
            [s_cent], [Used("a", 1, 30), Used("a", 2, -15), Used("a", 3, 10), Used("a", 4, -8)], [new(1, "calls", 18)]));
        Assert.Equal((17m, 17m, 0m), (line.Quantity, line.Credited, line.PreciseAmount));
    }

    [Fact]
    public void What_a_correction_gives_back_pays_for_what_comes_later_grant_by_grant()
    {
        PriceComponent[] prices = [Of("first", "a"), Of("second", "b")];
        var lines = Rate(
            prices, [Used("a", 1, 4), Used("a", 2, 4), Used("a", 3, -6), Used("b", 4, 12)], [new(1, "calls", 5), new(2, "calls", 5)]);
        // of the first price two units of the first grant stay
        Assert.Equal([(1L, 2m)], lines[0].Burns.Select(b => (b.Grant, b.Units)));
        Assert.Equal([(1L, 3m), (2L, 5m)], lines[1].Burns.Select(b => (b.Grant, b.Units)));
        Assert.Equal(4, lines[1].PreciseAmount);
    }

    [Fact]
    public void At_one_instant_credit_goes_by_operation_and_then_by_the_order_of_prices()
    {
        PriceComponent[] prices = [Of("of-b", "b"), Of("of-a", "a"), Of("also-a", "a")];
        var lines = Rate(prices, [Used("b", 1, 8), Used("a", 1, 5)], [new(1, "calls", 7)]);
        Assert.Equal([("of-b", 0m), ("of-a", 5m), ("also-a", 2m)], lines.Select(l => (l.PriceName, l.Credited)));
    }

    [Fact]
    public void Included_units_that_are_converted_are_beyond_nothing_in_units_of_the_meter()
    {
        var tenfold = new PriceComponent("tenths", "calls", null, new Price.PerUnit(1)
        {
            Convert = new Conversion(10, Divides: false, UnitRounding.Up),
            Included = 30,
        });
        var line = Assert.Single(Rate([tenfold], [Used("a", 1, 5)], [new(1, "calls", 1)]));
        // three calls are the thirty; one of the two that are left is paid
        Assert.Equal((1m, 10m), (line.Credited, line.PreciseAmount));
    }

    [Fact]
    public void Grants_are_the_same_when_all_of_them_is_prices_by_name_and_order_too()
    {
        var grant = new UnitGrant(1, "calls", 5) { From = 1, To = 9, Prices = ["a", "b"] };
        Assert.Equal(grant, new UnitGrant(1, "calls", 5) { From = 1, To = 9, Prices = new List<string> { "a", "b" } });
        Assert.Equal(grant with { Prices = null }, grant with { Prices = null });
        UnitGrant[] others =
        [
            grant with { Key = 2 }, grant with { Meter = "m" }, grant with { Left = 4 }, grant with { From = 2 }, grant with { To = 8 },
            grant with { Prices = null }, grant with { Prices = [] }, grant with { Prices = ["a"] },
        ];
        Assert.All(others, other => Assert.NotEqual(grant, other));
        Assert.NotEqual(grant with { Prices = [] }, grant with { Prices = null });
        Assert.NotEqual(grant with { Prices = null }, grant with { Prices = [] });
        Assert.False(grant.Equals(null));
    }

    [Fact]
    public void A_quota_beside_prices_of_other_usage_is_a_price_of_nothing_beyond_its_allowance()
    {
        PriceComponent[] prices = [Of("a", "a"), new("tokens", "tokens", null, new Price.PerUnit(1))];
        var plan = new PlanVersion("p", 1, Currency.Usd, prices)
        {
            Quotas =
            [
                new Quota("of-a", "calls", 10) { Operations = ["a"], Overage = Overage.Block },
                new Quota("of-b", "calls", 10) { Operations = ["b"], Overage = Overage.Block },
            ],
        };
        var measured = UnitCredit.Measured(plan, new HashSet<string> { "calls" }, Interval.Month);
        Assert.Equal(["a", "tokens", "quota of-b"], measured.Prices.Select(p => p.Name));
        var lines = PeriodRating.Rate(
            [new UsedStretch(measured, Proration.Whole, [Used("b", 1, 15)])], credit: [new UnitGrant(1, "calls", 100)]);
        Assert.Equal((10m, 5m, 0m), (lines[0].Rated.Included, lines[0].Rated.Credited, lines[0].Rated.PreciseAmount));
    }

    [Fact]
    public void Credit_pays_for_no_units_of_a_price_that_looks_at_single_events()
    {
        var fee = new PriceComponent("fee", "calls", null, new Price.Percentage(10) { Fixed = 1 });
        var line = Assert.Single(Rate([fee], [Used("a", 1, 50) with { Events = 1 }], [new(1, "calls", 100)]));
        Assert.Equal((0m, 6m), (line.Credited, line.PreciseAmount));
    }

    private static PriceComponent Of(string name, string operation) => new(name, "calls", [operation], new Price.PerUnit(1));

    private static List<RatedLine> Rate(PriceComponent[] prices, Usage[] usage, UnitGrant[] credit) =>
        [.. PeriodRating.Rate([new UsedStretch(new PlanVersion("p", 1, Currency.Usd, prices), Proration.Whole, usage)], credit: credit)
            .Select(l => l.Rated)];

    private static Usage Used(string operation, long at, decimal quantity) => new("calls", operation, quantity) { At = at };
}
