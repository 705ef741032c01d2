using System.Globalization;

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
        new(decimal.ToInt64(decimal.Round(exact * currency.MinorUnitsPerMajor, MidpointRounding.AwayFromZero)), currency);

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
        if (weights.Count == 0 || weights.Any(w => w < 0) || weights.Sum() is var sum && sum <= 0)
            throw new ArgumentException("Weights must be zero or more, and at least one above zero.", nameof(weights));
        var parts = new long[weights.Count];
        var remainders = new decimal[weights.Count];
        var left = MinorUnits;
        for (var i = 0; i < parts.Length; i++)
        {
            var share = MinorUnits * (weights[i] / sum);
            parts[i] = decimal.ToInt64(decimal.Truncate(share));
            remainders[i] = Math.Abs(share - parts[i]);
            left -= parts[i];
        }

        var order = Enumerable.Range(0, parts.Length).Where(i => weights[i] > 0)
            .OrderByDescending(i => remainders[i]).ThenBy(i => i).ToArray();
        for (var i = 0; left != 0; i = (i + 1) % order.Length)
        {
            parts[order[i]] += Math.Sign(left);
            left -= Math.Sign(left);
        }

        var currency = Currency;
        return Array.ConvertAll(parts, p => new Money(p, currency));
    }

    /// <summary>"16.19": with as many digits as the currency has, without its code.</summary>
    public override string ToString() => Amount.ToString("F" + Currency.MinorUnitDigits, CultureInfo.InvariantCulture);

    private static Currency Same(Money left, Money right) => left.Currency == right.Currency
        ? left.Currency
        : throw new InvalidOperationException($"{left.Currency} and {right.Currency} do not add up: nothing converts.");
}
