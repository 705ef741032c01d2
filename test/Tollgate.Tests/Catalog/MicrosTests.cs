using CsCheck;
using NodaTime;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

public sealed class MicrosTests
{
    private static readonly Gen<long> s_micros = Gen.Long[-9_000_000_000_000_000, 9_000_000_000_000_000];

    [Fact]
    public void An_instant_reads_as_it_was_written() => s_micros.Sample(micros =>
    {
        Assert.Equal(micros, Micros.Of(Micros.ToInstant(micros)));
        Assert.Equal(micros, Micros.Of(Micros.ToDateTimeOffset(micros)));
    });

    [Fact]
    public void A_text_of_this_age_reads_as_the_instant_it_was_written_from() =>
        Gen.Long[946_684_800_000_000, 7_258_118_399_999_999].Sample(micros =>
            Assert.True(Micros.TryParse(Micros.ToText(micros), out var read) && read == micros));

    [Theory]
    [InlineData("1999-12-31T23:59:59Z")]
    [InlineData("2200-01-01T00:00:00Z")]
    [InlineData("9999-12-31T23:59:59-18:00")]
    [InlineData("-9998-01-01T00:00:00+18:00")]
    [InlineData("0000-01-01T00:00:00Z")]
    [InlineData("tomorrow")]
    public void Another_age_is_a_typing_error(string text) => Assert.False(Micros.TryParse(text, out _));

    [Theory]
    [InlineData(19, 1)]
    [InlineData(1, 0)]
    [InlineData(0, 0)]
    [InlineData(-1, -1)]
    [InlineData(-10, -1)]
    [InlineData(-11, -2)]
    public void What_is_finer_is_cut_off_towards_the_past(long ticks, long micros)
    {
        Assert.Equal(micros, Micros.Of(Instant.FromUnixTimeTicks(ticks)));
        Assert.Equal(micros, Micros.Of(DateTimeOffset.UnixEpoch.AddTicks(ticks)));
    }

    [Theory]
    [InlineData("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")]
    [InlineData("2026-01-01T09:00:00+09:00", "2026-01-01T00:00:00Z")]
    [InlineData("2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000001Z")]
    [InlineData("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.5Z")]
    public void Any_offset_is_read_and_utc_is_written(string text, string written)
    {
        Assert.True(Micros.TryParse(text, out var micros));
        Assert.Equal(written, Micros.ToText(micros));
    }

    [Theory]
    [InlineData("")]
    [InlineData("2026-01-01")]
    [InlineData("2026-01-01T00:00:00")]
    [InlineData("2026-02-30T00:00:00Z")]
    [InlineData("yesterday")]
    public void What_is_no_instant_is_refused(string text) => Assert.False(Micros.TryParse(text, out _));

    [Fact]
    public void An_instant_that_does_not_fit_is_refused_not_wrapped() =>
        Assert.Throws<OverflowException>(() => Micros.ToInstant(long.MaxValue));
}
