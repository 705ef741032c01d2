namespace Tollgate.Catalog;

/// <summary>
/// Sums and products of decimals that keep every digit, or refuse: a decimal holds 28 digits, and .NET drops what is
/// beyond them without a word (money.md 1).
/// </summary>
public static class Exact
{
    /// <exception cref="OverflowException">The product has more than 28 digits.</exception>
    public static decimal Multiply(decimal left, decimal right)
    {
        var product = left * right;
        if (product.Scale >= left.Scale + right.Scale || left == 0 || right == 0) return product;
        // zeros at the end take room that digits need
        (left, right) = (Trim(left), Trim(right));
        product = left * right;
        return product.Scale >= left.Scale + right.Scale ? product : throw Lost();
    }

    /// <exception cref="OverflowException">The sum has more than 28 digits.</exception>
    public static decimal Add(decimal left, decimal right)
    {
        var sum = left + right;
        if (sum.Scale >= Math.Max(left.Scale, right.Scale)) return sum;
        (left, right) = (Trim(left), Trim(right));
        sum = left + right;
        return sum.Scale >= Math.Max(left.Scale, right.Scale) ? sum : throw Lost();
    }

    /// <exception cref="OverflowException">The difference has more than 28 digits.</exception>
    public static decimal Subtract(decimal left, decimal right) => Add(left, -right);

    /// <summary>How many whole times the divisor goes into the quantity; both zero or more.</summary>
    /// <param name="rest">What is left over.</param>
    public static decimal Divide(decimal quantity, decimal divisor, out decimal rest)
    {
        rest = quantity % divisor;
        return decimal.Round(Subtract(quantity, rest) / divisor);
    }

    /// <summary>Whether a quotient is all of it: thirds are cut after 28 digits.</summary>
    public static bool IsQuotient(decimal quotient, decimal dividend, decimal divisor)
    {
        (quotient, divisor) = (Trim(quotient), Trim(divisor));
        var back = quotient * divisor;
        return back == dividend && back.Scale >= quotient.Scale + divisor.Scale;
    }

    /// <summary>The same number without zeros at its end.</summary>
    public static decimal Trim(decimal number) => number / 1.0000000000000000000000000000m;

    private static OverflowException Lost() =>
        new("Quantities and amounts are exact within 28 digits together; these need more.");
}
