using System.Buffers;
using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Tollgate.Metering;

/// <summary>What JSON can carry and a text cannot: half of a surrogate pair, as <c>"\ud800"</c>.</summary>
public static class Utf16Texts
{
    /// <summary>Whether well-formed JSON has one.</summary>
    public static bool HasHalf(ReadOnlySpan<byte> json)
    {
        while (json.IndexOf((byte)'\\') is >= 0 and var at)
        {
            if (json[at + 1] != 'u')
            {
                json = json[(at + 2)..];
                continue;
            }

            var unit = Unit(json[at..]);
            json = json[(at + 6)..];
            if (unit is < 0xD800 or > 0xDFFF) continue;
            if (unit >= 0xDC00 || json is not [(byte)'\\', (byte)'u', ..] || Unit(json) is < 0xDC00 or > 0xDFFF) return true;
            json = json[6..];
        }

        return false;
    }

    /// <summary>The field of an object whose value has one; null when a name has it.</summary>
    public static string? FieldWithHalf(JsonElement item)
    {
        if (item.ValueKind != JsonValueKind.Object) return null;
        foreach (var field in item.EnumerateObject())
        {
            if (!HasHalf(JsonMarshal.GetRawUtf8Value(field.Value))) continue;
            try
            {
                return field.Name;
            }
            catch (InvalidOperationException)
            {
                return null;
            }
        }

        return null;
    }

    /// <summary>Where bytes are no UTF-8 any more.</summary>
    public static int FirstInvalid(ReadOnlySpan<byte> text)
    {
        var at = 0;
        while (at < text.Length && Rune.DecodeFromUtf8(text[at..], out _, out var length) == OperationStatus.Done) at += length;
        return at;
    }

    /// <summary>Which of these fields an object has twice: readers differ on which of them counts.</summary>
    public static string? Twice(JsonElement item, params ReadOnlySpan<string> names)
    {
        if (item.ValueKind != JsonValueKind.Object) return null;
        var seen = 0;
        foreach (var field in item.EnumerateObject())
            for (var i = 0; i < names.Length; i++)
            {
                if (!field.NameEquals(names[i])) continue;
                if ((seen & (1 << i)) != 0) return names[i];
                seen |= 1 << i;
            }

        return null;
    }

    private static int Unit(ReadOnlySpan<byte> escape) =>
        Utf8Parser.TryParse(escape.Slice(2, 4), out int unit, out _, 'x') ? unit : 0;
}
