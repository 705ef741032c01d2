using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>Credit in units: it pays what lies beyond the included units, in order of time, before anything is rated.</summary>
public sealed class UnitCreditTests
{
    private static readonly PriceComponent s_cent = new("calls", "calls", null, new Price.PerUnit(0.01m) { Included = 10 });

    [Fact]
    public void Included_units_come_first_then_credit_and_the_rest_is_billed()
    {
        var line = Assert.Single(Rate([s_cent], [Used("a", 1, 100)], [Grant(1, 50)]));
        Assert.Equal((100m, 10m, 50m, 0.40m), (line.Quantity, line.Included, line.Credited, line.PreciseAmount));
    }

    [Fact]
    public void Units_do_not_fill_tiers()
    {
        var tiers = new Price.Graduated([new Tier(20, 1), new Tier(null, 0.5m)]);
        var line = Assert.Single(Rate([new PriceComponent("calls", "calls", null, tiers)], [Used("a", 1, 35)], [Grant(1, 10)]));
        Assert.Equal(20 + 2.5m, line.PreciseAmount);
    }

    [Fact]
    public void Grants_are_burnt_in_their_order_each_only_for_what_was_used_while_it_was_valid()
    {
        UnitGrant[] grants = [Grant(1, 30) with { From = 10, To = 20 }, Grant(2, 100) with { From = 15 }];
        var line = Assert.Single(Rate([s_cent], [Used("a", 5, 40), Used("a", 12, 20), Used("a", 18, 20), Used("a", 25, 7)], grants));
        // ten are included, thirty came before any grant; 20 and 10 of the first, 10 and 7 of the second
        Assert.Equal([(1L, 30m), (2L, 17m)], line.Burns.Select(b => (b.Grant, b.Units)));
        Assert.Equal(0.30m, line.PreciseAmount);
    }

    [Fact]
    public void What_was_used_first_takes_the_credit_whatever_its_price()
    {
        PriceComponent[] prices =
        [
            new("dear", "calls", ["a"], new Price.PerUnit(1)), new("cheap", "calls", ["b"], new Price.PerUnit(0.1m)),
        ];
        var lines = Rate(prices, [Used("b", 1, 8), Used("a", 2, 5), Used("b", 3, 4)], [Grant(1, 10)]);
        Assert.Equal([("dear", 2m, 3m), ("cheap", 8m, 0.4m)], lines.Select(l => (l.PriceName, l.Credited, l.PreciseAmount)));
        // one price only
        lines = Rate(prices, [Used("b", 1, 8), Used("a", 2, 5)], [Grant(1, 10) with { Prices = ["dear"] }]);
        Assert.Equal([("dear", 5m), ("cheap", 0m)], lines.Select(l => (l.PriceName, l.Credited)));
    }

    [Fact]
    public void Units_are_those_of_the_meter_and_not_of_the_price()
    {
        var price = new PriceComponent("kilo", "calls", null, new Price.PerUnit(2)
        {
            Convert = new Conversion(1_000, Divides: true, UnitRounding.Up),
            Included = 1,
        });
        var line = Assert.Single(Rate([price], [Used("a", 1, 3_500)], [Grant(1, 600)]));
        // 2,900 are three thousands, one of them included
        Assert.Equal((600m, 4m), (line.Credited, line.PreciseAmount));
    }

    [Fact]
    public void What_a_correction_takes_back_was_covered_last()
    {
        var line = Assert.Single(Rate([s_cent], [Used("a", 1, 30), Used("a", 2, -15), Used("a", 3, 10)], [Grant(1, 18)]));
        Assert.Equal((25m, 15m, 0m), (line.Quantity, line.Credited, line.PreciseAmount));
    }

    [Fact]
    public void A_quota_that_stops_calls_is_measured_where_no_price_asks()
    {
        var plan = new PlanVersion("p", 1, Currency.Usd, [new PriceComponent("a", "calls", ["a"], new Price.PerUnit(1))])
        {
            Quotas =
            [
                new Quota("calls", "calls", 5) { Operations = ["b"] }, new Quota("all", "calls", 5),
                new Quota("day", "calls", 5) { Operations = ["b"], Per = new QuotaPeriod(Interval.Day, false) },
                new Quota("billed", "calls", 5) { Operations = ["b"], Overage = Overage.Bill },
            ],
        };
        Assert.Equal(["a", "quota calls"], UnitCredit.Measured(plan, new HashSet<string> { "calls" }, Interval.Month)
            .Prices.Select(p => p.Name));
        Assert.Same(plan, UnitCredit.Measured(plan, new HashSet<string> { "tokens" }, Interval.Month));
    }

    private static List<RatedLine> Rate(PriceComponent[] prices, Usage[] usage, UnitGrant[] credit) =>
        [.. PeriodRating.Rate([new UsedStretch(new PlanVersion("p", 1, Currency.Usd, prices), Proration.Whole, usage)], credit: credit)
            .Select(l => l.Rated)];

    private static UnitGrant Grant(long key, decimal units) => new(key, "calls", units);

    private static Usage Used(string operation, long at, decimal quantity) => new("calls", operation, quantity) { At = at };
}
