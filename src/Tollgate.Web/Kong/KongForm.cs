using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Tollgate.Web.Kong;

/// <summary>
/// Kong's way to write records in a form: <c>config.minute=5</c>, <c>service[name]=x</c>, <c>paths[]=/a</c>,
/// <c>paths[1]=/a</c>, and repeated keys for lists. Every value is a text; the fields know what it should be.
/// </summary>
internal sealed class KongForm
{
    /// <summary>How deep names and JSON may nest.</summary>
    public const int MaxDepth = 16;

    /// <summary>How many values a body may hold.</summary>
    public const int MaxFields = 10_000;

    private readonly Entry _root = new();

    /// <summary>Reads a body; what is no form throws.</summary>
    /// <exception cref="FormatException">The message is for the caller.</exception>
    public static JsonObject Read(ReadOnlySpan<byte> body)
    {
        var form = new KongForm();
        var count = 0;
        foreach (var range in body.Split((byte)'&'))
        {
            var pair = body[range];
            if (pair.IsEmpty) continue;
            if (++count > MaxFields) throw new FormatException($"a request has at most {MaxFields} fields");
            var equals = pair.IndexOf((byte)'=');
            var value = equals < 0 ? "" : Decode(pair[(equals + 1)..]);
            form.Add(Decode(equals < 0 ? pair : pair[..equals]), value);
        }

        return form._root.ToRecord();
    }

    private void Add(string key, string value)
    {
        var (names, index) = Parts(key);
        var entry = _root;
        foreach (var name in names)
        {
            if (!entry.Fields.TryGetValue(name, out var next)) entry.Fields.Add(name, next = new Entry());
            entry = next;
        }

        entry.Values.Add((index, value));
    }

    /// <summary>The names on the way, and the place in a list: 0 for <c>[]</c>, null where it is no list.</summary>
    private static (List<string> Names, int? Index) Parts(string key)
    {
        var names = new List<string>();
        int? index = null;
        var rest = key.AsSpan();
        while (!rest.IsEmpty)
        {
            if (index is not null) throw Bad(key, "a list holds plain values");
            var bracket = rest[0] == '[';
            if (bracket || names.Count > 0 && rest[0] == '.') rest = rest[1..];
            var end = bracket ? rest.IndexOf(']') : rest.IndexOfAny('.', '[');
            if (bracket && end < 0) throw Bad(key, "a bracket is not closed");
            if (end < 0) end = rest.Length;
            var part = rest[..end];
            rest = rest[Math.Min(rest.Length, bracket ? end + 1 : end)..];
            if (bracket && (part.IsEmpty || char.IsAsciiDigit(part[0]))) index = IndexOf(part, key);
            else if (part.IsEmpty) throw Bad(key, "a name is empty");
            else names.Add(part.ToString());
            if (names.Count > MaxDepth) throw Bad(key, $"names nest at most {MaxDepth} deep");
        }

        return names.Count > 0 ? (names, index) : throw Bad(key, "a name is empty");
    }

    private static int IndexOf(ReadOnlySpan<char> text, string key)
    {
        if (text.IsEmpty) return 0;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var index)
            && index is >= 0 and <= MaxFields ? index : throw Bad(key, $"a place in a list is 1 to {MaxFields}");
    }

    private static FormatException Bad(string key, string why) =>
        new($"cannot read the field '{KongText.Shown(key)}': {why}");

    private static string Decode(ReadOnlySpan<byte> text)
    {
        var bytes = new byte[text.Length];
        var length = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '%')
            {
                if (i + 2 >= text.Length
                    || Convert.FromHexString(text.Slice(i + 1, 2), bytes.AsSpan(length), out _, out _)
                        != OperationStatus.Done)
                    throw new FormatException("cannot read the form: a '%' is followed by two hex digits");
                length++;
                i += 2;
            }
            else
            {
                bytes[length++] = text[i] == '+' ? (byte)' ' : text[i];
            }
        }

        try
        {
            return KongText.Utf8.GetString(bytes, 0, length);
        }
        catch (DecoderFallbackException)
        {
            throw new FormatException("cannot read the form: it is not UTF-8");
        }
    }

    /// <summary>What stands under one name: values, or more names; both at once is a contradiction.</summary>
    private sealed class Entry
    {
        public Dictionary<string, Entry> Fields { get; } = new(StringComparer.Ordinal);

        public List<(int? Index, string Value)> Values { get; } = [];

        public JsonObject ToRecord() => new(Fields.Select(f => KeyValuePair.Create(f.Key, f.Value.ToNode(f.Key))));

        private JsonNode? ToNode(string name)
        {
            if (Values.Count == 0) return ToRecord();
            if (Fields.Count > 0) throw Bad(name, "it has a value and fields at once");
            if (Values is [(null, var single)]) return JsonValue.Create(single);
            return new JsonArray([.. Values.OrderBy(v => v.Index is null or 0 ? int.MaxValue : v.Index)
                .Select(v => JsonValue.Create(v.Value))]);
        }
    }
}

/// <summary>How texts of callers are read and shown again.</summary>
internal static class KongText
{
    public static UTF8Encoding Utf8 { get; } = new(false, throwOnInvalidBytes: true);

    /// <summary>A text of a caller inside a message: short, and on one line.</summary>
    public static string Shown(string text)
    {
        const int most = 64;
        var cut = text.Length > most ? text[..most] + "…" : text;
        return string.Concat(cut.Select(c => IsPlain(c) || c == '…' ? c : '?'));
    }

    /// <summary>No control character, and nothing that turns the direction or the line of a text.</summary>
    public static bool IsPrintable(string text) => text.EnumerateRunes().All(r => Rune.GetUnicodeCategory(r) is not
        (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.OtherNotAssigned))
        && !text.Contains('\uFFFD');

    /// <summary>Kong's rule for names, in ASCII.</summary>
    public static bool IsName(string text) =>
        text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or '~');

    /// <summary>A method as RFC 9110 lets it be, in capitals.</summary>
    public static bool IsMethod(string text) => text.Length is > 0 and <= 32 && text.All(char.IsAsciiLetterUpper);

    private static bool IsPlain(char c) => !char.IsControl(c) && !char.IsSurrogate(c)
        && char.GetUnicodeCategory(c) is not (UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator);
}
