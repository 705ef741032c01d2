using System.Globalization;
using System.Numerics;

namespace Tollgate.Catalog;

/// <summary>
/// An amount somebody owes, in whole minor units of one currency. Rates are decimals; only settled amounts are Money.
/// </summary>
public readonly record struct Money(long MinorUnits, Currency Currency)
{
    public static Money Zero(Currency currency) => new(0, currency);

    /// <summary>The amount as a decimal of major units, exactly.</summary>
    public decimal Amount => (decimal)MinorUnits / Currency.MinorUnitsPerMajor;

    /// <summary>
    /// The only place in the product where a fraction of a minor unit disappears: half away from zero
    /// (−10.125 → −10.13), so that a credit mirrors the charge that it takes back.
    /// </summary>
    /// <exception cref="OverflowException">The amount is outside ±9.2 × 10^18 minor units.</exception>
    public static Money Round(decimal exact, Currency currency) =>
        // rounded before it is multiplied: at 28 digits a product would be rounded too, and half a cent twice
        new(decimal.ToInt64(decimal.Round(exact, currency.MinorUnitDigits, MidpointRounding.AwayFromZero)
            * currency.MinorUnitsPerMajor), currency);

    public static Money operator +(Money left, Money right) =>
        new(checked(left.MinorUnits + right.MinorUnits), Same(left, right));

    public static Money operator -(Money left, Money right) =>
        new(checked(left.MinorUnits - right.MinorUnits), Same(left, right));

    public static Money operator -(Money amount) => new(checked(-amount.MinorUnits), amount.Currency);

    /// <summary>
    /// Splits the amount by weights so that the parts sum to the whole: each part is its share rounded towards zero,
    /// and what is left goes, a minor unit each, to the largest remainders (ties: the earlier part).
    /// </summary>
    /// <param name="weights">At least one, none negative, not all zero.</param>
    public Money[] Split(IReadOnlyList<decimal> weights)
    {
        if (weights.Count == 0 || weights.Any(w => w < 0) || weights.All(w => w == 0))
            throw new ArgumentException("Weights must be zero or more, and at least one above zero.", nameof(weights));
        // whole numbers of any length: a share of a large amount has more digits than a decimal holds
        var whole = weights.Select(Whole).ToArray();
        var sum = whole.Aggregate(BigInteger.Zero, (a, b) => a + b);
        var parts = new long[weights.Count];
        var remainders = new BigInteger[weights.Count];
        var left = MinorUnits;
        for (var i = 0; i < parts.Length; i++)
        {
            parts[i] = (long)BigInteger.DivRem(MinorUnits * whole[i], sum, out var remainder);
            remainders[i] = BigInteger.Abs(remainder);
            left -= parts[i];
        }

        // what is left is less than one minor unit for each part with a remainder
        var order = Enumerable.Range(0, parts.Length).OrderByDescending(i => remainders[i]);
        foreach (var i in order.Take((int)Math.Abs(left)))
            parts[i] += Math.Sign(left);

        var currency = Currency;
        return Array.ConvertAll(parts, p => new Money(p, currency));
    }

    /// <summary>"16.19": with as many digits as the currency has, without its code.</summary>
    public override string ToString() => Amount.ToString("F" + Currency.MinorUnitDigits, CultureInfo.InvariantCulture);

    /// <summary>The weight × 10^28, so that all weights are whole numbers of one unit.</summary>
    private static BigInteger Whole(decimal weight)
    {
        Span<int> bits = stackalloc int[4];
        decimal.GetBits(weight, bits);
        var digits = new BigInteger((uint)bits[0]) | (new BigInteger((uint)bits[1]) << 32)
            | (new BigInteger((uint)bits[2]) << 64);
        return digits * BigInteger.Pow(10, 28 - weight.Scale);
    }

    private static Currency Same(Money left, Money right) => left.Currency == right.Currency
        ? left.Currency
        : throw new InvalidOperationException($"{left.Currency} and {right.Currency} do not add up: nothing converts.");
}
