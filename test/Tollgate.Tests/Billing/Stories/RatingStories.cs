namespace Tollgate.Tests.Billing.Stories;

/// <summary>What usage costs when terms change within its period.</summary>
public sealed class RatingStories
{
    private const string Tiers =
        """{"model":"graduated","meter":"calls","tiers":[{"up_to":"100","unit_amount":"0.10","flat_amount":"5"},{"unit_amount":"0.01"}]}""";

    [Fact]
    public Task Tiers_go_on_over_an_upgrade_that_leaves_their_price_as_it_was() => TellAsync($"""
        2026-04-01        start   base flat 30.00 arrears; calls {Tiers}
        2026-04-05        use     data 80
        2026-04-11        change  base flat 60.00 arrears; calls {Tiers}
        2026-04-20        use     data 40
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 10/30 10.00, data 15.20, base 20/30 40.00 = 65.20
        """);

    [Fact]
    public Task A_minimum_is_for_the_days_in_which_its_price_stood() => TellAsync("""
        2026-04-21        start   calls {"model":"per_unit","meter":"calls","unit_amount":"1","minimum":"90"}
        2026-04-25        use     data 10
        2026-05-01T01:00  invoice 2026-04-21..2026-05-01 data 10.00, calls 10/30 20.00 = 30.00
        2026-05-10        use     data 100
        2026-06-01T01:00  invoice 2026-05-01..2026-06-01 data 100.00 = 100.00
        """);

    [Fact]
    public Task What_is_included_goes_to_what_was_used_first_whatever_it_was() => TellAsync("""
        2026-04-01        start   calls {"model":"per_unit","meter":"calls","unit_amount":"0.10","included":"100"}
        2026-04-02        use     zeta 60
        2026-04-03        use     alpha 60
        2026-04-04        use     zeta 10
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 alpha 2.00, zeta 1.00 = 3.00
        """);

    [Fact]
    public Task A_changed_price_has_left_of_its_allowance_what_was_not_used() => TellAsync("""
        2026-04-01        start   calls {"model":"per_unit","meter":"calls","unit_amount":"0.10","included":"100"}
        2026-04-02        use     data 70
        2026-04-11        change  calls {"model":"per_unit","meter":"calls","unit_amount":"0.20","included":"100"}
        2026-04-12        use     data 40
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 data 0.00, data 2.00 = 2.00
        """);

    private const string Prorated = "\"model\":\"per_unit\",\"meter\":\"calls\",\"included\":\"90\",\"prorate_allowance\":true";

    [Fact]
    public Task A_part_of_the_allowance_belongs_to_its_part_of_the_period() => TellAsync($$"""
        2026-04-01        start   calls {{{Prorated}},"unit_amount":"0.10"}
        2026-04-02        use     data 40
        2026-04-11        change  calls {{{Prorated}},"unit_amount":"0.20"}
        2026-04-12        use     data 70
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 data 1.00, data 2.00 = 3.00
        """);

    [Fact]
    public Task Seats_that_change_leave_usage_on_one_line() => TellAsync("""
        2026-04-01        start   x2 | seat flat 10.00 arrears; calls {"model":"package","meter":"calls","size":"100","amount":"3"}
        2026-04-05        use     data 50
        2026-04-11        change  now x3 |
        2026-04-20        use     data 51
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 seat x2 10/30 6.67, data 6.00, seat x3 20/30 20.00 = 32.67
        """);

    private const string AtLeast =
        """{"model":"graduated","meter":"calls","minimum":"30","tiers":[{"up_to":"50","unit_amount":"0.10"},{"unit_amount":"0"}]}""";

    [Fact]
    public Task A_pause_parts_the_days_of_a_minimum_and_not_the_usage() => TellAsync($"""
        2026-04-01        start   calls {AtLeast}
        2026-04-05        use     data 40
        2026-04-11        pause
        2026-04-21        resume
        2026-04-25        use     data 40
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 data 5.00, calls 20/30 15.00 = 20.00
        """);

    [Fact]
    public Task A_downgrade_at_the_end_of_the_period_begins_new_tiers() => TellAsync($"""
        2026-04-01        start   calls {Tiers}
        2026-04-05        use     data 120
        2026-04-11        change  period_end | calls {Tiers}; extra per_unit 1 other
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 data 15.20 = 15.20
        2026-05-10        use     data 10
        2026-06-01T01:00  invoice 2026-05-01..2026-06-01 data 6.00 = 6.00
        """);

    [Fact]
    public Task A_maximum_holds_over_both_halves_and_is_not_prorated() => TellAsync("""
        2026-04-01        start   base flat 1.00 arrears; calls {"model":"per_unit","meter":"calls","unit_amount":"1","maximum":"100"}
        2026-04-05        use     data 80
        2026-04-11        change  base flat 2.00 arrears; calls {"model":"per_unit","meter":"calls","unit_amount":"1","maximum":"100"}
        2026-04-20        use     data 40
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 10/30 0.33, data 120.00, calls -20.00, base 20/30 1.33 = 101.66
        """);

    [Fact]
    public async Task Late_usage_finds_the_allowance_as_the_invoice_left_it()
    {
        await using var story = new Story();
        await story.TellAsync("""
            2026-04-01        start   calls {"model":"per_unit","meter":"calls","unit_amount":"0.10","included":"100"}
            2026-04-02        use     zeta 60
            2026-04-03        use     alpha 60
            2026-05-01T01:00  invoice 2026-04-01..2026-05-01 alpha 2.00, zeta 0.00 = 2.00
            """);
        // ten calls of the second of April are told in May: alpha has ten less of the allowance
        await story.Books.SqlAsync("update rollups set quantity = 70 where quantity = 60 and bucket = " +
            (Books.At("2026-04-02") - Books.At("2026-04-02") % Tollgate.Metering.UsageStore.Bucket));
        await story.TellAsync("""
            2026-06-01T01:00  invoice 2026-05-01..2026-06-01 alpha 1.00, zeta 0.00 = 1.00
            2026-07-01T01:00  quiet
            """);
    }

    [Theory]
    [InlineData("max", 5)]
    [InlineData("unique_count", 3)]
    public async Task What_does_not_add_up_is_one_number_over_an_unchanged_price(string aggregation, int expected)
    {
        await using var story = new Story();
        await story.Books.SqlAsync($"insert into meter_keys (key, name, aggregation, scale) values (7, 'seats', '{aggregation}', 0)");
        const string seats = """seats {"model":"per_unit","meter":"seats","unit_amount":"10"}""";
        await story.TellAsync($"""
            2026-04-01        start   base flat 1.00 arrears; {seats}
            2026-04-11        change  base flat 2.00 arrears; {seats}
            """);
        await MeasureAsync(story.Books, "2026-04-05", "min", 5, [11, 12]);
        await MeasureAsync(story.Books, "2026-04-15", "max", 4, [12, 13]);
        await story.TellAsync($"2026-05-01T01:00 invoice 2026-04-01..2026-05-01 base 10/30 0.33, " +
            $"{(expected == 5 ? "seats x5" : "seats x3")} {expected}0.00, base 20/30 1.33 = {expected * 10 + 1.66m:0.00}");
    }

    /// <param name="which">Of the two stretches: <c>min</c> or <c>max</c>. Their keys need not follow each other.</param>
    private static Task MeasureAsync(Books books, string day, string which, int quantity, int[] values)
    {
        var stretch = $"(select {which}(key) from entitlements)";
        return books.SqlAsync("insert into rollups (entitlement, period, consumer, meter, operation, method, bucket, admitted, " +
            $"quantity, unknown, items, latest_at) values ({stretch}, 0, 0, 7, 0, 0, {Books.At(day)}, 0, {quantity}, 0, 1, 0); " +
            string.Concat(values.Select(v =>
                "insert into unique_values (entitlement, period, consumer, meter, operation, method, dimensions, bucket, value_hash) " +
                $"values ({stretch}, 0, 0, 7, 0, 0, 0, {Books.At(day)}, {v});")));
    }

    private static async Task TellAsync(string table, string zone = "UTC", string currency = "USD")
    {
        await using var story = new Story(zone, currency);
        await story.TellAsync(table);
    }
}
