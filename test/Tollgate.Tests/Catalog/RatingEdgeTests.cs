using NodaTime;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>Until when something that costs nothing lasted, prices that share an allowance or do not, meters that do not add up.</summary>
public sealed class RatingEdgeTests
{
    [Fact]
    public void A_line_says_when_what_is_included_in_it_was_used_up_and_nothing_when_it_was_not()
    {
        var price = new Price.PerUnit(1) { Included = 10 };
        Assert.Empty(Assert.Single(Rate(price, Used("a", 1, 4), Used("a", 2, 5))).FreeUntil);
        Assert.Equal([3], Assert.Single(Rate(price, Used("a", 1, 4), Used("a", 3, 6), Used("a", 5, 1))).FreeUntil);
        Assert.Equal([3], Assert.Single(Rate(price, Used("a", 1, 4), Used("a", 3, 9))).FreeUntil);
        // a correction of nothing included leaves it used up
        var lines = Rate(price, Used("a", 1, 10), Used("b", 2, 3), Used("b", 3, -1));
        Assert.Equal([("a", 10m, 10m), ("b", 2m, 0m)], lines.Select(l => (l.Operation!, l.Quantity, l.Included)));
        Assert.Equal([1], lines[0].FreeUntil);
    }

    [Fact]
    public void Events_that_are_free_or_included_say_which_of_them_was_the_last()
    {
        Usage[] events = [Event(1, 10), Event(2, 20), Event(3, 30), Event(4, 40)];
        var free = new Price.Percentage(10) { FreeEvents = 2 };
        var line = Assert.Single(Rate(free, events));
        Assert.Equal((7m, 0m), (line.PreciseAmount, line.Included));
        Assert.Equal([2], line.FreeUntil);
        // the third event ends what is included and is charged for the rest
        line = Assert.Single(Rate(new Price.Percentage(10) { Fixed = 1, Included = 40 }, events));
        Assert.Equal((40m, 8m), (line.Included, line.PreciseAmount));
        Assert.Equal([3], line.FreeUntil);
        // two events are wholly included, then two are free
        line = Assert.Single(Rate(free with { Included = 30 }, [.. events, Event(5, 50)]));
        Assert.Equal((30m, 5m), (line.Included, line.PreciseAmount));
        Assert.Equal([2, 4], line.FreeUntil);
        // what was never used up is not told
        line = Assert.Single(Rate(free with { FreeEvents = null, MaximumPerEvent = 3, Included = 500 }, events));
        Assert.Equal((100m, 0m), (line.Included, line.PreciseAmount));
        Assert.Empty(line.FreeUntil);
    }

    [Fact]
    public void Usage_told_apart_by_values_has_tiers_for_each_of_them_over_all_operations_in_the_order_of_the_values()
    {
        var tiers = new Price.Graduated([new Tier(5, 1), new Tier(null, 0.5m)]);
        var price = new PriceComponent("calls", "calls", null, tiers) { By = ["region", "model"] };
        var lines = Rate(price,
            In("b", 1, 4, "us", "x"), In("a", 2, 4, "us", "x"), In("a", 3, 1, "eu", "y"), In("a", 4, 2, "eu", "x"),
            In("c", 5, 3, "", "x"));
        Assert.Equal(
            [
                ("no region, model x", 3m, 3m, "c"), ("region eu, model x", 2m, 2m, "a"), ("region eu, model y", 1m, 1m, "a"),
                ("region us, model x", 8m, 6.5m, null),
            ],
            lines.Select(l => (l.Label!, l.Quantity, l.PreciseAmount, l.Operation)));
    }

    [Fact]
    public void Cells_of_a_matrix_come_in_its_order_before_what_none_of_them_holds_and_tiers_of_a_cell_are_over_all_operations()
    {
        var price = new PriceComponent("calls", "calls", null, new Price.PerUnit(1))
        {
            Matrix = [new PriceCell(Of("us"), new Price.Package(2, 10)), new PriceCell(Of("eu"), new Price.PerUnit(3))],
        };
        var lines = Rate(price,
            In("b", 1, 1, "eu", "x"), In("a", 2, 1, "eu", "x"), In("b", 3, 2, "us", "x"), In("a", 4, 1, "us", "x"),
            In("a", 5, 7, "ap", "x"));
        Assert.Equal(
            [("region us", null, 20m), ("region eu", "a", 3m), ("region eu", "b", 3m), ("other", "a", 7m)],
            lines.Select(l => (l.Label!, l.Operation, l.PreciseAmount)));

        static UsageScope Of(string region) => new() { Dimensions = [("region", [region])] };
    }

    [Fact]
    public void Usage_at_one_instant_is_included_in_the_order_of_operation_endpoint_and_dimensions()
    {
        var price = new PriceComponent("calls", "calls", null, new Price.PerUnit(1) { Included = 3 }) { By = ["region"] };
        var lines = Rate(price,
            In("b", 1, 2, "eu", "x"), In("a", 1, 2, "us", "x") with { Endpoint = "/y" }, In("a", 1, 2, "eu", "x") with { Endpoint = "/y" },
            In("a", 1, 2, "ap", "x") with { Endpoint = "/z" });
        // a /y eu has two, a /y us the third
        Assert.Equal(
            [("region ap", "a", 0m), ("region eu", "a", 2m), ("region eu", "b", 0m), ("region us", "a", 1m)],
            lines.Select(l => (l.Label!, l.Operation!, l.Included)));
    }

    [Fact]
    public void Events_of_no_value_are_events_and_usage_of_no_quantity_is_nothing()
    {
        var line = Assert.Single(Rate(new Price.Percentage(10) { Fixed = 0.25m }, Event(1, 0), Event(2, 10), Used("a", 3, 0)));
        Assert.Equal((10m, 1.5m), (line.Quantity, line.PreciseAmount));
    }

    [Fact]
    public void Local_time_tells_bands_of_the_week()
    {
        var nights = new PriceComponent("nights", "calls", null, new Price.PerUnit(1))
        {
            Scope = new UsageScope { When = WeekTimes.Parse(["thu 00:00-06:00"], out _) },
        };
        // 1 January 1970 was a Thursday: 03:00 in UTC, noon in Tokyo
        Usage[] used = [Used("a", 10_800_000_000, 5)];
        Assert.Equal(5, Assert.Single(Rating.Rate(nights, used, 0)).Quantity);
        Assert.Empty(Rating.Rate(nights, used, 0, DateTimeZoneProviders.Tzdb["Asia/Tokyo"]));
    }

    [Fact]
    public void What_is_consumed_of_what_is_included_is_told_in_priced_units()
    {
        Assert.Equal(5, Rating.Consumed(new Price.PerUnit(1), 5, 8));
        Assert.Equal(8, Rating.Consumed(new Price.PerUnit(1), 50, 8));
        var thousands = new Price.PerUnit(1) { Convert = new Conversion(1_000, Divides: true, UnitRounding.Up) };
        Assert.Equal(3, Rating.Consumed(thousands, 2_001, 8));
        Assert.Equal(8, Rating.Consumed(thousands, 20_001, 8));
    }

    [Fact]
    public void An_amount_says_whether_it_is_all_of_it()
    {
        var thirds = new Price.PerUnit(1) { Convert = new Conversion(3, Divides: true) };
        Assert.True(Assert.Single(Rate(new Price.PerUnit(1), Used("a", 1, 4))).IsExact);
        Assert.True(Assert.Single(Rate(thirds, Used("a", 1, 6))).IsExact);
        Assert.False(Assert.Single(Rate(thirds, Used("a", 1, 4))).IsExact);
        Assert.True(Exact.IsQuotient(2.5m, 5, 2));
        Assert.True(Exact.IsQuotient(2.50m, 5.000m, 2.0m));
        Assert.False(Exact.IsQuotient(1m / 3, 1, 3));
        Assert.False(Exact.IsQuotient(2, 5, 2));
    }

    [Fact]
    public void A_quota_and_a_price_of_one_name_and_two_quotas_and_two_prorated_allowances_are_consumed_apart()
    {
        PriceComponent[] prices =
        [
            new("of-calls", "calls", ["a"], new Price.PerUnit(1) { IncludedFromQuota = true }),
            new("q", "calls", ["b"], new Price.PerUnit(1) { Included = 5 }),
            new("of-tokens", "tokens", null, new Price.PerUnit(1) { IncludedFromQuota = true }),
            new("of-none", "pages", null, new Price.PerUnit(1) { IncludedFromQuota = true }),
            new("half", "calls", ["c"], new Price.PerUnit(1) { Included = 8, ProratesAllowance = true }),
            new("half-too", "calls", ["d"], new Price.PerUnit(1) { Included = 8, ProratesAllowance = true }),
        ];
        var plan = new PlanVersion("p", 1, Currency.Usd, prices)
        {
            Quotas = [new Quota("q", "calls", 4) { Operations = ["a"] }, new Quota("other", "tokens", 3)],
        };
        Usage[] used =
        [
            Used("a", 1, 10), Used("b", 2, 10), Used("c", 3, 10), Used("d", 4, 10),
            new("tokens", "a", 10) { At = 5 }, new("pages", "a", 10) { At = 6 },
        ];
        var lines = PeriodRating.Rate([new UsedStretch(plan, new Proration(15, 30), used)]).Select(l => l.Rated);
        Assert.Equal(
            [("of-calls", 4m), ("q", 5m), ("of-tokens", 3m), ("of-none", 0m), ("half", 4m), ("half-too", 4m)],
            lines.Select(l => (l.PriceName, l.Included)));
    }

    [Fact]
    public void Terms_that_came_and_went_ask_for_what_was_used_under_them_also_where_some_of_it_is_of_no_price()
    {
        var a = new PriceComponent("a", "calls", ["a"], new Price.PerUnit(2));
        var gone = new PlanVersion("gone", 1, Currency.Usd, [a]);
        var none = new Proration(0, 30);
        Assert.Equal(6, Assert.Single(PeriodRating.Rate(
            [new UsedStretch(gone, none, [Used("b", 1, 5), Used("a", 2, 3), Used("a", 3, 0)])])).Rated.PreciseAmount);
        Assert.Empty(PeriodRating.Rate([new UsedStretch(gone, none, [Used("b", 1, 5), Used("a", 2, 0)])]));
    }

    [Fact]
    public void The_last_terms_in_force_say_what_is_included()
    {
        var price = new PriceComponent("calls", "calls", null, new Price.PerUnit(1) { IncludedFromQuota = true });
        PlanVersion With(int version, decimal allowance) => new("p", version, Currency.Usd, [price])
        {
            Quotas = [new Quota("calls", "calls", allowance)],
        };
        UsedStretch[] stretches =
        [
            new(With(1, 10), new Proration(10, 30), [Used("a", 1, 20)]), new(With(2, 16), new Proration(20, 30), [Used("a", 2, 20)]),
            new(With(3, 30), new Proration(0, 30), []),
        ];
        Assert.Equal((40m, 16m), (Sum(l => l.Quantity), Sum(l => l.Included)));

        decimal Sum(Func<RatedLine, decimal> of) => PeriodRating.Rate(stretches).Sum(l => of(l.Rated));
    }

    [Fact]
    public void Of_a_meter_that_does_not_add_up_the_number_over_all_stretches_counts_or_the_largest_there_is()
    {
        var price = new PriceComponent("seats", "seats", null, new Price.PerUnit(1));
        var plan = new PlanVersion("p", 1, Currency.Usd, [price]);
        Assert.Equal(7, Of(Seats(9, [0]), Seats(7, [0, 1]), Seats(8, [1])));
        // nobody put the numbers together: nothing is asked for twice
        Assert.Equal(9, Of(Seats(9, [0]), Seats(8, [1])));
        Assert.Equal(9, Of(Seats(8, [0]), Seats(9, [1])));

        decimal Of(params Usage[] used) => Assert.Single(PeriodRating.Rate(
            [new UsedStretch(plan, new Proration(10, 30), used), new UsedStretch(plan, new Proration(20, 30), [])])).Rated.Quantity;

        static Usage Seats(decimal quantity, int[] over) => new("seats", "", quantity) { Over = over };
    }

    [Fact]
    public void A_preview_says_that_it_is_cut_only_where_the_conversion_leaves_no_last_digit()
    {
        Assert.True(Ask(4, new Conversion(3, Divides: true)).IsCut);
        Assert.False(Ask(6, new Conversion(3, Divides: true)).IsCut);
        Assert.False(Ask(4, new Conversion(8, Divides: true)).IsCut);
        Assert.False(Ask(4, null).IsCut);

        static PricePreview Ask(decimal quantity, Conversion? convert) => PricePreview.Of(
            new PreviewQuestion(new Price.PerUnit(1) { Convert = convert }, Currency.Usd) { Quantity = quantity });
    }

    [Fact]
    public void Amounts_are_split_by_weights_of_any_size_and_scale()
    {
        // 2^40 and 2^70 and their halves
        Assert.Equal([67, 33], Split(100, 1_099_511_627_776, 549_755_813_888));
        Assert.Equal([67, 33], Split(100, 1_180_591_620_717_411_303_424m, 590_295_810_358_705_651_712m));
        Assert.Equal([33, 67], Split(100, 0.5m, 1));
        Assert.Equal([67, 33], Split(100, 1, 0.50m));

        static long[] Split(long minor, params decimal[] weights) =>
            [.. new Money(minor, Currency.Usd).Split(weights).Select(m => m.MinorUnits)];
    }

    [Fact]
    public void A_preview_of_usage_goes_by_local_time_and_by_what_the_quota_includes_of_its_operations()
    {
        var calls = new PriceComponent("calls", "calls", ["a"], new Price.PerUnit(2) { IncludedFromQuota = true });
        Usage[] used = [Used("a", 10_800_000_000, 5), Used("b", 10_800_000_000, 5)];
        Assert.Equal([(5m, 3m, 4m)], Of(calls, 3).Select(l => (l.Line.Quantity, l.Line.Included, l.Amount.Amount)));
        Assert.Equal(10, Assert.Single(Of(calls, null)).Amount.Amount);
        var nights = calls with
        {
            Price = new Price.PerUnit(2), Scope = new UsageScope { When = WeekTimes.Parse(["thu 00:00-06:00"], out _) },
        };
        Assert.Equal(10, Assert.Single(Of(nights, null)).Amount.Amount);
        Assert.Empty(Of(nights, null, "Asia/Tokyo"));

        IReadOnlyList<(RatedLine Line, Money Amount)> Of(PriceComponent price, decimal? quota, string zone = "UTC") =>
            PricePreview.OfUsage(price, Currency.Usd, used, DateTimeZoneProviders.Tzdb[zone], quota);
    }

    [Fact]
    public void Cliffs_of_a_price_come_before_those_of_its_cells()
    {
        Price Falls(decimal at) => new Price.Stairstep([new Tier(at, null, 2), new Tier(null, null, 1)]);
        var price = new PriceComponent("calls", "calls", null, Falls(1))
        {
            Matrix = [new PriceCell(UsageScope.All, Falls(2)), new PriceCell(UsageScope.All, Falls(3))],
        };
        Assert.Equal([1m, 2m, 3m], PriceCliff.Of(price).Select(c => c.At));
    }

    [Fact]
    public void Taxes_of_an_invoice_come_from_the_highest_rate_down_and_of_one_rate_the_taxed_before_the_exempt()
    {
        ChargeLine[] lines =
        [
            Of("a", new Tax(20, false, TaxTreatment.Exempt)), Of("b", new Tax(7, false)), Of("c", new Tax(20, false)), Of("d", Tax.None),
        ];
        Assert.Equal(["20 %", "exempt", "7 %"], InvoiceSum.Of(new Charges(Currency.Usd, lines)).Taxes.Select(t => t.Tax.ToString()));

        static ChargeLine Of(string name, Tax tax) => new(name, new Money(100, Currency.Usd)) { Tax = tax };
    }

    [Fact]
    public void A_tax_says_why_it_is_and_whether_amounts_contain_it()
    {
        Assert.Equal("7.5 %", new Tax(7.50m, false).ToString());
        Assert.Equal("20 % included", new Tax(20, true).ToString());
        Assert.Equal("exempt", new Tax(20, true, TaxTreatment.Exempt).ToString());
        Assert.Equal("reverse charge", new Tax(20, false, TaxTreatment.ReverseCharge).ToString());
        Assert.Equal("0 %", Tax.None.ToString());
    }

    private static List<RatedLine> Rate(Price price, params Usage[] usage) =>
        Rate(new PriceComponent("calls", "calls", null, price), usage);

    private static List<RatedLine> Rate(PriceComponent price, params Usage[] usage) =>
        [.. PeriodRating.Rate([new UsedStretch(new PlanVersion("p", 1, Currency.Usd, [price]), Proration.Whole, usage)])
            .Select(l => l.Rated)];

    private static Usage Used(string operation, long at, decimal quantity) => new("calls", operation, quantity) { At = at };

    private static Usage Event(long at, decimal value) => Used("a", at, value) with { Events = 1 };

    private static Usage In(string operation, long at, decimal quantity, string region, string model) => Used(operation, at, quantity) with
    {
        Dimensions = region.Length == 0 ? new Dictionary<string, string> { ["model"] = model }
            : new Dictionary<string, string> { ["region"] = region, ["model"] = model },
    };
}
