using CsCheck;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>A period whose terms change in it, and what is included in it.</summary>
public sealed class PeriodRatingTests
{
    private static readonly Price.Graduated s_tiers = new([new Tier(100, 0.10m, 5), new Tier(null, 0.01m)]);

    [Fact]
    public void A_price_that_a_new_version_leaves_as_it_was_goes_on_in_its_tiers()
    {
        var lines = PeriodRating.Rate([Stretch(1, 10, 80, Tiered()), Stretch(2, 20, 40, Tiered())]);
        var line = Assert.Single(lines);
        // one flat amount, 100 in the first tier and 20 in the second
        Assert.Equal((15.20m, 0, 1), (line.Rated.PreciseAmount, line.First, line.Last));
        Assert.Equal(["100 calls up to 100", "flat amount up to 100", "20 calls above 100"],
            line.Rated.Parts.Select(p => p.Describe("calls")));
    }

    [Fact]
    public void A_price_that_changed_begins_anew_with_what_is_left_of_the_allowance()
    {
        var lines = PeriodRating.Rate([Stretch(1, 10, 80, Unit(1, 100)), Stretch(2, 20, 50, Unit(2, 100))]);
        Assert.Equal([(80m, 0m), (20m, 60m)], lines.Select(l => (l.Rated.Included, l.Rated.PreciseAmount)));
    }

    [Fact]
    public void An_allowance_of_a_quota_is_one_number_for_all_prices_that_include_it()
    {
        var price = new PriceComponent("calls", "calls", null, new Price.PerUnit(2) { IncludedFromQuota = true });
        var again = price with { Name = "again" };
        var plan = Plan(1, price, again) with { Quotas = [new Quota("calls", "calls", 30) { Overage = Overage.Bill }] };
        var stretch = new UsedStretch(plan, Proration.Whole, [new Usage("calls", "a", 40)]);
        // the second price finds the allowance consumed
        Assert.Equal([20m, 80m], PeriodRating.Rate([stretch]).Select(l => l.Rated.PreciseAmount));
    }

    [Fact]
    public void Included_units_go_to_what_was_used_first_and_then_by_the_name_of_the_operation()
    {
        Usage[] used =
        [
            new("calls", "b", 30) { At = 1 }, new("calls", "c", 30) { At = 2 }, new("calls", "a", 30) { At = 2 },
            new("calls", "b", 30) { At = 3 },
        ];
        var plan = Plan(1, Unit(1, 70));
        var lines = PeriodRating.Rate([new UsedStretch(plan, Proration.Whole, used)]).Select(l => l.Rated);
        Assert.Equal([("a", 30m, 30m, 0m), ("b", 60m, 30m, 30m), ("c", 30m, 10m, 20m)],
            lines.Select(l => (l.Operation!, l.Quantity, l.Included, l.PreciseAmount)));
    }

    [Theory]
    [InlineData(false, 100)]
    [InlineData(true, 50)]
    public void An_allowance_is_prorated_only_when_the_price_says_so(bool prorates, int included)
    {
        var price = Unit(1, 100);
        price = price with { Price = price.Price with { ProratesAllowance = prorates } };
        var lines = PeriodRating.Rate([Stretch(1, 15, 120, price)]);
        Assert.Equal(included, lines[0].Rated.Included);
    }

    [Fact]
    public void A_minimum_is_for_the_part_of_the_period_and_follows_the_usage()
    {
        var price = Unit(1, 0);
        price = price with { Price = price.Price with { Minimum = 90 } };
        var lines = PeriodRating.Rate([Stretch(1, 10, 20, price), Stretch(2, 10, 10, price)]);
        Assert.Equal([(LineKind.Usage, 30m), (LineKind.Minimum, 30m)],
            lines.Select(l => (l.Rated.Kind, l.Rated.PreciseAmount)));
        // a discount of its lines comes before the minimum: 30 of the 90, less 20 less 5
        var before = Assert.Single(PeriodRating.Prices([Stretch(1, 10, 20, price)]));
        Assert.Equal(15m, before.Bound(Money.Round(15, Currency.Usd))?.PreciseAmount);
    }

    [Fact]
    public void Terms_that_came_and_went_enter_no_tier()
    {
        Assert.Empty(PeriodRating.Rate([Stretch(1, 0, 0, Tiered())]));
        Assert.Equal(5, PeriodRating.Rate([Stretch(1, 30, 0, Tiered())]).Single().Rated.PreciseAmount);
        // a call that was stamped with them is billed nevertheless
        Assert.Equal(5.10m, PeriodRating.Rate([Stretch(1, 0, 1, Tiered())]).Single().Rated.PreciseAmount);
    }

    [Fact]
    public void However_a_period_is_cut_an_unchanged_price_asks_the_same() => Gen.Select(
        PriceGen.Prices, Gen.Decimal[0, 5_000].Select(d => decimal.Round(d, 2)).Array[1, 5]).Sample((price, cuts) =>
    {
        var component = new PriceComponent("p", "calls", null, price);
        var stretches = cuts.Select((q, i) => Stretch(i + 1, 5, q, component)).ToArray();
        var whole = Stretch(1, 5 * cuts.Length, cuts.Sum(), component);
        Assert.Equal(
            PeriodRating.Rate([whole]).Select(l => (l.Rated.Kind, l.Rated.Quantity, l.Rated.PreciseAmount)),
            PeriodRating.Rate(stretches).Select(l => (l.Rated.Kind, l.Rated.Quantity, l.Rated.PreciseAmount)));
    });

    private static PriceComponent Tiered() => new("calls", "calls", null, s_tiers);

    private static PriceComponent Unit(decimal amount, decimal included) =>
        new("calls", "calls", null, new Price.PerUnit(amount) { Included = included });

    private static PlanVersion Plan(int version, params PriceComponent[] prices) =>
        new("plan_p", version, Currency.Usd, prices);

    private static UsedStretch Stretch(int version, int days, decimal used, PriceComponent price) =>
        new(Plan(version, price), new Proration(days, 30), [new Usage("calls", "a", used)]);
}
