using System.Buffers;
using System.Globalization;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>Scalars as what a field needs. Each answers null for what it is not, and has then said so.</summary>
internal static class Scalars
{
    /// <summary>Digits after the point of an amount (money.md 1).</summary>
    public const int MaxFraction = 12;

    /// <summary>Amounts are below this: with 12 digits after the point they leave room to be multiplied.</summary>
    public const decimal AmountBound = 1_000_000_000_000;

    /// <summary>Digits of a quantity before and after the point: what a sum of usage can hold (money.md 1).</summary>
    public const int MaxWholeUnits = 19, MaxUnitFraction = 9;

    /// <summary>Powers of ten that a number of JSON may be written with; no number that is allowed needs more.</summary>
    private const int MaxExponent = 60;

    private static readonly SearchValues<char> s_ofNumbers = SearchValues.Create("0123456789_.eE+-");

    public static void WrongType(this Findings findings, Node node, string needed, string example)
    {
        var instead = node is ScalarNode { Kind: ScalarKind.Null }
            ? $"This is empty; {needed} is needed" : $"This is {node.Described}; {needed} is needed";
        findings.Add(Code.WrongType, node, $"{instead}, as '{example}'.");
    }

    /// <summary>Text, or a number as it was written: <c>name: 2024</c> is a name.</summary>
    public static string? Text(this Findings findings, Node? node, string example)
    {
        if (node is ScalarNode { Kind: ScalarKind.Text or ScalarKind.Number } scalar) return scalar.Text;
        if (node is not null) findings.WrongType(node, "a single value", example);
        return null;
    }

    /// <summary>The items of a list, or nothing when it is left out or no list.</summary>
    public static IReadOnlyList<Node>? Items(this Findings findings, Node? node, string example)
    {
        if (node is ListNode list) return list.Items;
        if (node is not null) findings.WrongType(node, "a list", example);
        return null;
    }

    /// <summary>A whole number between two bounds, in digits.</summary>
    public static int? Whole(this Findings findings, Node? node, int least, int most)
    {
        if (findings.Text(node, $"{most}") is not { } text) return null;
        if (text.Length is > 0 and < 10 && text.All(char.IsAsciiDigit)
            && int.Parse(text, CultureInfo.InvariantCulture) is var n && n >= least && n <= most)
            return n;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a whole number from {least} to {most}.");
        return null;
    }

    /// <summary>One of a few words.</summary>
    public static string? Choice(this Findings findings, Node? node, params string[] words)
    {
        var text = findings.Text(node, words[0]);
        if (text is null || words.Contains(text)) return text;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not known here.{findings.DidYouMean(text, words)} " +
            $"Known {(words.Length == 1 ? "is" : "are")}: {string.Join(", ", words)}.");
        return null;
    }

    /// <summary>The name of a meter that the document may name.</summary>
    public static string? Meter(this Findings findings, Node? node)
    {
        if (findings.Text(node, Catalog.Meter.CallsName) is not { } meter) return null;
        var known = findings.Meters;
        if (known is null ? Names.IsName(meter) : known.Contains(meter)) return meter;
        known ??= [Catalog.Meter.CallsName];
        findings.Add(Code.UnknownMeter, node!, $"There is no meter {Quote.Of(meter)}.{findings.DidYouMean(meter, known)} " +
            $"Known {(known.Count == 1 ? "is" : "are")}: {Names.List(known)}. Others are declared under 'meters'.");
        return null;
    }

    /// <summary>A decimal of zero or more, below 10^12, with at most 12 digits after the point.</summary>
    public static decimal? Amount(this Findings findings, Node? node, string example)
    {
        if (findings.Text(node, example) is not { } text) return null;
        if (!TryPlain(text, IsNumber(node!), out var whole, out var fraction))
            findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not an amount: a decimal of zero or more is " +
                $"needed, without sign or grouping, as '{example}'.");
        else if (whole.Length > 12)
            findings.Add(Code.BadValue, node!,
                $"{Quote.Of(text)} is too large: an amount is below 1000000000000 (10^12).");
        else if (fraction.Length > MaxFraction)
            findings.Add(Code.TooManyDigits, node!,
                $"{Quote.Of(text)} is too fine: an amount has at most {MaxFraction} digits after the point.");
        else
            return Number(whole, fraction);
        return null;
    }

    /// <summary>Units: zero or more, below 10^19, with at most 9 digits after the point, as a meter counts them. Digits
    /// may be grouped by single underscores.</summary>
    public static decimal? Quantity(this Findings findings, Node? node, string example)
    {
        if (findings.Text(node, example) is not { } text) return null;
        if (!TryPlain(Ungrouped(text), IsNumber(node!), out var whole, out var fraction))
            findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a quantity: a decimal of zero or more is " +
                $"needed, without sign, as '{example}'.");
        else if (whole.Length > MaxWholeUnits)
            findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is too large: a quantity is below 10^{MaxWholeUnits}.");
        else if (fraction.Length > MaxUnitFraction)
            findings.Add(Code.TooManyDigits, node!, $"{Quote.Of(text)} is too fine: a quantity has at most " +
                $"{MaxUnitFraction} digits after the point.");
        else
            return Number(whole, fraction);
        return null;
    }

    public static bool? Flag(this Findings findings, Node? node)
    {
        if (node is null) return null;
        if (node is ScalarNode { Kind: ScalarKind.Boolean } scalar) return scalar.Text is "true" or "True" or "TRUE";
        findings.WrongType(node, "true or false", "true");
        return null;
    }

    /// <summary>A count from 1 to 10^12; digits may be grouped by single underscores.</summary>
    public static long? ParseCount(ReadOnlySpan<char> text)
    {
        long count = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '_' && i > 0 && i + 1 < text.Length && text[i - 1] != '_') continue;
            if (!char.IsAsciiDigit(text[i])) return null;
            count = count * 10 + (text[i] - '0');
            if (count > Limit.MaxCount) return null;
        }

        return count > 0 ? count : null;
    }

    /// <summary>Whether YAML takes a plain scalar for a number.</summary>
    public static bool LooksLikeNumber(string text)
    {
        var digits = text.AsSpan(text[0] is '-' or '+' ? 1 : 0);
        return digits.Length > 0 && char.IsAsciiDigit(digits[0])
            && digits.IndexOfAnyExcept(s_ofNumbers) < 0;
    }

    private static bool IsNumber(Node node) => node is ScalarNode { Kind: ScalarKind.Number };

    private static decimal Number(string whole, string fraction) =>
        decimal.Parse($"0{whole}.{fraction}0", NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);

    /// <summary>Takes a decimal apart, digit by digit, without zeros at either end. Programs write small numbers of JSON
    /// with an exponent; people do not, so a text has none.</summary>
    private static bool TryPlain(string text, bool mayHaveExponent, out string whole, out string fraction)
    {
        (whole, fraction) = ("", "");
        var shift = 0;
        var e = mayHaveExponent ? text.IndexOfAny(['e', 'E']) : -1;
        if (e >= 0)
        {
            var style = NumberStyles.AllowLeadingSign;
            if (!int.TryParse(text.AsSpan(e + 1), style, CultureInfo.InvariantCulture, out shift)
                || Math.Abs(shift) > MaxExponent)
                return false;
            text = text[..e];
        }

        var point = text.IndexOf('.');
        var (left, right) = point < 0 ? (text, "0") : (text[..point], text[(point + 1)..]);
        if (left.Length == 0 || right.Length == 0 || !left.All(char.IsAsciiDigit) || !right.All(char.IsAsciiDigit))
            return false;
        if (shift > 0)
        {
            right = right.PadRight(shift, '0');
            (left, right) = (left + right[..shift], right[shift..]);
        }
        else if (shift < 0)
        {
            left = left.PadLeft(-shift, '0');
            (left, right) = (left[..^-shift], left[^-shift..] + right);
        }

        (whole, fraction) = (left.TrimStart('0'), right.TrimEnd('0'));
        return true;
    }

    /// <summary>Without single underscores between digits; any other one stays, and is then found.</summary>
    private static string Ungrouped(string text)
    {
        if (!text.Contains('_', StringComparison.Ordinal)) return text;
        var plain = new System.Text.StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            var between = text[i] == '_' && i > 0 && i + 1 < text.Length
                && char.IsAsciiDigit(text[i - 1]) && char.IsAsciiDigit(text[i + 1]);
            if (!between) plain.Append(text[i]);
        }

        return plain.ToString();
    }
}
