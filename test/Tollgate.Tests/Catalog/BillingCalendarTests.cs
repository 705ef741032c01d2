using CsCheck;
using NodaTime;
using Tollgate.Catalog;
using Interval = Tollgate.Catalog.Interval;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Tests.Catalog;

public sealed class BillingCalendarTests
{
    private static readonly string[] s_zones =
    [
        "UTC", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Asia/Tokyo", "Australia/Lord_Howe",
        "Europe/Berlin", "Pacific/Apia", "Pacific/Kiritimati", "Africa/Casablanca", "America/St_Johns",
    ];

    private static readonly Gen<BillingCalendar> s_calendar = Gen.Select(
        Gen.Int[2000, 2035], Gen.Int[1, 12], Gen.Int[1, 31], Gen.OneOf(s_zones), (year, month, day, zone) =>
            Calendar(new LocalDate(year, month, Math.Min(day, CalendarSystem.Iso.GetDaysInMonth(year, month))), zone));

    private static readonly Gen<BillingCalendar> s_any = Gen.Select(
        s_calendar, Gen.Int[0, 4].Select(i => (Interval)i),
        // a zone that skips a day has a day without a period
        (calendar, interval) => interval == Interval.Day && calendar.Zone.Id == "Pacific/Apia"
            ? calendar
            : new BillingCalendar(calendar.Anchor, calendar.Zone, interval));

    [Fact]
    public void An_anchor_on_the_31st_falls_back_in_short_months_and_returns() => Assert.Equal(
        ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"],
        Starts(Calendar(new LocalDate(2026, 1, 31), "UTC"), 0, 5));

    [Fact]
    public void In_a_leap_year_february_has_a_29th() => Assert.Equal(
        ["2028-01-31", "2028-02-29", "2028-03-31"], Starts(Calendar(new LocalDate(2028, 1, 31), "UTC"), 0, 3));

    [Fact]
    public void An_anchor_on_29_february_is_the_28th_in_other_years() => Assert.Equal(
        ["2028-02-29", "2029-02-28", "2032-02-29"],
        new[] { 0, 12, 48 }.Select(k => Starts(Calendar(new LocalDate(2028, 2, 29), "UTC"), k, 1).Single()));

    [Theory]
    [InlineData("America/New_York", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z")]
    [InlineData("Europe/Berlin", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z")]
    [InlineData("Asia/Kathmandu", "2026-02-28T18:15:00Z", "2026-03-31T18:15:00Z")]
    [InlineData("Asia/Tokyo", "2026-02-28T15:00:00Z", "2026-03-31T15:00:00Z")]
    public void Periods_begin_at_local_midnight_whatever_clocks_do(string zone, string start, string end)
    {
        var period = Calendar(new LocalDate(2026, 1, 1), zone).PeriodOf(2);
        Assert.Equal((start, end), (period.Start.ToString(), period.End.ToString()));
        Assert.Equal(31, Calendar(new LocalDate(2026, 1, 1), zone).Days(period));
    }

    [Fact]
    public void A_midnight_or_a_day_that_a_zone_skips_begins_at_what_follows()
    {
        // clocks in São Paulo went from 00:00 to 01:00 on 4 November 2018
        var spring = Calendar(new LocalDate(2018, 10, 4), "America/Sao_Paulo").PeriodOf(0);
        Assert.Equal("2018-11-04T03:00:00Z", spring.End.ToString());
        // Samoa had no 30 December 2011
        var lost = Calendar(new LocalDate(2011, 11, 30), "Pacific/Apia").PeriodOf(0);
        Assert.Equal("2011-12-30T10:00:00Z", lost.End.ToString());
    }

    [Fact]
    public void The_period_of_an_instant_holds_it() => Gen.Select(s_any, Gen.Long[0, 2_200_000_000]).Sample(
        (calendar, seconds) =>
        {
            var at = Instant.FromUnixTimeSeconds(seconds);
            Assert.True(calendar.PeriodOf(calendar.IndexAt(at)).Contains(at));
        });

    [Fact]
    public void What_a_calendar_remembers_is_the_period_of_the_instant_in_whatever_order_it_is_asked() => Gen.Select(
        s_any, Gen.Long[946_684_800_000_000, 2_200_000_000_000_000].Array[1, 40]).Sample((any, instants) =>
        {
            // the one that all with the same periods share
            var calendar = BillingCalendar.Of(any.Anchor, any.Zone.Id, any.Interval);
            Assert.Same(calendar, BillingCalendar.Of(any.Anchor, any.Zone.Id, any.Interval));
            foreach (var at in instants.SelectMany(i => new[] { i, i + 1, i - Micros.PerDay, i }))
            {
                var index = any.IndexAt(Micros.ToInstant(at));
                var period = any.PeriodOf(index);
                Assert.Equal(new PeriodStamp(index, Micros.Of(period.Start), Micros.Of(period.End)), calendar.At(at));
            }
        });

    [Fact]
    public void A_window_of_a_month_or_a_year_is_that_of_the_instant_in_whatever_order_it_is_asked() => Gen.Select(
        Gen.Long[0, 4_000_000_000_000_000].Array[1, 40], Gen.OneOf(WindowUnit.Month, WindowUnit.Year)).Sample((instants, unit) =>
        {
            foreach (var at in instants.SelectMany(i => new[] { i, i + 1, i - Micros.PerDay, i }))
            {
                var date = Micros.ToDateTimeOffset(at);
                var start = new DateTimeOffset(date.Year, unit == WindowUnit.Month ? date.Month : 1, 1, 0, 0, 0, TimeSpan.Zero);
                var end = unit == WindowUnit.Month ? start.AddMonths(1) : start.AddYears(1);
                Assert.Equal((Micros.Of(start), Micros.Of(end)), LimitWindow.At(unit, at));
                Assert.Equal(LimitWindow.At(unit, at), LimitWindow.At(unit, Micros.Of(start)));
                Assert.NotEqual(LimitWindow.At(unit, at), LimitWindow.At(unit, Micros.Of(end)));
            }
        });

    [Fact]
    public void Periods_touch_and_their_first_instant_is_theirs() => Gen.Select(s_any, Gen.Int[-60, 240]).Sample(
        (calendar, index) =>
        {
            var period = calendar.PeriodOf(index);
            Assert.False(period.IsEmpty);
            Assert.Equal(period.End, calendar.PeriodOf(index + 1).Start);
            Assert.Equal(index, calendar.IndexAt(period.Start));
            Assert.Equal(index, calendar.IndexAt(period.End - Duration.Epsilon));
        });

    [Fact]
    public void Days_of_parts_sum_to_the_days_of_the_whole() => Gen.Select(
        s_calendar, Gen.Int[0, 120], Gen.Double[0, 1]).Sample((calendar, index, where) =>
        {
            var whole = calendar.PeriodOf(index);
            var cut = whole.Start + (whole.End - whole.Start) * where;
            var (before, after) = (new Period(whole.Start, cut), new Period(cut, whole.End));
            Assert.Equal(calendar.Days(whole), calendar.Days(before) + calendar.Days(after));
            Assert.InRange(calendar.Days(whole), 27, 31);
        });

    [Fact]
    public void The_day_of_a_change_belongs_to_what_comes_after()
    {
        var calendar = Calendar(new LocalDate(2026, 4, 1), "Europe/Berlin");
        var april = calendar.PeriodOf(0);
        var noon = new LocalDateTime(2026, 4, 11, 12, 0).InZoneStrictly(calendar.Zone).ToInstant();
        Assert.Equal(10, calendar.Days(april with { End = noon }));
        Assert.Equal(20, calendar.Days(april with { Start = noon }));
    }

    [Fact]
    public void Calendar_months_begin_on_the_first_in_the_zone_not_in_utc()
    {
        var start = Instant.FromUtc(2026, 1, 31, 20, 0);
        Assert.Equal(new LocalDate(2026, 2, 1),
            BillingCalendar.CalendarMonths(start, DateTimeZoneProviders.Tzdb["Asia/Tokyo"]).Anchor);
        Assert.Equal(new LocalDate(2026, 1, 1), BillingCalendar.CalendarMonths(start, DateTimeZone.Utc).Anchor);
        Assert.Null(BillingCalendar.FindZone("Mars/Olympus"));
    }

    [Theory]
    [InlineData("2026-01-31", Interval.Day, "2026-01-31 2026-02-01 2026-02-02 2026-02-03")]
    [InlineData("2026-01-29", Interval.Week, "2026-01-29 2026-02-05 2026-02-12 2026-02-19")]
    [InlineData("2024-01-31", Interval.Month, "2024-01-31 2024-02-29 2024-03-31 2024-04-30")]
    [InlineData("2023-11-30", Interval.Quarter, "2023-11-30 2024-02-29 2024-05-30 2024-08-30")]
    [InlineData("2024-02-29", Interval.Year, "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29")]
    public void Every_interval_is_counted_from_its_anchor(string anchor, Interval interval, string starts)
    {
        var expected = starts.Split(' ');
        var calendar = new BillingCalendar(
            NodaTime.Text.LocalDatePattern.Iso.Parse(anchor).Value, DateTimeZone.Utc, interval);
        Assert.Equal(expected, Starts(calendar, 0, expected.Length));
        Assert.Equal(interval, Intervals.Find(interval.ToText()));
    }

    [Theory]
    [InlineData(Interval.Day, "2026-05-14")]
    [InlineData(Interval.Week, "2026-05-11")]
    [InlineData(Interval.Month, "2026-05-01")]
    [InlineData(Interval.Quarter, "2026-04-01")]
    [InlineData(Interval.Year, "2026-01-01")]
    public void Calendar_billing_begins_where_the_calendar_does(Interval interval, string anchor)
    {
        // Thursday evening in UTC is Friday in Tokyo already
        var start = Instant.FromUtc(2026, 5, 14, 20, 0);
        Assert.Equal(anchor, BillingCalendar.Aligned(start, DateTimeZone.Utc, interval).Anchor.ToString("R", null));
        Assert.Equal("2026-05-15", BillingCalendar.Anniversary(
            start, DateTimeZoneProviders.Tzdb["Asia/Tokyo"], interval).Anchor.ToString("R", null));
    }

    [Fact]
    public void A_day_on_which_clocks_change_has_23_or_25_hours_and_counts_as_one()
    {
        var calendar = new BillingCalendar(
            new LocalDate(2026, 3, 29), DateTimeZoneProviders.Tzdb["Europe/Berlin"], Interval.Day);
        var spring = calendar.PeriodOf(0);
        var autumn = calendar.PeriodOf(calendar.IndexAt(Instant.FromUtc(2026, 10, 25, 9, 0)));
        Assert.Equal((23, 25), ((spring.End - spring.Start).TotalHours, (autumn.End - autumn.Start).TotalHours));
        Assert.Equal((1, 1), (calendar.Days(spring), calendar.Days(autumn)));
    }

    [Fact]
    public void What_two_periods_share_may_be_nothing()
    {
        var (first, second) = (new Period(At(0), At(10)), new Period(At(5), At(20)));
        Assert.Equal(new Period(At(5), At(10)), first.Intersect(second));
        Assert.True(new Period(At(0), At(5)).Intersect(second).IsEmpty);
        Assert.True(new Period(At(30), At(40)).Intersect(second).IsEmpty);
        Assert.False(first.Contains(At(10)));
        Assert.True(first.Contains(At(0)));
    }

    private static Instant At(long seconds) => Instant.FromUnixTimeSeconds(seconds);

    private static BillingCalendar Calendar(LocalDate anchor, string zone) =>
        new(anchor, DateTimeZoneProviders.Tzdb[zone]);

    private static IEnumerable<string> Starts(BillingCalendar calendar, int first, int count) =>
        Enumerable.Range(first, count).Select(k =>
            calendar.PeriodOf(k).Start.InZone(calendar.Zone).Date.ToString("R", null));
}
