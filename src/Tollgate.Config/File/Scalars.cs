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

    /// <summary>One of a few words.</summary>
    public static string? Choice(this Findings findings, Node? node, params string[] words)
    {
        var text = findings.Text(node, words[0]);
        if (text is null || words.Contains(text)) return text;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not known here.{findings.DidYouMean(text, words)} " +
            $"Known {(words.Length == 1 ? "is" : "are")}: {string.Join(", ", words)}.");
        return null;
    }

    /// <summary>A decimal of zero or more, below 10^12, with at most 12 digits after the point.</summary>
    public static decimal? Amount(this Findings findings, Node? node, string example)
    {
        if (findings.Text(node, example) is not { } text) return null;
        var said = $"{Quote.Of(text)} is not an amount: a decimal is needed, without sign, exponent or grouping, " +
            $"as '{example}'.";
        if (IsDecimal(text))
        {
            var point = text.IndexOf('.');
            var whole = (point < 0 ? text : text[..point]).TrimStart('0');
            var fraction = point < 0 ? "" : text[(point + 1)..].TrimEnd('0');
            if (whole.Length <= 12 && fraction.Length <= MaxFraction)
            {
                return decimal.Parse(
                    $"0{whole}.{fraction}0", NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);
            }

            said = whole.Length > 12
                ? $"{Quote.Of(text)} is too large: an amount is below 1000000000000 (10^12)."
                : $"{Quote.Of(text)} is too fine: an amount has at most {MaxFraction} digits after the point.";
        }

        findings.Add(Code.BadValue, node!, said);
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

    private static bool IsDecimal(string text)
    {
        var point = text.IndexOf('.');
        var whole = point < 0 ? text : text[..point];
        var fraction = point < 0 ? "0" : text[(point + 1)..];
        return whole.Length > 0 && fraction.Length > 0
            && whole.All(char.IsAsciiDigit) && fraction.All(char.IsAsciiDigit);
    }
}
