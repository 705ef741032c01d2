using CsCheck;
using Tollgate.Catalog;
using LimitWindows = Tollgate.Catalog.LimitWindow;

namespace Tollgate.Tests.Catalog;

public sealed class LimitTests
{
    // 1677 to 2262: what fits 64 bits of nanoseconds, far beyond what is asked for
    private static readonly Gen<long> s_micros = Gen.Long[-9_000_000_000_000_000, 9_000_000_000_000_000];
    private static readonly Gen<WindowUnit> s_unit = Gen.Enum<WindowUnit>();

    [Theory]
    [InlineData("100/minute", 100, WindowUnit.Minute)]
    [InlineData("1/second", 1, WindowUnit.Second)]
    [InlineData("10_000/hour", 10_000, WindowUnit.Hour)]
    [InlineData("5/day", 5, WindowUnit.Day)]
    [InlineData("7/month", 7, WindowUnit.Month)]
    [InlineData("1_000_000_000_000/year", Limit.MaxCount, WindowUnit.Year)]
    public void A_limit_is_a_count_and_a_window(string text, long count, WindowUnit unit)
    {
        var limit = Limit.TryParse(text);
        Assert.Equal(new Limit(count, unit), limit);
        Assert.Equal(limit, Limit.TryParse(limit!.ToString()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/minute")]
    [InlineData("100")]
    [InlineData("100/")]
    [InlineData("100/minutes")]
    [InlineData("100/Minute")]
    [InlineData("100/minute ")]
    [InlineData("100 /minute")]
    [InlineData(" 100/minute")]
    [InlineData("+100/minute")]
    [InlineData("-1/minute")]
    [InlineData("0/minute")]
    [InlineData("1.5/minute")]
    [InlineData("1,000/minute")]
    [InlineData("_100/minute")]
    [InlineData("100_/minute")]
    [InlineData("_/minute")]
    [InlineData("1000000000001/minute")]
    [InlineData("99999999999999999999/minute")]
    [InlineData("1/2/minute")]
    public void What_is_not_a_limit_is_refused(string text) => Assert.Null(Limit.TryParse(text));

    [Fact]
    public void A_window_holds_its_instant_and_touches_its_neighbours() => Gen.Select(s_unit, s_micros)
        .Sample((unit, at) =>
        {
            var (start, end) = LimitWindows.At(unit, at);
            Assert.InRange(at, start, end - 1);
            Assert.Equal((start, end), LimitWindows.At(unit, start));
            Assert.Equal((start, end), LimitWindows.At(unit, end - 1));
            Assert.Equal(end, LimitWindows.At(unit, end).Start);
            Assert.Equal(start, LimitWindows.At(unit, start - 1).End);
        });

    [Fact]
    public void Months_and_years_have_their_true_length()
    {
        for (var year = 2024; year <= 2032; year++)
        {
            var days = DateTime.IsLeapYear(year) ? 366 : 365;
            Assert.Equal((At(year, 1), At(year, 1) + Days(days)), LimitWindows.At(WindowUnit.Year, At(year, 7)));
            for (var month = 1; month <= 12; month++)
            {
                var start = At(year, month);
                var end = start + Days(DateTime.DaysInMonth(year, month));
                Assert.Equal((start, end), LimitWindows.At(WindowUnit.Month, start));
                Assert.Equal((start, end), LimitWindows.At(WindowUnit.Month, end - 1));
            }
        }
    }

    [Fact]
    public void Before_1970_windows_still_begin_before_their_instants()
    {
        Assert.Equal((-1_000_000, 0), LimitWindows.At(WindowUnit.Second, -1));
        Assert.Equal((-60_000_000, 0), LimitWindows.At(WindowUnit.Minute, -1));
        Assert.Equal((-Days(31), 0), LimitWindows.At(WindowUnit.Month, -1));
        Assert.Equal((-Days(365), 0), LimitWindows.At(WindowUnit.Year, -1));
    }

    [Fact]
    public void Every_unit_has_a_name_that_reads_back()
    {
        Assert.Equal(Enum.GetValues<WindowUnit>().Length, LimitWindows.UnitCount);
        foreach (var unit in Enum.GetValues<WindowUnit>())
            Assert.True(LimitWindows.TryParseUnit(LimitWindows.NameOf(unit), out var read) && read == unit);
    }

    private static long At(int year, int month) => Micros.Of(new DateTimeOffset(year, month, 1, 0, 0, 0, TimeSpan.Zero));

    private static long Days(int days) => days * 86_400_000_000L;
}
