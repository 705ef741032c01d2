namespace Tollgate.Catalog;

/// <summary>
/// Decimal numbers as whole ones × 10^scale, digit by digit: what is written is what is counted, and nothing passes
/// through a binary fraction.
/// </summary>
public static class ScaledNumber
{
    private const int MostDigits = 64;

    /// <summary>
    /// Reads a number as JSON writes it (<c>-12.50</c>, <c>1e3</c>). False when it is none, has digits finer than the
    /// scale that are not zero, or is beyond <see cref="Meter.MaxQuantity"/> either side.
    /// </summary>
    public static bool TryParse(ReadOnlySpan<byte> text, int scale, out long scaled)
    {
        scaled = 0;
        var at = 0;
        var negative = text.Length > 0 && text[0] == '-';
        if (negative) at++;
        Span<byte> digits = stackalloc byte[MostDigits];
        var count = 0;
        var point = 0;
        if (!Digits(text, ref at, digits, ref count)) return false;
        if (at < text.Length && text[at] == '.')
        {
            at++;
            var before = count;
            if (!Digits(text, ref at, digits, ref count)) return false;
            point = count - before;
        }

        var exponent = 0;
        if (at < text.Length && text[at] is (byte)'e' or (byte)'E' && !Exponent(text, ref at, out exponent)) return false;
        if (at != text.Length) return false;
        return Shift(digits[..count], scale - point + exponent, negative, out scaled);
    }

    /// <summary>Reads a number in a text of characters; anything but ASCII is none.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, int scale, out long scaled)
    {
        scaled = 0;
        if (text.Length is 0 or > MostDigits || !System.Text.Ascii.IsValid(text)) return false;
        Span<byte> bytes = stackalloc byte[MostDigits];
        System.Text.Ascii.FromUtf16(text, bytes, out var written);
        return TryParse(bytes[..written], scale, out scaled);
    }

    /// <summary>At least one digit.</summary>
    private static bool Digits(ReadOnlySpan<byte> text, ref int at, Span<byte> digits, ref int count)
    {
        var start = at;
        while (at < text.Length && text[at] is >= (byte)'0' and <= (byte)'9')
        {
            if (count == digits.Length) return false;
            digits[count++] = (byte)(text[at++] - '0');
        }

        return at > start;
    }

    private static bool Exponent(ReadOnlySpan<byte> text, ref int at, out int exponent)
    {
        exponent = 0;
        at++;
        var negative = at < text.Length && text[at] == '-';
        if (at < text.Length && text[at] is (byte)'-' or (byte)'+') at++;
        var start = at;
        while (at < text.Length && text[at] is >= (byte)'0' and <= (byte)'9')
        {
            exponent = exponent * 10 + (text[at++] - '0');
            if (exponent > 999) return false;
        }

        if (negative) exponent = -exponent;
        return at > start;
    }

    /// <summary>The digits × 10^power, when that is whole and within bounds.</summary>
    private static bool Shift(ReadOnlySpan<byte> digits, int power, bool negative, out long scaled)
    {
        scaled = 0;
        digits = digits.TrimStart((byte)0);
        for (; power < 0; power++)
        {
            if (digits.IsEmpty) return true;
            if (digits[^1] != 0) return false;
            digits = digits[..^1];
        }

        if (digits.IsEmpty) return true;
        if (digits.Length + power > 16) return false;
        foreach (var digit in digits) scaled = scaled * 10 + digit;
        for (; power > 0; power--) scaled *= 10;
        if (scaled > Meter.MaxQuantity)
        {
            scaled = 0;
            return false;
        }

        if (negative) scaled = -scaled;
        return true;
    }
}
