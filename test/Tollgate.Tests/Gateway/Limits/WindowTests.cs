using CsCheck;
using Tollgate.Catalog;
using Tollgate.Gateway;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>What each kind of window admits.</summary>
public sealed class WindowTests
{
    private static readonly long s_noon = Counted.At("2026-01-10T12:00:00Z");

    [Theory]
    [InlineData("20/minute sliding", 20)]
    [InlineData("1200/minute sliding", 1_200)]
    public void A_sliding_window_never_admits_more_in_any_stretch_of_its_length(string limit, int most) =>
        Gen.Long[0, 4_000_000].Array[50, 120].Sample(gaps =>
        {
            var counted = new Counted(limit);
            var (now, perStep, admitted) = (s_noon, most / 10, new List<long>());
            foreach (var gap in gaps)
            {
                now += gap;
                admitted.AddRange(Enumerable.Repeat(now, counted.Calls(perStep, now)));
            }

            for (var i = 0; i + most < admitted.Count; i++)
                Assert.True(admitted[i + most] - admitted[i] >= 60 * Micros.PerSecond);
        }, iter: 100);

    [Fact]
    public void A_sliding_window_in_parts_admits_at_most_a_sixtieth_fewer_under_steady_demand()
    {
        var counted = new Counted("6000/minute sliding");
        var admitted = 0;
        for (var now = s_noon; now < s_noon + 600 * Micros.PerSecond; now += 5_000)
            admitted += counted.Calls(1, now);
        Assert.InRange(admitted, 60_000 * 60 / 61, 60_000 + 6_000);
    }

    [Fact]
    public void A_bucket_admits_its_burst_and_then_evenly()
    {
        var counted = new Counted("7/second bucket burst 3");
        Assert.Equal(3, counted.Calls(10, s_noon));
        // a seventh of a second is no whole number of microseconds: nothing is lost or won over a day
        var admitted = 0;
        for (var now = s_noon + 10_000; now <= s_noon + 3_600 * Micros.PerSecond; now += 10_000)
            admitted += counted.Calls(1, now);
        Assert.Equal(7 * 3_600, admitted);
        Assert.Equal(3, counted.Calls(10, s_noon + 3_700 * Micros.PerSecond));
    }

    [Fact]
    public void A_limit_that_becomes_sliding_or_a_bucket_forgets_nothing()
    {
        foreach (var other in new[] { "100/minute sliding", "2000/minute sliding", "100/minute bucket burst 100" })
        {
            var counted = new Counted("100/minute");
            Assert.Equal(60, counted.Calls(60, s_noon + 59 * Micros.PerSecond));
            counted.Change(s_noon + 60 * Micros.PerSecond, other);
            var most = other.StartsWith('1') ? 40 : 1_940;
            Assert.InRange(counted.Calls(2_000, s_noon + 60 * Micros.PerSecond), most, most + 1);
        }
    }

    [Theory]
    [InlineData("100/minute")]
    [InlineData("100/minute bucket")]
    public void Whatever_was_used_before_it_a_bucket_is_full_at_most(string before)
    {
        var counted = new Counted(before);
        Assert.Equal(90, counted.Calls(90, s_noon));
        counted.Change(s_noon, "6/minute bucket burst 3");
        var refused = counted.Call(s_noon);
        Assert.Equal((0, s_noon + 10 * Micros.PerSecond), (refused.Violated, refused.Limits[0].ResetAt));
        Assert.Equal(1, counted.Calls(2, s_noon + 10 * Micros.PerSecond));
    }

    [Fact]
    public void A_sliding_limit_may_be_raised_and_lowered_across_a_thousand()
    {
        var counted = new Counted("500/minute sliding");
        Assert.Equal(500, counted.Calls(600, s_noon));
        counted.Change(s_noon, "2000/minute sliding");
        Assert.Equal(1_500, counted.Calls(2_000, s_noon + Micros.PerSecond));
        counted.Change(s_noon, "500/minute sliding");
        Assert.Equal(0, counted.Calls(10, s_noon + 59 * Micros.PerSecond));
        var refused = counted.Call(s_noon + 59 * Micros.PerSecond);
        Assert.True(refused.Limits[0].ResetAt > s_noon + 60 * Micros.PerSecond);
        Assert.Equal(500, counted.Calls(600, s_noon + 63 * Micros.PerSecond));
    }

    [Fact]
    public void A_clock_that_jumps_back_opens_no_window_of_any_kind_again()
    {
        foreach (var limit in new[] { "5/minute", "5/minute sliding", "1001/minute sliding", "5/minute bucket burst 5" })
        {
            var counted = new Counted(limit);
            counted.Calls(2_000, s_noon);
            Assert.Equal(0, counted.Calls(10, s_noon - 3_600 * Micros.PerSecond));
            Assert.Equal(0, counted.Calls(10, s_noon - 86_400 * Micros.PerSecond));
        }
    }

    [Fact]
    public void Keys_customers_operations_and_addresses_are_counted_for_themselves()
    {
        (string Scope, Caller Other, Caller Same)[] scopes =
        [
            ("consumer", new(2, 1, 1, 1), new(1, 2, 2, 2)),
            ("key", new(1, 2, 1, 1), new(1, 1, 2, 2)),
            ("operation", new(1, 1, 2, 1), new(2, 2, 1, 2)),
            ("ip", new(1, 1, 1, 2), new(2, 2, 2, 1)),
        ];
        foreach (var (scope, other, same) in scopes)
        {
            var counted = new Counted($"3/minute by {scope}");
            Assert.Equal(3, counted.Calls(5, s_noon, new Caller(1, 1, 1, 1)));
            Assert.Equal(0, counted.Calls(5, s_noon, same));
            Assert.Equal(3, counted.Calls(5, s_noon, other));
        }

        var customer = new Counted("3/minute by customer");
        Assert.Equal(2, customer.Calls(2, s_noon, new Caller(1, 1, 1, 1)));
        Assert.Equal(1, customer.Calls(5, s_noon, new Caller(2, 2, 2, 2)));
    }

    [Fact]
    public void A_limit_of_the_customer_that_is_added_knows_what_its_consumers_have_used()
    {
        var counted = new Counted("3/minute");
        Assert.Equal(3, counted.Calls(5, s_noon, new Caller(1, 1, 1, 1)));
        Assert.Equal(3, counted.Calls(5, s_noon, new Caller(2, 2, 1, 1)));
        counted.Change(s_noon, "9/minute by customer");
        Assert.Equal(3, counted.Calls(5, s_noon, new Caller(3, 3, 1, 1)));
    }

    [Fact]
    public void Addresses_beyond_the_bound_share_one_count_until_others_are_idle()
    {
        // this budget has three places
        var counted = new Counted("2/minute by ip");
        for (var ip = 1; ip <= 3; ip++) Assert.Equal(2, counted.Calls(5, s_noon, new Caller(1, 1, 1, (ulong)ip)));
        Assert.Equal(2, counted.Calls(5, s_noon, new Caller(1, 1, 1, 4)));
        Assert.Equal(0, counted.Calls(5, s_noon, new Caller(1, 1, 1, 5)));
        Assert.Equal(2, counted.Calls(5, s_noon + 60 * Micros.PerSecond, new Caller(1, 1, 1, 6)));
        Assert.Equal(2, counted.Calls(5, s_noon + 60 * Micros.PerSecond, new Caller(1, 1, 1, 7)));
    }

    [Fact]
    public void Addresses_of_one_client_are_one()
    {
        static ulong Of(string text) => Caller.AddressOf(System.Net.IPAddress.Parse(text));
        Assert.Equal(Of("10.1.2.3"), Of("::ffff:10.1.2.3"));
        Assert.Equal(Of("2001:db8:1:2:3::4"), Of("2001:db8:1:2:ffff::9"));
        Assert.NotEqual(Of("2001:db8:1:2::4"), Of("2001:db8:1:3::4"));
        Assert.NotEqual(Of("10.1.2.3"), Of("10.1.2.4"));
        Assert.Equal(0UL, Caller.AddressOf(null));
    }

    [Fact]
    public void Calls_at_a_time_are_given_back_when_they_end()
    {
        var counted = new Counted("2 concurrent, 5/minute");
        var first = counted.Call(s_noon);
        Assert.Equal(1, counted.Calls(5, s_noon));
        counted.Release(first);
        Assert.Equal(1, counted.Calls(5, s_noon));
        // a refusal has taken nothing: three of five are used
        Assert.Equal(2, counted.Call(s_noon, take: false).Limits[0].Remaining);
    }
}
