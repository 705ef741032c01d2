using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>Worked numbers of each model, at and beside its boundaries.</summary>
public sealed class PricingTests
{
    private static readonly Price s_five = new Price.Graduated([new Tier(5, 0, 10), new Tier(null, 2, 4)]);

    private static readonly Tier[] s_ladder = [new(100, 1), new(200, 0.8m), new(null, 0.5m)];

    private static readonly Price.Package s_package = new(1000, 2.50m) { Free = 500 };

    [Theory]
    [InlineData(0, 10)]
    [InlineData(5, 10)]
    [InlineData(6, 16)]
    public void A_flat_amount_is_asked_for_when_its_tier_is_entered(int quantity, int amount)
    {
        Assert.Equal(amount, Amount(s_five, quantity));
        Assert.Equal(quantity == 0 ? 0 : amount, Amount(s_five with { BillsZeroUsage = false }, quantity));
    }

    [Theory]
    [InlineData(6, 4, 8)]
    [InlineData(3, 2, 0)]
    [InlineData(5, 1, 6)]
    [InlineData(3, 3, 6)]
    public void A_slice_never_repeats_a_flat_amount(int before, int quantity, int amount) =>
        Assert.Equal(amount, Preview(s_five, quantity, before).PreciseAmount);

    [Fact]
    public void A_slice_after_nothing_but_included_units_repeats_no_flat_amount_either()
    {
        var price = s_five with { Included = 10 };
        // 7 of 17 are above the included ones: 5 cost nothing, 2 cost 2 each and enter the second tier
        Assert.Equal((10m, 8m), (Preview(price, 10, null).PreciseAmount, Preview(price, 7, 10).PreciseAmount));
        var lazy = price with { BillsZeroUsage = false };
        Assert.Equal((0m, 10m), (Preview(lazy, 10, null).PreciseAmount, Preview(lazy, 5, 10).PreciseAmount));
    }

    [Theory]
    [InlineData("99.99", "99.99", "99.99")]
    [InlineData("100", "100", "100")]
    [InlineData("100.25", "100.20", "80.20")]
    [InlineData("200", "180", "160")]
    [InlineData("200.5", "180.25", "100.25")]
    public void Tiers_include_their_upper_bound(string quantity, string graduated, string volume)
    {
        Assert.Equal(decimal.Parse(graduated), Amount(new Price.Graduated(s_ladder), decimal.Parse(quantity)));
        Assert.Equal(decimal.Parse(volume), Amount(new Price.Volume(s_ladder), decimal.Parse(quantity)));
    }

    [Theory]
    [InlineData(0, 5)]
    [InlineData(10, 5)]
    [InlineData(11, 9)]
    public void Stairs_have_flat_amounts_only(int quantity, int amount)
    {
        var stairs = new Price.Stairstep([new Tier(10, null, 5), new Tier(null, null, 9)]);
        Assert.Equal(amount, Amount(stairs, quantity));
        Assert.Equal(quantity == 0 ? 0 : amount, Amount(stairs with { BillsZeroUsage = false }, quantity));
        Assert.Equal(quantity + 1 > 10 ? 4 : 0, Preview(stairs, quantity, 1).PreciseAmount);
    }

    [Theory]
    [InlineData(500, 0, 0)]
    [InlineData(501, 2.50, 0)]
    [InlineData(1500, 2.50, 2.50)]
    [InlineData(1501, 5, 2.50)]
    public void Packages_begin_behind_the_free_units(int quantity, decimal up, decimal down)
    {
        Assert.Equal(up, Amount(s_package, quantity));
        Assert.Equal(down, Amount(s_package with { RoundsDown = true }, quantity));
    }

    [Theory]
    [InlineData(400, 200, 2.50)]
    [InlineData(600, 100, 0)]
    [InlineData(600, 1000, 2.50)]
    public void A_package_that_was_begun_is_paid(int before, int quantity, decimal amount) =>
        Assert.Equal(amount, Preview(s_package, quantity, before).PreciseAmount);

    [Theory]
    [InlineData(UnitRounding.None, "1400", "2.8")]
    [InlineData(UnitRounding.Up, "1400", "4")]
    [InlineData(UnitRounding.Up, "1000", "2")]
    [InlineData(UnitRounding.Down, "1999", "2")]
    [InlineData(UnitRounding.Nearest, "1499", "2")]
    [InlineData(UnitRounding.Nearest, "1500", "4")]
    public void Units_are_converted_before_they_are_priced(UnitRounding round, string quantity, string amount)
    {
        var price = new Price.PerUnit(2) { Convert = new Conversion(1000, true, round) };
        Assert.Equal(decimal.Parse(amount), Amount(price, decimal.Parse(quantity)));
        Assert.Equal(120, Amount(price with { Convert = new Conversion(60, false, round) }, 1));
    }

    [Fact]
    public void Included_units_are_taken_off_after_the_conversion()
    {
        var price = new Price.PerUnit(2) { Convert = new Conversion(10, true), Included = 5 };
        Assert.Equal(10, Rating.Exactly(price, 100, 5));
        Assert.Equal(0, Rating.Exactly(price, 50, 5));
        Assert.Equal(0, Rating.Exactly(price, 49, 5));
    }

    [Fact]
    public void Three_thirds_are_one()
    {
        var price = new Price.Graduated([new Tier(1, 1, 1), new Tier(null, 1)]) { Convert = new Conversion(3, true) };
        Assert.Equal([4m / 3, 2m, 7m / 3, 3m], new[] { 1m, 3, 4, 6 }.Select(q => Amount(price, q)));
        Assert.Equal("0.33 0.67", $"{Preview(price, 1, 3).Amount} {Preview(price, 2, 4).Amount}");
    }

    [Theory]
    // rate 2 %, 0.30 each, from 0.50 to 5.00
    [InlineData("10", "0.50")]
    [InlineData("5", "0.50")]
    [InlineData("100", "2.30")]
    [InlineData("1000", "5.00")]
    [InlineData("10,5,1000", "6.00")]
    public void An_event_is_held_between_its_bounds_after_the_fixed_part(string events, string amount) => Assert.Equal(
        amount, OfEvents(new Price.Percentage(2) { Fixed = 0.30m, MinimumPerEvent = 0.50m, MaximumPerEvent = 5 }, events));

    [Theory]
    [InlineData(2, null, "50,50,50", "6.00")]
    [InlineData(null, 100, "60,60,50", "9.00")]
    [InlineData(1, 100, "60,60,50", "13.00")]
    [InlineData(3, 100, "60,40,50", "6.00")]
    [InlineData(3, 100, "60,60,50", "9.00")]
    [InlineData(null, null, "50,0", "7.00")]
    // none and nothing are said as well
    [InlineData(0, 100, "60,60,50", "20.00")]
    [InlineData(2, 0, "50,50,50", "18.00")]
    public void What_is_free_is_used_up_by_events_or_by_value_whichever_comes_first(
        int? freeEvents, int? freeAmount, string events, string amount) => Assert.Equal(amount, OfEvents(
            new Price.Percentage(10) { Fixed = 1, FreeEvents = freeEvents, FreeAmount = freeAmount }, events));

    [Fact]
    public void A_share_of_a_sum_is_free_up_to_its_free_amount()
    {
        var price = new Price.Percentage(10) { FreeAmount = 100 };
        Assert.Equal([0m, 0m, 5m], new[] { 40m, 100, 150 }.Select(q => Amount(price, q)));
        Assert.Equal(15m, Amount(price with { FreeEvents = 0 }, 150));
        Assert.Equal([0m, 5m, 5m], new[] { (10m, 40m), (60, 90), (50, 100) }
            .Select(s => Preview(price, s.Item1, s.Item2).PreciseAmount));
    }

    [Fact]
    public void Lines_say_what_they_are_for()
    {
        Assert.Equal(
            ["10 units included", "5 units up to 5", "flat amount up to 5", "2 units above 5", "flat amount above 5"],
            Preview(s_five with { Included = 10 }, 17, null).Lines.Select(l => l.Description));
        Assert.Equal(["1 package of 1000"], Preview(s_package, 501, null).Lines.Select(l => l.Description));
        Assert.Equal(["150 units above 100 up to 200", "billed before"],
            Preview(new Price.Volume(s_ladder), 50, 100).Lines.Select(l => l.Description));
        Assert.Equal(["3 units", "up to the minimum"],
            Preview(new Price.PerUnit(1) { Minimum = 5 }, 3, null).Lines.Select(l => l.Description));
        Assert.Equal(["9 units", "down to the maximum"],
            Preview(new Price.PerUnit(1) { Maximum = 5 }, 9, null).Lines.Select(l => l.Description));
        Assert.Equal(["2 % of 9"], Preview(new Price.Percentage(2), 9, null).Lines.Select(l => l.Description));
        Assert.Equal(["fee"], Preview(new Price.Flat(9, BillingTiming.Advance), 1, null).Lines.Select(l => l.Description));
        var events = PricePreview.Of(new PreviewQuestion(
            new Price.Percentage(2) { Fixed = 1, MaximumPerEvent = 2 }, Currency.Usd) { Events = [10, 100] });
        Assert.Equal(["2 % of 110", "2 events", "minimum and maximum of an event"], events.Lines.Select(l => l.Description));
    }

    [Fact]
    public void A_boundary_where_the_total_falls_is_a_cliff()
    {
        var volume = new Price.Volume([new Tier(15, 10), new Tier(20, 10), new Tier(null, 5, 50)]);
        Assert.Equal([new PriceCliff(20, 200, 150)], PriceCliff.Of(volume));
        Assert.Single(PriceCliff.Of(new Price.Stairstep([new Tier(1, null, 2), new Tier(null, null, 1)])));
        Assert.Empty(PriceCliff.Of(new Price.Graduated([new Tier(1, null, 2), new Tier(null, null, 1)])));
        Assert.Contains("At 1 units the total is 2, and just above it is 1",
            PriceCliff.Of(new Price.Stairstep([new Tier(1, null, 2), new Tier(null, null, 1)])).Single().ToString());
    }

    [Fact]
    public void Only_prices_that_never_take_back_may_block_at_a_balance()
    {
        Price[] yes = [new Price.Flat(1, BillingTiming.Arrears), new Price.PerUnit(1), s_five, s_package];
        Price[] no = [new Price.Volume(s_ladder), new Price.Percentage(1), new Price.PerUnit(1) { Minimum = 1 }];
        Assert.All(yes, p => Assert.True(p.CanBlockAtBalance));
        Assert.All(no, p => Assert.False(p.CanBlockAtBalance));
    }

    [Fact]
    public void Equal_prices_are_equal_whatever_list_their_tiers_are_in()
    {
        Price[] one = [new Price.Graduated([.. s_ladder]), new Price.Volume([.. s_ladder]), new Price.Stairstep([.. s_ladder])];
        Price[] two = [new Price.Graduated([.. s_ladder]), new Price.Volume([.. s_ladder]), new Price.Stairstep([.. s_ladder])];
        Assert.Equal(one, two);
        Assert.Equal(one.Select(p => p.GetHashCode()), two.Select(p => p.GetHashCode()));
        Assert.NotEqual(new Price.Graduated(s_ladder), new Price.Graduated([s_ladder[0], s_ladder[2]]));
        Assert.NotEqual<Price>(new Price.Graduated(s_ladder), new Price.Graduated(s_ladder) { Included = 1 });
        var component = new PriceComponent("a", "calls", ["x", "y"], one[0]);
        Assert.Equal(component, component with { Operations = ["x", "y"], Price = two[0] });
        Assert.NotEqual(component, component with { Operations = ["x"] });
        Assert.NotEqual(component, component with { Operations = null });
        Assert.NotEqual(component, component with { Name = "b" });
        Assert.NotEqual(component, component with { Meter = "tokens" });
    }

    private static decimal Amount(Price price, decimal quantity) => Rating.Exactly(price, quantity, price.Included);

    private static PricePreview Preview(Price price, decimal quantity, decimal? before) =>
        PricePreview.Of(new PreviewQuestion(price, Currency.Usd) { Quantity = quantity, AlreadyBilled = before });

    private static string OfEvents(Price price, string events) => PricePreview.Of(new PreviewQuestion(price, Currency.Usd)
    {
        Events = [.. events.Split(',').Select(decimal.Parse)],
    }).Amount.ToString();
}
