using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>Which usage of a price stands on one line, in which order, and on which line what is included goes.</summary>
public sealed class RatingGroupTests
{
    [Fact]
    public void Units_at_one_amount_have_a_line_for_each_operation_and_endpoint_in_their_order()
    {
        var lines = Rate(
            new Price.PerUnit(1), Used("b", 1, 1), Used("a", 2, 2) with { Endpoint = "/y" }, Used("a", 3, 4) with { Endpoint = "/x" });
        Assert.Equal([("a", "/x", 4m), ("a", "/y", 2m), ("b", "b", 1m)], lines.Select(l => (l.Operation!, l.Endpoint!, l.Quantity)));
    }

    [Fact]
    public void Usage_in_tiers_fills_them_together_and_its_line_has_an_operation_only_when_it_is_all_of_one()
    {
        var tiers = new Price.Graduated([new Tier(5, 1), new Tier(null, 0.5m)]);
        var line = Assert.Single(Rate(tiers, Used("b", 1, 4), Used("a", 2, 4)));
        Assert.Equal((8m, 6.5m, null, null), (line.Quantity, line.PreciseAmount, line.Operation, line.Endpoint));
        line = Assert.Single(Rate(tiers, Used("a", 1, 4), Used("a", 2, 4)));
        Assert.Equal((8m, 6.5m, "a"), (line.Quantity, line.PreciseAmount, line.Operation));
        line = Assert.Single(Rate(tiers, Used("", 1, 4), Used("", 2, 4)));
        Assert.Null(line.Operation);
    }

    [Fact]
    public void What_was_used_first_is_included_and_what_a_correction_takes_back_is_included_again()
    {
        // a: 8 included, then 5 of them back; b: 2 and then 5 of its 6 included
        var lines = Rate(
            new Price.PerUnit(1) { Included = 10 }, Used("a", 1, 8), Used("b", 2, 4), Used("a", 3, -5), Used("b", 4, 6));
        Assert.Equal([("a", 3m, 3m, 0m), ("b", 10m, 7m, 3m)], lines.Select(l => (l.Operation!, l.Quantity, l.Included, l.PreciseAmount)));
    }

    [Fact]
    public void A_correction_of_more_than_was_included_on_its_line_gives_back_no_more_than_that()
    {
        var lines = Rate(
            new Price.PerUnit(1) { Included = 10 }, Used("b", 1, 8), Used("a", 2, 6), Used("a", 3, -5), Used("b", 4, 9));
        // a: 2 of 6 were included and come back; b has them then
        Assert.Equal([("a", 1m, 0m, 1m), ("b", 17m, 10m, 7m)], lines.Select(l => (l.Operation!, l.Quantity, l.Included, l.PreciseAmount)));
    }

    [Fact]
    public void Usage_of_nothing_and_of_other_meters_has_no_line()
    {
        Assert.Empty(Rate(new Price.PerUnit(1), Used("a", 1, 0), new Usage("tokens", "a", 5) { At = 1 }));
        var line = Assert.Single(Rate(
            new Price.PerUnit(1), Used("a", 1, 0), Used("a", 1, 3), new Usage("tokens", "a", 5) { At = 1, Events = 1 }));
        Assert.Equal(3, line.Quantity);
    }

    [Fact]
    public void Single_events_are_priced_each_with_its_bounds_as_often_as_they_came()
    {
        var price = new Price.Percentage(10) { MinimumPerEvent = 1 };
        // 10 % of 5 is held to 1, twice; 10 % of 50 is 5
        var line = Assert.Single(Rate(price, Used("a", 1, 5) with { Events = 2 }, Used("a", 2, 50) with { Events = 1 }));
        Assert.Equal((60m, 7m), (line.Quantity, line.PreciseAmount));
    }

    [Fact]
    public void Sets_of_dimensions_are_one_text_in_whatever_order_they_stand()
    {
        Assert.Equal("", DimensionText.Of(null));
        Assert.Equal("", DimensionText.Of(new Dictionary<string, string>()));
        Assert.Equal("b\t2\nc\t1", DimensionText.Of(new Dictionary<string, string> { ["c"] = "1", ["b"] = "2" }));
    }

    private static List<RatedLine> Rate(Price price, params Usage[] usage) =>
        [.. PeriodRating.Rate([new UsedStretch(
            new PlanVersion("p", 1, Currency.Usd, [new PriceComponent("calls", "calls", null, price)]), Proration.Whole, usage)])
            .Select(l => l.Rated)];

    private static Usage Used(string operation, long at, decimal quantity) => new("calls", operation, quantity) { At = at };
}
