using System.Globalization;
using System.Text;

namespace Tollgate.Catalog;

/// <summary>A step into a JSON value: a member of an object by its name, or an item of an array.</summary>
/// <param name="Name">Null for an item.</param>
/// <param name="Index">From 0; for items alone.</param>
public readonly record struct JsonStep(string? Name, int Index)
{
    /// <summary>The name as it stands in a text without escapes.</summary>
    public byte[] Utf8 { get; } = Name is null ? [] : Encoding.UTF8.GetBytes(Name);
}

/// <summary>
/// The path of one value in a JSON text, in the part of JSONPath (RFC 9535) that names exactly one place:
/// <c>$.usage.total_tokens</c>, <c>$.items[0].id</c>, <c>$['a name']</c>. No wildcards, filters or slices.
/// </summary>
public sealed class JsonPath
{
    public const int MaxSteps = 16, MaxLength = 256;

    public const string Example = "$.usage.total_tokens";

    private JsonPath(string text, JsonStep[] steps) => (Text, Steps) = (text, steps);

    /// <summary>As it was written.</summary>
    public string Text { get; }

    /// <summary>From the outermost inwards; none for <c>$</c>, the value itself.</summary>
    public IReadOnlyList<JsonStep> Steps { get; }

    public override string ToString() => Text;

    /// <summary>Reads a path, or says what is wrong with it.</summary>
    public static (JsonPath? Path, string? Wrong) Parse(string text)
    {
        if (text.Length is 0 or > MaxLength || text[0] != '$')
            return (null, $"a path begins with '$' and has at most {MaxLength} characters");
        var steps = new List<JsonStep>();
        var at = 1;
        while (at < text.Length)
        {
            if (Step(text, ref at) is not { } step)
                return (null, $"a step is '.name', '[0]' or \"['name']\"; wildcards, filters and slices are not read");
            steps.Add(step);
        }

        return steps.Count > MaxSteps
            ? (null, $"a path has at most {MaxSteps} steps") : (new JsonPath(text, [.. steps]), null);
    }

    private static JsonStep? Step(string text, ref int at)
    {
        if (text[at] == '.')
        {
            var end = at + 1;
            while (end < text.Length && text[end] is not ('.' or '[')) end++;
            var name = text[(at + 1)..end];
            at = end;
            return name.Length > 0 && name.All(c => char.IsLetterOrDigit(c) || c is '_' or '-') ? new JsonStep(name, 0) : null;
        }

        var close = text.IndexOf(']', at);
        if (text[at] != '[' || close < 0) return null;
        var inner = text[(at + 1)..close];
        at = close + 1;
        if (inner.Length >= 3 && inner[0] is '\'' or '"' && inner[^1] == inner[0])
            return inner[1..^1].IndexOfAny(['\'', '"', '\\']) < 0 ? new JsonStep(inner[1..^1], 0) : null;
        return int.TryParse(inner, NumberStyles.None, CultureInfo.InvariantCulture, out var index)
            ? new JsonStep(null, index) : null;
    }
}
