using System.Buffers;

namespace Tollgate.Web.Kong;

/// <summary>
/// Which paths a route or a gate may name: those that a request in canonical form can have. What could never match,
/// or could be read in two ways, is refused when it is written and not when somebody calls.
/// </summary>
internal static class PathRules
{
    /// <summary>The deepest path, in segments.</summary>
    public const int MaxSegments = 64;

    // RFC 3986, 3.3: pchar, without ';', which canonical paths do not have, '*', which reads like a wildcard, and '%':
    // escapes have several spellings
    private static readonly SearchValues<char> s_plain = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/!$&'()+,=:@");

    private static readonly SearchValues<char> s_parameter = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    /// <summary>What is wrong with a path that is taken as it is, or null.</summary>
    public static string? FaultOfPath(string path)
    {
        if (path.StartsWith('~')) return "not supported: regular expressions; write a path that calls begin with";
        if (!path.StartsWith('/')) return "should start with: /";
        if (path.Contains("//", StringComparison.Ordinal)) return "must not have empty segments";
        if (path.Contains('*')) return "not supported: wildcards; a path covers all below it";
        if (path.Contains('%')) return "not supported: escapes";
        if (path.AsSpan().ContainsAnyExcept(s_plain))
            return "only letters, digits and -._~!$&'()+,=:@ stand in a path";
        var segments = path[1..].Split('/');
        if (segments.Length > MaxSegments) return $"a path has at most {MaxSegments} segments";
        return segments.Any(s => s is "." or "..") ? "must not have '.' or '..' as a segment" : null;
    }

    /// <summary>What is wrong with an entry of a gate, <c>/path/{parameter}</c> or <c>METHOD /path</c>, or null.
    /// </summary>
    public static string? FaultOfEntry(string entry)
    {
        var space = entry.IndexOf(' ');
        if (space >= 0 && !KongText.IsMethod(entry[..space]))
            return "before the path stands a method in capitals, and one space";
        var names = new HashSet<string>(StringComparer.Ordinal);
        var segments = entry[(space + 1)..].Split('/');
        for (var i = 0; i < segments.Length; i++)
        {
            var segment = segments[i];
            if (!segment.AsSpan().ContainsAny('{', '}')) continue;
            if (segment.Length < 3 || segment[0] != '{' || segment[^1] != '}'
                || segment.AsSpan(1, segment.Length - 2).ContainsAnyExcept(s_parameter))
                return "a parameter is a whole segment, {name}, of letters, digits, '-' and '_'";
            if (!names.Add(segment)) return $"the parameter {segment} stands twice";
            segments[i] = "x";
        }

        var path = string.Join('/', segments);
        return path.Contains('*') ? "not supported: wildcards; {name} stands for one segment" : FaultOfPath(path);
    }
}
