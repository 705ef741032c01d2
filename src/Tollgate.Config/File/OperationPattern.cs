using System.Text.RegularExpressions;

namespace Tollgate.Config.File;

/// <summary>The method and path template of an operation, as <c>GET /v1/quotes/{symbol}</c>.</summary>
/// <param name="Method">Null: any.</param>
internal sealed partial record OperationPattern(string? Method, string Template)
{
    public const string Example = "GET /v1/quotes/{symbol}";

    private const int LongestPath = 2_048;

    /// <summary>As many as the gate's matcher takes.</summary>
    private const int MostSegments = 64;

    /// <summary>What the store keeps.</summary>
    public override string ToString() => Method is null ? Template : $"{Method} {Template}";

    /// <summary>Two operations of one shape could never be told apart: the names of parameters are nothing to a path.
    /// </summary>
    public string Shape => $"{Method} {Parameter().Replace(Template, "{}")}";

    /// <summary>Reads a pattern, or says what is wrong with it.</summary>
    public static (OperationPattern? Pattern, string? Wrong) Parse(string text)
    {
        var parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length is 0 or > 2)
            return (null, $"{Quote.Of(text)} is not an operation: a method and a path are needed, as '{Example}', " +
                "or a path alone for any method.");
        var method = parts.Length == 2 ? parts[0] : null;
        if (method is not null && WrongWithMethod(method) is { } wrong) return (null, wrong);
        var path = parts[^1];
        return WrongWithPath(path) is { } why
            ? (null, $"{Quote.Of(path)} is not a path template: {why}.")
            : (new OperationPattern(method, path), null);
    }

    /// <summary>A token of RFC 9110 without small letters; methods are case-sensitive, so 'get' would match nothing.
    /// </summary>
    private static string? WrongWithMethod(string method)
    {
        if (method == "CONNECT") return "CONNECT asks for a tunnel and never for an operation: a WebSocket is a GET, as 'GET /live'.";
        const string signs = "!#$%&'*+-.^_`|~";
        if (method.All(c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || signs.Contains(c))) return null;
        return method.All(c => char.IsAsciiLetterOrDigit(c) || signs.Contains(c))
            ? $"{Quote.Of(method)} is not a method: methods are in capitals, as {Quote.Of(method.ToUpperInvariant())}."
            : $"{Quote.Of(method)} is not a method: known are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS.";
    }

    private static string? WrongWithPath(string path)
    {
        if (path[0] != '/') return "it must begin with '/'";
        if (path.Length > LongestPath) return $"it is longer than {LongestPath} characters";
        var names = new HashSet<string>(StringComparer.Ordinal);
        var segments = path[1..].Split('/');
        if (segments.Length > MostSegments) return $"it has {segments.Length} segments; {MostSegments} are the most";
        for (var i = 0; i < segments.Length; i++)
        {
            // an empty last one is a slash at the end, which is a path of its own
            if (segments[i].Length == 0 && i < segments.Length - 1) return "it holds '//', which no request keeps";
            if (WrongWithSegment(segments[i], names) is { } wrong) return wrong;
        }

        return null;
    }

    private static string? WrongWithSegment(string segment, HashSet<string> names)
    {
        if (segment is "." or "..") return "'.' and '..' are resolved before a path is matched";
        if (segment is ['{', .. var name, '}'] && name.IndexOfAny(['{', '}']) < 0)
        {
            if (!Names.IsName(name)) return $"{Quote.Of(name)} cannot be the name of a parameter";
            return names.Add(name) ? null : $"the parameter '{name}' stands in it twice";
        }

        foreach (var c in segment)
        {
            if (c is '{' or '}') return "a parameter is a whole segment between slashes, as '/{id}/'";
            if (c is '*') return "there are no wildcards; a parameter as '{id}' stands for one segment";
            if (!char.IsAsciiLetterOrDigit(c) && !"-._~!$&'()+,=:@".Contains(c))
                return $"it holds {Quote.Of(c.ToString())}; allowed are letters, digits and -._~!$&'()+,=:@";
        }

        return null;
    }

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Parameter();
}
