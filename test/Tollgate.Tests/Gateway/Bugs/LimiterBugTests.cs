using NodaTime;
using Tollgate.Catalog;
using Tollgate.Tests.Gateway.Limits;

namespace Tollgate.Tests.Gateway.Bugs;

/// <summary>
/// Bugs that stand in the trackers and manuals of other gateways (field notes, gateways 2.2), each as a test of ours. B1:
/// check, then act. B2: refused calls burn longer windows. B3: twice the limit at the edge of a window. B4: a sliding
/// window that never recovers. B5: months of thirty days. B6: a wrong reset (<see cref="RetryAfterTests"/>). B7: a counter
/// without an end. B8: an edit resets counters. B18: what is below zero passes.
/// </summary>
public sealed class LimiterBugTests
{
    private static readonly long s_noon = Counted.At("2026-01-10T12:00:00Z");

    [Fact]
    public void B1_threads_that_race_are_admitted_exactly_the_limit()
    {
        foreach (var limits in new[] { "1000/minute", "1000/minute sliding", "5000/minute sliding by customer",
            "1000/minute bucket burst 1000", "1000 concurrent" })
        {
            var counted = new Counted(limits, new Quota("calls", "calls", 800));
            var admitted = 0;
            Parallel.For(0, 4, _ => Interlocked.Add(ref admitted, counted.Calls(1_000, s_noon)));
            Assert.Equal(800, admitted);
        }
    }

    [Fact]
    public void B2_a_thousand_refused_calls_leave_the_longer_windows_as_they_were()
    {
        var counted = new Counted("2/second, 100/month, 50/hour sliding", new Quota("calls", "calls", 70));
        Assert.Equal(2, counted.Calls(1_000, s_noon));
        var decision = counted.Call(s_noon + Micros.PerSecond);
        Assert.Equal([1, 97, 47, 67], Enumerable.Range(0, 4).Select(i => decision.Limits[i].Remaining));
    }

    [Fact]
    public void B3_a_fixed_window_may_pass_twice_the_limit_at_its_edge_and_a_sliding_one_may_not()
    {
        var (edge, after) = (s_noon - 1, s_noon + 1);
        var aligned = new Counted("100/minute");
        Assert.Equal(200, aligned.Calls(150, edge) + aligned.Calls(150, after));
        var sliding = new Counted("100/minute sliding");
        Assert.Equal(100, sliding.Calls(150, edge) + sliding.Calls(150, after));
    }

    [Fact]
    public void B4_a_client_that_always_sends_a_fifth_too_much_still_gets_its_limit()
    {
        var counted = new Counted("100/minute sliding");
        var admitted = 0;
        for (var now = s_noon; now < s_noon + 3_600 * Micros.PerSecond; now += 500_000) admitted += counted.Calls(1, now);
        Assert.InRange(admitted, 6_000, 6_100);
    }

    [Fact]
    public void B5_every_month_and_year_has_its_true_length_in_every_zone()
    {
        foreach (var zone in new[] { "UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland" })
        {
            var tz = DateTimeZoneProviders.Tzdb[zone];
            var quota = new Quota("calls", "calls", 1) { Per = QuotaPeriod.Find("calendar month")!.Value };
            var counted = new Counted(new LocalDate(2024, 2, 29), zone, Counted.At("2024-01-01T00:00:00Z"), "", quota);
            for (var month = new LocalDate(2024, 1, 1); month.Year < 2032; month = month.PlusMonths(1))
            {
                var (start, end) = (Midnight(month, tz), Midnight(month.PlusMonths(1), tz));
                Assert.Equal(1, counted.Calls(2, start));
                // nobody gets a second month on the 31st
                Assert.Equal(0, counted.Calls(2, end - 1));
                Assert.Equal(end, counted.Call(end - 1).Limits[0].ResetAt);
            }
        }

        var year = new Counted("1/year");
        Assert.Equal(1, year.Calls(5, Counted.At("2028-01-01T00:00:00Z")));
        Assert.Equal(0, year.Calls(5, Counted.At("2028-12-31T23:59:59Z")));
        Assert.Equal(1, year.Calls(5, Counted.At("2029-01-01T00:00:00Z")));

        static long Midnight(LocalDate date, DateTimeZone zone) => Micros.Of(date.AtStartOfDayInZone(zone).ToInstant());
    }

    [Fact]
    public void B7_a_counter_ends_with_its_window_however_long_nobody_called()
    {
        var counted = new Counted("1/second, 5/minute sliding, 2/day", new Quota("calls", "calls", 3));
        Assert.Equal(1, counted.Calls(5, s_noon));
        Assert.Equal(1, counted.Calls(5, s_noon + 400L * 86_400 * Micros.PerSecond));
    }

    [Fact]
    public void B8_an_edit_keeps_what_was_used_and_holds_on_the_next_call()
    {
        var counted = new Counted("10/minute, 10/hour sliding, 10/day bucket burst 10", Of(10));
        Assert.Equal(6, counted.Calls(6, s_noon));
        counted.Change(s_noon, "8/minute, 8/hour sliding, 8/day bucket burst 8", Of(8));
        var lowered = counted.Call(s_noon, take: false);
        Assert.Equal([2, 2, 2, 2], Enumerable.Range(0, 4).Select(i => lowered.Limits[i].Remaining));
        counted.Change(s_noon, "5/minute, 5/hour sliding, 5/day bucket burst 5", Of(5));
        Assert.Equal(0, counted.Calls(5, s_noon));
        counted.Change(s_noon, "20/minute, 20/hour sliding, 20/day bucket burst 20", Of(20));
        Assert.Equal(14, counted.Calls(50, s_noon));

        static Quota Of(decimal allowance) => new("calls", "calls", allowance);
    }

    [Fact]
    public void B18_what_went_beyond_its_allowance_is_refused_and_never_shown_below_zero()
    {
        var counted = new Counted("", new Quota("calls", "calls", 10));
        var call = counted.Call(s_noon, units: 5);
        // it cost more than was set aside
        counted.Settle(call, 25);
        var refused = counted.Call(s_noon);
        Assert.Equal((0, 0L), (refused.Violated, refused.Limits[0].Remaining));
    }
}
