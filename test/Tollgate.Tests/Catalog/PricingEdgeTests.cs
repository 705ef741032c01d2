using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>What surviving mutants asked for: edges that worked numbers pass by.</summary>
public sealed class PricingEdgeTests
{
    [Fact]
    public void Included_units_go_to_the_earliest_usage_and_not_to_the_latest()
    {
        Usage[] used = [new("calls", "b", 10) { At = 9 }, new("calls", "b", 30) { At = 1 }, new("calls", "a", 50) { At = 2 }];
        var lines = Rating.Rate(new PriceComponent("p", "calls", null, new Price.PerUnit(1)), used, 40);
        Assert.Equal([("a", 10m), ("b", 30m)], lines.Select(l => (l.Operation!, l.Included)));
        Usage[] sameTime = [new("calls", "b", 30), new("calls", "a", 30)];
        Assert.Equal([30m, 10m], Rating.Rate(new PriceComponent("p", "calls", null, new Price.PerUnit(1)), sameTime, 40)
            .Select(l => l.Included));
    }

    [Fact]
    public void A_line_of_several_operations_names_none_and_a_line_of_one_names_it()
    {
        var price = new PriceComponent("p", "calls", null, new Price.Package(10, 2));
        var one = Rating.Rate(price, [new Usage("calls", "a", 5), new Usage("calls", "a", 6)], 100)[0];
        Assert.Equal(("a", "a", 11m, 11m, null), (one.Operation!, one.Endpoint!, one.Quantity, one.Included, one.UnitAmount));
        var two = Rating.Rate(price, [new Usage("calls", "a", 5), new Usage("calls", "b", 6)], 1)[0];
        Assert.Equal((null, null, 11m, 1m, 2m), (two.Operation, two.Endpoint, two.Quantity, two.Included, two.UnitAmount));
        Assert.Empty(Rating.Rate(price, [], 0));
        Assert.Single(Rating.Rate(price, [new Usage("calls", "a", 5)], 5));
        var paths = Rating.Rate(price, [new Usage("calls", "a", 5) { Endpoint = "/1" }, new Usage("calls", "a", 5) { Endpoint = "/2" }], 0);
        Assert.Null(paths[0].Operation);
    }

    [Fact]
    public void A_share_of_days_is_whole_when_all_days_are_covered()
    {
        Assert.True(new Proration(30, 30).IsWhole);
        Assert.False(new Proration(29, 30).IsWhole);
        Assert.True(Proration.Whole.IsWhole);
    }

    [Fact]
    public void Included_units_of_single_events_are_taken_from_the_first_ones()
    {
        var price = new Price.Percentage(10) { Fixed = 1, Included = 60 };
        // 50 included, 10 of the second, then all of the third: 0 + (4 + 1) + (5 + 1)
        Assert.Equal(11m, Events(price, [50, 50, 50]).PreciseAmount);
        Assert.Equal(11m, Events(price with { Included = 0, IncludedFromQuota = true }, [50, 50, 50], 60).PreciseAmount);
        Assert.Equal(1m, Events(price with { Included = 0 }, [0]).PreciseAmount);
        Assert.Equal(1 + 10m / 3 / 10, Events(price with { Included = 0, Convert = new Conversion(3, true) }, [10]).PreciseAmount, 9);
        Assert.Equal(2m, Events(price with { Included = 0, Convert = new Conversion(10, true) }, [100]).PreciseAmount);
    }

    [Fact]
    public void A_sum_given_to_a_price_of_single_events_is_one_event()
    {
        var price = new Price.Percentage(2) { Fixed = 0.30m, MinimumPerEvent = 0.50m };
        Assert.Equal([0m, 0.50m, 2.30m], new[] { 0m, 5, 100 }.Select(q => Rating.Exactly(price, q, 0)));
        Assert.Throws<InvalidOperationException>(() => Slice(price, 1, 1));
        Assert.Empty(Events(price with { FreeEvents = 5 }, [10, 10]).Lines);
        Assert.Equal(["2 % of 100"], Events(new Price.Percentage(2) { MaximumPerEvent = 9 }, [100]).Lines.Select(l => l.Description));
        Assert.Equal(["1 event"], Events(new Price.Percentage(0) { Fixed = 1 }, [0]).Lines.Select(l => l.Description));
    }

    [Fact]
    public void An_allowance_of_a_quota_is_taken_off_a_preview()
    {
        var price = new Price.PerUnit(2) { IncludedFromQuota = true };
        Assert.Equal(60, PricePreview.Of(new PreviewQuestion(price, Currency.Usd) { Quantity = 130, Quota = 100 }).PreciseAmount);
        Assert.Equal(260, PricePreview.Of(new PreviewQuestion(price, Currency.Usd) { Quantity = 130 }).PreciseAmount);
    }

    [Theory]
    [InlineData(8, 5, "2 units included 0.00; 3 units 3.00")]
    [InlineData(10, 5, "5 units 5.00")]
    [InlineData(0, 10, "10 units included 0.00")]
    [InlineData(4, 0, "")]
    public void A_slice_shows_what_is_left_of_the_included_units(int before, int quantity, string lines) =>
        Assert.Equal(lines, Lines(Slice(new Price.PerUnit(1) { Included = 10 }, quantity, before)));

    [Theory]
    // minimum and maximum of the period, billed before, used now
    [InlineData(10, null, 8, 5, "3", "5 units 5.00; up to the minimum -2.00")]
    [InlineData(10, null, 2, 3, "0", "3 units 3.00; up to the minimum -3.00")]
    [InlineData(null, 10, 8, 5, "2", "5 units 5.00; down to the maximum -3.00")]
    [InlineData(null, 10, 12, 5, "0", "5 units 5.00; down to the maximum -5.00")]
    [InlineData(10, null, 0, 5, "10", "5 units 5.00; up to the minimum 5.00")]
    public void A_slice_is_held_by_what_the_ones_before_were_held_by(
        int? minimum, int? maximum, int before, int quantity, string precise, string lines)
    {
        var preview = Slice(new Price.PerUnit(1) { Minimum = minimum, Maximum = maximum }, quantity, before);
        Assert.Equal(lines, Lines(preview));
        Assert.Equal((decimal.Parse(precise), decimal.Parse(precise)), (preview.PreciseAmount, preview.Amount.Amount));
    }

    [Theory]
    [InlineData("60.004", "100", "100.00")]
    [InlineData("99.996", "100", "100.00")]
    [InlineData("120.004", "110", "110.00")]
    public void The_precise_amount_is_between_the_bounds_too(string quantity, string precise, string amount)
    {
        var preview = Slice(new Price.PerUnit(1) { Minimum = 100, Maximum = 110 }, decimal.Parse(quantity), null);
        Assert.Equal((decimal.Parse(precise), amount), (preview.PreciseAmount, preview.Amount.ToString()));
    }

    [Fact]
    public void A_fee_is_asked_for_once_and_for_nothing_only_when_it_says_so()
    {
        var fee = new Price.Flat(9, BillingTiming.Arrears);
        Assert.Equal([9m, 9m], new[] { 0m, 3 }.Select(q => Rating.Exactly(fee, q, 0)));
        Assert.Equal([0m, 9m], new[] { 0m, 3 }.Select(q => Rating.Exactly(fee with { BillsZeroUsage = false }, q, 0)));
        Assert.Equal(0, Slice(fee, 1, 1).PreciseAmount);
    }

    [Fact]
    public void A_tier_over_everything_needs_no_words()
    {
        Assert.Equal("3 units 3.00", Lines(Slice(new Price.Graduated([new Tier(null, 1)]), 3, null)));
        Assert.Equal("2 packages of 10 2.00", Lines(Slice(new Price.Package(10, 1), 11, null)));
        Assert.Equal("", Lines(Slice(new Price.Volume([new Tier(null, 1)]), 0, null)));
        var thirds = new Price.PerUnit(3) { Convert = new Conversion(4, true) };
        Assert.Equal("0.5 units 1.50", Lines(Slice(thirds, 2, null)));
    }

    [Fact]
    public void A_volume_in_thirds_takes_back_what_was_billed_in_thirds()
    {
        var price = new Price.Volume([new Tier(1, 1), new Tier(null, 2)]) { Convert = new Conversion(3, true) };
        Assert.Equal([1m, 3m], [Slice(price, 3, null).PreciseAmount, Slice(price, 3, 3).PreciseAmount]);
        Assert.Equal("2 units above 1 4.00; billed before -1.00", Lines(Slice(price, 3, 3)));
    }

    [Fact]
    public void What_has_more_than_28_digits_is_refused_and_zeros_are_no_digits()
    {
        Assert.Equal(10_000_000_000_000_000_000_000m, Exact.Multiply(10_000_000_000m, 1_000_000_000_000.0000000000m));
        Assert.Equal(0, Exact.Multiply(0.0000000000000000000000000001m, 0));
        Assert.Equal(0, Exact.Multiply(0, 0.0000000000000000000000000001m));
        Assert.Equal(0.1m, Exact.Add(0.1000000000000000000000000000m, 0));
        Assert.Equal(1_000_000_000_000_000m, Exact.Add(999_999_999_999_999m, 1.0000000000000000000000000m));
        Assert.Equal(0.01m, Exact.Multiply(0.1000000000000000000000000000m, 0.1000000000000000000000000000m));
        Assert.Equal("0.1", Exact.Trim(0.1000m).ToString());
        foreach (var work in (Func<decimal>[])
            [
                () => Exact.Multiply(1.00000000000001m, 1.000000000000001m),
                () => Exact.Add(1_000_000_000_000_000m, 0.00000000000001m),
                () => Exact.Subtract(1_000_000_000_000_000m, 0.00000000000001m),
            ])
            Assert.Contains("28 digits", Assert.Throws<OverflowException>(() => { work(); }).Message);
    }

    [Fact]
    public void An_event_in_which_the_free_value_ends_is_held_by_its_bounds()
    {
        var price = new Price.Percentage(10) { Fixed = 1, FreeAmount = 100, MaximumPerEvent = 3 };
        // 50 of 150 are charged: 5 + 1, held to 3
        Assert.Equal(3m, Events(price, [150]).PreciseAmount);
        Assert.Equal(2m, Events(price, [110]).PreciseAmount);
        // the first uses the free value up, and the second, of no value, is an event
        Assert.Equal(1m, Events(price, [100, 0]).PreciseAmount);
    }

    [Fact]
    public void A_price_goes_on_although_another_one_of_its_plan_changed()
    {
        var stays = new PriceComponent("stays", "calls", null, new Price.Package(10, 1));
        var old = new PriceComponent("other", "calls", null, new Price.PerUnit(1));
        UsedStretch[] stretches =
        [
            new(new PlanVersion("p", 1, Currency.Usd, [stays, old]), new Proration(10, 30), [new Usage("calls", "a", 5)]),
            new(new PlanVersion("p", 2, Currency.Usd, [stays, old with { Price = new Price.PerUnit(2) }]),
                new Proration(20, 30), [new Usage("calls", "a", 5)]),
        ];
        Assert.Equal([("stays", 1m), ("other", 5m), ("other", 10m)],
            PeriodRating.Rate(stretches).Select(l => (l.Rated.PriceName, l.Rated.PreciseAmount)));
    }

    [Fact]
    public void A_subtotal_is_after_the_discounts_of_lines_and_before_those_of_the_invoice()
    {
        var sum = InvoiceSum.Of(new Charges(Currency.Usd,
        [
            new ChargeLine("fee", Money.Round(100, Currency.Usd)) { Discount = Money.Round(10, Currency.Usd) },
        ]) { Coupons = [new Discount("half", 50, null)] });
        Assert.Equal(("90.00", "45.00", "55.00"), (sum.Subtotal.ToString(), sum.Net.ToString(), sum.Lines[0].Off.ToString()));
    }

    [Fact]
    public void Weights_of_any_length_split_in_their_proportion() => Assert.Equal(["0.75", "0.25"],
        Money.Round(1, Currency.Usd).Split([30_000_000_000_000_000_000_000_003m, 10_000_000_000_000_000_000_000_001m])
            .Select(m => m.ToString()));

    private static PricePreview Slice(Price price, decimal quantity, decimal? before) =>
        PricePreview.Of(new PreviewQuestion(price, Currency.Usd) { Quantity = quantity, AlreadyBilled = before });

    private static PricePreview Events(Price price, decimal[] events, decimal? quota = null) =>
        PricePreview.Of(new PreviewQuestion(price, Currency.Usd) { Events = events, Quota = quota });

    private static string Lines(PricePreview preview) =>
        string.Join("; ", preview.Lines.Select(l => $"{l.Description} {l.Amount}"));
}
