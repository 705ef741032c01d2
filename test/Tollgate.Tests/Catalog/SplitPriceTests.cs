using NodaTime;
using Tollgate.Catalog;
using Tollgate.Config.File;

namespace Tollgate.Tests.Catalog;

/// <summary>Prices by dimension, by time of the week, and of single events.</summary>
public sealed class SplitPriceTests
{
    private static readonly DateTimeZone s_berlin = DateTimeZoneProviders.Tzdb["Europe/Berlin"];

    [Fact]
    public void A_matrix_has_a_line_for_each_cell_that_is_used_and_one_for_all_others()
    {
        var lines = Rate("""
            {"model":"per_unit","unit_amount":"1","meter":"gb","matrix":[
              {"where":{"region":"eu"},"unit_amount":"2"},
              {"where":{"region":["us","ca"]},"model":"package","size":"10","amount":"5"},
              {"where":{"region":"eu","disk":"fast"},"unit_amount":"9"}]}
            """, Gb(3, "eu", "fast"), Gb(4, "us"), Gb(7, "ca"), Gb(5, "ap"), Gb(1, null));
        // the first cell that holds usage prices it
        Assert.Equal([("region eu", 3m, 6m), ("region ca or us", 11m, 10m), ("other", 6m, 6m)], Told(lines));
    }

    [Fact]
    public void By_a_dimension_each_value_fills_tiers_of_its_own()
    {
        const string tiers = "\"model\":\"graduated\",\"tiers\":[{\"up_to\":\"5\",\"unit_amount\":\"1\"},{\"unit_amount\":\"0\"}]";
        Assert.Equal([("no region", 1m, 1m), ("region eu", 8m, 5m), ("region us", 2m, 2m)],
            Told(Rate($$"""{{{tiers}},"meter":"gb","by":"region"}""", Gb(4, "eu"), Gb(2, "us"), Gb(4, "eu"), Gb(1, null))));
        Assert.Equal([(null, 11m, 5m)],
            Told(Rate($$"""{{{tiers}},"meter":"gb"}""", Gb(4, "eu"), Gb(2, "us"), Gb(4, "eu"), Gb(1, null))));
    }

    [Fact]
    public void A_filter_leaves_other_usage_alone() => Assert.Equal([(null, 4m, 8m)], Told(Rate(
        """{"model":"per_unit","unit_amount":"2","meter":"gb","where":{"region":"eu"}}""", Gb(4, "eu"), Gb(5, "us"), Gb(6, null))));

    [Fact]
    public void What_is_included_is_used_up_in_order_of_time_over_all_cells()
    {
        var lines = Rate("""
            {"model":"per_unit","unit_amount":"1","meter":"gb","included":"5","minimum":"30",
             "matrix":[{"where":{"region":"eu"},"unit_amount":"2"}]}
            """, Gb(4, "us") with { At = 1 }, Gb(4, "eu") with { At = 2 }, Gb(4, "us") with { At = 3 });
        Assert.Equal([("region eu", 4m, 6m), ("other", 8m, 4m), (null, 1m, 20m)], Told(lines));
        Assert.Equal([1m, 4m, 0m], lines.Select(l => l.Included));
    }

    [Fact]
    public void Bands_of_the_week_are_told_by_the_clock_on_the_wall()
    {
        const string price = """
            {"model":"per_unit","unit_amount":"1","meter":"gb","matrix":[
              {"when":["mon-fri 08:00-18:00","sat 10:00-14:00"],"unit_amount":"3"},{"when":"22:00-06:00","unit_amount":"2"}]}
            """;
        // Monday 07:45 in Berlin is evening for nobody; 08:00 is dear; 18:00 is plain again; 23:00 is night
        Assert.Equal(
            [("mon-fri 08:00-18:00, sat 10:00-14:00", 1m, 3m), ("00:00-06:00, 22:00-24:00", 1m, 2m), ("other", 2m, 2m)],
            Told(Rate(price, At("2026-03-02T07:45"), At("2026-03-02T08:00"), At("2026-03-02T18:00"), At("2026-03-02T23:00"))));
        // in summer eight is an hour earlier
        Assert.Equal("mon-fri 08:00-18:00, sat 10:00-14:00", Assert.Single(Rate(price, At("2026-06-01T08:00"))).Label);
        Assert.Equal(7, At("2026-03-02T08:00").At / 3_600_000_000 % 24);
        Assert.Equal(6, At("2026-06-01T08:00").At / 3_600_000_000 % 24);
    }

    [Fact]
    public void The_hour_that_is_there_twice_counts_twice_and_the_skipped_one_never()
    {
        var night = WeekTimes.Parse(["sun 02:00-03:00"], out _)!;
        Assert.Equal(8, Quarters(Instant.FromUtc(2026, 10, 24, 12, 0), 48).Count(q => night.Holds(q, s_berlin)));
        Assert.Equal(0, Quarters(Instant.FromUtc(2026, 3, 28, 12, 0), 48).Count(q => night.Holds(q, s_berlin)));
        Assert.Equal(4, Quarters(Instant.FromUtc(2026, 4, 4, 12, 0), 48).Count(q => night.Holds(q, s_berlin)));
        // Kathmandu is five and three quarter hours ahead
        Assert.True(night.Holds(Micros.Of(Instant.FromUtc(2026, 3, 7, 20, 15)), DateTimeZoneProviders.Tzdb["Asia/Kathmandu"]));
        Assert.False(night.Holds(Micros.Of(Instant.FromUtc(2026, 3, 7, 20, 0)), DateTimeZoneProviders.Tzdb["Asia/Kathmandu"]));
    }

    [Theory]
    [InlineData("mon-fri 08:00-18:00", "mon-fri 08:00-18:00")]
    [InlineData("fri-mon 00:00-24:00", "mon,fri-sun 00:00-24:00")]
    [InlineData("sun 22:00-06:00", "mon 00:00-06:00, sun 22:00-24:00")]
    [InlineData("mon,tue,wed,thu,fri,sat,sun 01:15-01:30", "01:15-01:30")]
    public void Equal_times_have_one_text(string written, string canonical)
    {
        var times = WeekTimes.Parse([written], out _)!;
        Assert.Equal(canonical, times.ToString());
        Assert.Equal(times, WeekTimes.Parse(times.Spans(), out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("mon")]
    [InlineData("mon 8:00-18:00")]
    [InlineData("mon 08:00-08:00")]
    [InlineData("mon 08:10-09:00")]
    [InlineData("mon 24:00-25:00")]
    [InlineData("mon 08:00-18:00 x")]
    [InlineData("mun 08:00-18:00")]
    [InlineData("mon-tue-wed 08:00-18:00")]
    [InlineData("mon 08:00–18:00")]
    public void What_is_no_time_of_the_week_is_refused(string span) => Assert.Null(WeekTimes.Parse([span], out _));

    [Fact]
    public void Each_span_that_is_no_time_of_the_week_is_named()
    {
        Assert.Null(WeekTimes.Parse(["mun 08:00-18:00", "sat 08:00-18:00", "sun 10:07-11:00"], out var faults));
        Assert.Equal([(0, true), (2, true)], faults.Select(f => (f.At, f.Wrong.Length > 0)));
    }

    [Fact]
    public void Single_events_are_held_between_their_bounds_after_their_fixed_part()
    {
        const string price = """
            {"model":"percentage","rate":"2","fixed":"0.30","minimum_per_event":"0.50","maximum_per_event":"5.00","meter":"paid"}
            """;
        Assert.Equal(6.00m, Assert.Single(Rate(price, Paid(10), Paid(5), Paid(1000))).PreciseAmount);
        // ten payments of 10.00 cost ten times fifty cents, and their sum would cost 2.30
        Assert.Equal(5.00m, Assert.Single(Rate(price, Paid(10) with { Events = 10 })).PreciseAmount);
        Assert.Equal(2.30m, Assert.Single(Rate(price, Paid(100))).PreciseAmount);
    }

    [Fact]
    public void Free_events_and_a_free_amount_are_used_up_in_order_of_time()
    {
        const string price = """{"model":"percentage","rate":"10","fixed":"1","free_events":"2","free_amount":"100","meter":"paid"}""";
        Usage[] used = [Paid(60, 3), Paid(50, 1), Paid(30, 2)];
        // 50 and 30 are free, and with them both events
        var line = Assert.Single(Rate(price, used));
        Assert.Equal((7m, 2L), (line.PreciseAmount, Assert.Single(line.FreeUntil)));
    }

    private static (string?, decimal, decimal)[] Told(IEnumerable<RatedLine> lines) =>
        [.. lines.Select(l => (l.Label, l.Quantity, l.PreciseAmount))];

    private static RatedLine[] Rate(string document, params Usage[] usage)
    {
        var price = PriceReader.Read(JsonTree.Read($$"""{"p":{{document}}}""").Value);
        Assert.True(price.Ok, string.Join("; ", price.Problems));
        var text = PriceWriter.Write(price.Value);
        Assert.Equal(text, PriceWriter.Write(PriceReader.Read(JsonTree.Read(text).Value).Value));
        Assert.Equal(price.Value, PriceReader.Read(JsonTree.Read(text).Value).Value);
        return [.. PricePreview.OfUsage(price.Value[0], Currency.Usd, usage, s_berlin, null).Select(l => l.Line)];
    }

    private static Usage Gb(decimal quantity, string? region, string? disk = null)
    {
        var dimensions = new Dictionary<string, string>();
        if (region is not null) dimensions.Add("region", region);
        if (disk is not null) dimensions.Add("disk", disk);
        return new Usage("gb", "", quantity) { Dimensions = dimensions };
    }

    private static Usage At(string local) => new Usage("gb", "", 1) { At = Billing.Books.At(local, "Europe/Berlin") };

    private static Usage Paid(decimal quantity, long at = 0) => new("paid", "", quantity) { Events = 1, At = at };

    private static IEnumerable<long> Quarters(Instant from, int hours) =>
        Enumerable.Range(0, hours * 4).Select(q => Micros.Of(from) + q * 900_000_000L);
}
