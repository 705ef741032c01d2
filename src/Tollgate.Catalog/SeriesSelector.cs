using System.Text;
using System.Text.RegularExpressions;

namespace Tollgate.Catalog;

/// <summary>
/// A selector of Prometheus' series, as <c>api_requests_total{job="shop",code!~"5.."}</c>: a name and matchers of labels.
/// A label that a series does not have is an empty one, and expressions match whole values, as at Prometheus.
/// </summary>
public sealed class SeriesSelector
{
    public const int MaxLength = 2_048, MaxMatchers = 32;

    private readonly Matcher[] _matchers;

    private SeriesSelector(string text, string name, Matcher[] matchers) => (Text, Name, _matchers) = (text, name, matchers);

    /// <summary>As it was written.</summary>
    public string Text { get; }

    /// <summary>The name of the metric.</summary>
    public string Name { get; }

    public bool Matches(Func<string, string?> label)
    {
        if (label("__name__") != Name) return false;
        foreach (var matcher in _matchers)
            if (!matcher.Matches(label(matcher.Label) ?? "")) return false;
        return true;
    }

    /// <summary>Reads a selector, or says what is wrong with it.</summary>
    public static (SeriesSelector? Selector, string? Wrong) Parse(string text)
    {
        text = text.Trim();
        if (text.Length is 0 or > MaxLength) return (null, $"a selector has 1 to {MaxLength} characters");
        var at = 0;
        var name = Word(text, ref at, alsoColon: true);
        if (name.Length == 0) return (null, "a selector begins with the name of a metric");
        Skip(text, ref at);
        var matchers = new List<Matcher>();
        if (at < text.Length)
        {
            if (text[at++] != '{') return (null, $"'{text[at - 1]}' stands where only '{{' can: no function");
            if (Matchers(text, ref at, matchers) is { } wrong) return (null, wrong);
            if (at < text.Length) return (null, $"'{text[at..].Trim()}' stands behind its end: no range and no offset");
        }

        return (new SeriesSelector(text, name, [.. matchers]), null);
    }

    private static string? Matchers(string text, ref int at, List<Matcher> into)
    {
        while (true)
        {
            Skip(text, ref at);
            if (at < text.Length && text[at] == '}')
            {
                at++;
                return null;
            }

            var label = Word(text, ref at, alsoColon: false);
            if (label.Length == 0) return "the name of a label is missing in the braces, or '}' is";
            Skip(text, ref at);
            var kind = Operator(text, ref at);
            if (kind.Length == 0) return $"'{label}' is followed by none of = != =~ !~";
            Skip(text, ref at);
            if (!TryText(text, ref at, out var value)) return $"the value of '{label}' is no text in quotes";
            if (into.Count == MaxMatchers) return $"a selector has at most {MaxMatchers} matchers";
            if (Matcher.Of(label, kind, value) is not { } matcher) return $"'{value}' is no regular expression that is read here";
            into.Add(matcher);
            Skip(text, ref at);
            if (at < text.Length && text[at] == ',') at++;
            else if (at >= text.Length || text[at] != '}') return "matchers are separated by ',' and closed by '}'";
        }
    }

    private static void Skip(string text, ref int at)
    {
        while (at < text.Length && text[at] is ' ' or '\t') at++;
    }

    private static string Word(string text, ref int at, bool alsoColon)
    {
        var from = at;
        while (at < text.Length && (char.IsAsciiLetter(text[at]) || text[at] == '_' || (alsoColon && text[at] == ':')
            || (at > from && char.IsAsciiDigit(text[at])))) at++;
        return text[from..at];
    }

    private static string Operator(string text, ref int at)
    {
        foreach (var kind in (ReadOnlySpan<string>)["=~", "!~", "!=", "="])
        {
            if (string.CompareOrdinal(text, at, kind, 0, kind.Length) != 0) continue;
            at += kind.Length;
            return kind;
        }

        return "";
    }

    private static bool TryText(string text, ref int at, out string value)
    {
        value = "";
        if (at >= text.Length || text[at] is not ('"' or '\'')) return false;
        var quote = text[at++];
        var read = new StringBuilder();
        for (; at < text.Length; at++)
        {
            if (text[at] == quote)
            {
                at++;
                value = read.ToString();
                return true;
            }

            if (char.IsControl(text[at])) return false;
            if (text[at] != '\\')
            {
                read.Append(text[at]);
                continue;
            }

            if (++at == text.Length) return false;
            if (text[at] is not ('\\' or '"' or '\'' or 'n' or 't')) return false;
            read.Append(text[at] switch { 'n' => '\n', 't' => '\t', var c => c });
        }

        return false;
    }

    /// <summary>One condition of a label; expressions take time in proportion to the value, whatever it is.</summary>
    private sealed class Matcher(string label, bool wanted, string? text, Regex? expression)
    {
        public string Label => label;

        public bool Matches(string value) => (expression?.IsMatch(value) ?? value == text) == wanted;

        public static Matcher? Of(string label, string kind, string value)
        {
            if (kind is "=" or "!=") return new Matcher(label, kind == "=", value, null);
            try
            {
                return new Matcher(label, kind == "=~", null, new Regex($"\\A(?:{value})\\z",
                    RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.Singleline));
            }
            catch (Exception e) when (e is ArgumentException or NotSupportedException)
            {
                return null;
            }
        }
    }
}
