using System.Text.RegularExpressions;

namespace Tollgate.Config;

/// <summary>The hosts under which operations are found: <c>api.example.com</c>, or <c>*.example.com</c> for all below it.
/// </summary>
public static partial class HostPattern
{
    /// <summary>What is wrong with it, or null.</summary>
    public static string? WrongWith(string text)
    {
        var name = text.StartsWith("*.", StringComparison.Ordinal) ? text[2..] : text;
        return text.Length <= 253 && Name().IsMatch(name) ? null
            : $"'{(text.Length > 64 ? text[..64] + "…" : text)}' is not a host: a name or an address without scheme, port and path, " +
            "as 'api.example.com' or '*.example.com'; of others than ASCII the form with 'xn--'";
    }

    /// <summary>As it is compared: small letters, without the dot of the root.</summary>
    public static string Normal(string host) => host.TrimEnd('.').ToLowerInvariant();

    public static bool IsWildcard(string pattern) => pattern.StartsWith('*');

    [GeneratedRegex(@"\A([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?\z")]
    private static partial Regex Name();
}
