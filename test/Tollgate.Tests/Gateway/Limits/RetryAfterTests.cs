using CsCheck;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Gateway;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>What Retry-After says is exact: waiting that long succeeds, a second less fails. For every kind of window,
/// on days that a zone makes longer or shorter, at the ends of months and in leap years.</summary>
public sealed class RetryAfterTests
{
    private static readonly string[] s_limits =
    [
        "3/second", "7/minute", "5/hour", "4/day", "3/month", "2/year",
        "3/second sliding", "7/minute sliding", "5/hour sliding", "4/day sliding", "1500/minute sliding",
        "3/second bucket burst 3", "7/minute bucket burst 2", "100/hour bucket burst 5", "4/day bucket burst 1",
        "7/minute, 3/second sliding, 60/hour bucket burst 5, 9/day by customer",
    ];

    private static readonly string[] s_zones =
        ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"];

    private static readonly string[] s_periods = ["period", "day", "week", "month", "quarter", "year",
        "calendar day", "calendar week", "calendar month", "calendar quarter", "calendar year"];

    // around changes of the clock, ends of months, a leap day, a new year
    private static readonly string[] s_days = ["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05",
        "2028-02-28", "2028-02-29", "2026-01-31", "2026-12-31", "2027-02-28"];

    [Fact]
    public void Waiting_that_long_succeeds_and_a_second_less_fails_for_every_window() =>
        Gen.Select(Of(s_limits), Of(s_days), Gen.Long[0, 86_399_999_999],
            Gen.Long[0, 3_000_000].Array[1, 40]).Sample((limits, day, offset, gaps) =>
        {
            var counted = new Counted(limits);
            var now = Counted.At(day + "T00:00:00Z") + offset;
            foreach (var gap in gaps) counted.Calls(1, now += gap);
            var burst = limits.StartsWith("1500", StringComparison.Ordinal) ? 1_600 : 120;
            counted.Calls(burst, now);
            Holds(counted, now);
        }, iter: 1_500);

    [Fact]
    public void Waiting_that_long_succeeds_and_a_second_less_fails_for_every_quota() =>
        Gen.Select(Of(s_periods), Of(s_zones), Of(s_days),
            Gen.Long[0, 86_399_999_999], Gen.Int[1, 31]).Sample((per, zone, day, offset, anchor) =>
        {
            var quota = new Quota("calls", "calls", 5) { Per = QuotaPeriod.Find(per)!.Value };
            var start = Counted.At("2025-12-31T00:00:00Z");
            var counted = new Counted(new LocalDate(2025, 12, anchor), zone, start, "", quota);
            var now = Counted.At(day + "T00:00:00Z") + offset;
            Assert.Equal(5, counted.Calls(9, now));
            Holds(counted, now);
        }, iter: 1_500);

    private static Gen<string> Of(string[] all) => Gen.Int[0, all.Length - 1].Select(i => all[i]);

    private static void Holds(Counted counted, long now)
    {
        var refused = counted.Call(now);
        Assert.True(refused.Violated >= 0, "Nothing was exhausted.");
        var wait = RateHeaders.SecondsUntil(refused.Limits[refused.Violated].ResetAt, now);
        // waiting a second less first: looking takes nothing
        if (wait > 1) Assert.True(counted.Call(now + (wait - 1) * Micros.PerSecond, take: false).Violated >= 0);
        Assert.Equal(-1, counted.Call(now + wait * Micros.PerSecond).Violated);
    }
}
