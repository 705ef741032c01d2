using CsCheck;
using NodaTime;
using Tollgate.Catalog;
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
    public void The_period_of_an_instant_holds_it() => Gen.Select(s_calendar, Gen.Long[0, 2_200_000_000]).Sample(
        (calendar, seconds) =>
        {
            var at = Instant.FromUnixTimeSeconds(seconds);
            Assert.True(calendar.PeriodOf(calendar.IndexAt(at)).Contains(at));
        });

    [Fact]
    public void Periods_touch_and_their_first_instant_is_theirs() => Gen.Select(s_calendar, Gen.Int[-60, 240]).Sample(
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
