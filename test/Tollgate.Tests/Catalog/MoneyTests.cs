using System.Numerics;
using CsCheck;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

public sealed class MoneyTests
{
    private static readonly Gen<decimal> s_weight = Gen.Select(Gen.Long[0, long.MaxValue], Gen.Int[0, 18],
        (digits, scale) => new decimal((int)digits, (int)(digits >> 32), 0, false, (byte)scale));

    [Theory]
    [InlineData("-10.125", "USD", "-10.13")]
    [InlineData("10.125", "USD", "10.13")]
    [InlineData("10.1249999999999999999999999", "USD", "10.12")]
    [InlineData("0.1249999999999999999999999999", "USD", "0.12")]
    [InlineData("-0.005", "USD", "-0.01")]
    [InlineData("0.004999999999", "USD", "0.00")]
    [InlineData("1234.5", "JPY", "1235")]
    [InlineData("-1234.5", "JPY", "-1235")]
    [InlineData("1.2345", "KWD", "1.235")]
    [InlineData("1.23445", "CLF", "1.2345")]
    [InlineData("92233720368547758.07", "USD", "92233720368547758.07")]
    public void Half_a_minor_unit_rounds_away_from_zero(string exact, string currency, string rounded) =>
        Assert.Equal(rounded, Money.Round(decimal.Parse(exact), Currency.Of(currency)).ToString());

    [Theory]
    [InlineData("92233720368547758.075", "USD")]
    [InlineData("79228162514264337593543950335", "USD")]
    [InlineData("9223372036854775808", "JPY")]
    public void An_amount_beyond_64_bits_of_minor_units_is_refused_not_wrapped(string exact, string currency) =>
        Assert.Throws<OverflowException>(() => Money.Round(decimal.Parse(exact), Currency.Of(currency)));

    [Fact]
    public void A_charge_and_its_credit_cancel() => Gen.Decimal[-1_000_000m, 1_000_000m].Sample(exact =>
        Assert.Equal(0, (Money.Round(exact, Currency.Usd) + Money.Round(-exact, Currency.Usd)).MinorUnits));

    [Fact]
    public void Rounding_is_never_off_by_more_than_half_a_minor_unit() =>
        Gen.Decimal[-1_000_000m, 1_000_000m].Sample(exact =>
            Assert.True(Math.Abs(Money.Round(exact, Currency.Usd).Amount - exact) <= 0.005m));

    [Fact]
    public void Thirds_of_a_hundred_are_34_33_33() => Assert.Equal(
        ["33.34", "33.33", "33.33"], Usd(100_00).Split([1, 1, 1]).Select(m => m.ToString()));

    [Fact]
    public void What_is_left_goes_to_the_largest_remainders()
    {
        Assert.Equal([0, 1, 0], Minor(Usd(1).Split([1, 2, 1])));
        Assert.Equal([0, -1, 0], Minor(Usd(-1).Split([1, 2, 1])));
        Assert.Equal([3, 0, 7], Minor(Usd(10).Split([0.3m, 0, 0.7m])));
    }

    [Fact]
    public void Parts_sum_to_the_whole_and_are_their_exact_share_within_a_minor_unit() => Gen.Select(
        Gen.Long, s_weight.Array[1, 12]).Sample((minor, weights) =>
        {
            if (weights.All(w => w == 0)) return;
            var parts = Usd(minor).Split(weights);
            Assert.Equal(minor, parts.Aggregate(BigInteger.Zero, (sum, p) => sum + p.MinorUnits));
            Assert.All(parts.Zip(weights), p => Assert.True(p.Second > 0 || p.First.MinorUnits == 0));
            Assert.All(parts, p => Assert.True(p.MinorUnits == 0 || Math.Sign(p.MinorUnits) == Math.Sign(minor)));
        });

    [Fact]
    public void A_split_loses_no_digits_however_large_amount_and_weights_are()
    {
        // the first share is 3 x 10^18 + 1/3, the second 6 x 10^18 + 2/3: 28 digits cannot tell which is nearer
        Assert.Equal([3_000_000_000_000_000_000, 6_000_000_000_000_000_001],
            Minor(Usd(9_000_000_000_000_000_001).Split([1, 2])));
        Assert.Equal([long.MaxValue / 2 + 1, long.MaxValue / 2],
            Minor(Usd(long.MaxValue).Split([decimal.MaxValue, decimal.MaxValue])));
        Assert.Equal([long.MinValue, 0], Minor(Usd(long.MinValue).Split([decimal.MaxValue, 0])));
        Assert.Equal([0, 0, 1], Minor(Usd(1).Split(
            [0.0000000000000000000000000001m, 0.0000000000000000000000000001m, 0.0000000000000000000000000002m])));
    }

    [Fact]
    public void Weights_that_say_nothing_are_refused()
    {
        Assert.Throws<ArgumentException>(() => Usd(1).Split([]));
        Assert.Throws<ArgumentException>(() => Usd(1).Split([0, 0]));
        Assert.Throws<ArgumentException>(() => Usd(1).Split([2, -1]));
    }

    [Fact]
    public void Sums_overflow_loudly_and_currencies_do_not_mix()
    {
        Assert.Throws<OverflowException>(() => Usd(long.MaxValue) + Usd(1));
        Assert.Throws<OverflowException>(() => Usd(long.MinValue) - Usd(1));
        Assert.Throws<OverflowException>(() => -Usd(long.MinValue));
        Assert.Throws<InvalidOperationException>(() => Usd(1) + Money.Zero(Currency.Of("EUR")));
    }

    [Fact]
    public void Currencies_have_the_digits_of_iso_4217()
    {
        Assert.Equal([2, 0, 3, 4], new[] { "USD", "JPY", "KWD", "CLF" }.Select(c => Currency.Of(c).MinorUnitDigits));
        Assert.Equal("0.0001", new Money(1, Currency.Of("CLF")).ToString());
        Assert.Equal("-5", new Money(-5, Currency.Of("JPY")).ToString());
        Assert.Null(Currency.Find("usd"));
        Assert.Null(Currency.Find(null));
        Assert.Throws<ArgumentException>(() => Currency.Of("XXX"));
        Assert.Same(Currency.Of("USD"), Currency.Usd);
    }

    private static Money Usd(long minor) => new(minor, Currency.Usd);

    private static long[] Minor(Money[] parts) => Array.ConvertAll(parts, p => p.MinorUnits);
}
