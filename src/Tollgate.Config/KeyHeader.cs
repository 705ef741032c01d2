namespace Tollgate.Config;

/// <summary>
/// Which headers may carry a key. What carries a key is taken out of the request before it is forwarded, so a header
/// that the message, the upstream or the gate needs cannot be one.
/// </summary>
public static class KeyHeader
{
    private static readonly (string[] Names, string Why)[] s_refused =
    [
        (["Content-*", "Transfer-Encoding", "TE", "Trailer", "Expect"], "it says how the body is sent"),
        (["Connection", "Upgrade", "Keep-Alive", "Proxy-*"], "it is about one connection, not about the call"),
        (["Host"], "it says where the call goes"),
        (["Cookie"], "it carries more than a key, and the upstream would lose the rest"),
        (["Authorization"], "its value begins with the name of a scheme; send the bare key in a header of its own"),
        (["X-Request-Id", "X-Consumer-*", "X-Forwarded-*"], "the gate writes it"),
    ];

    /// <summary>What is wrong with a header name, or null.</summary>
    public static string? FaultOf(string name)
    {
        if (name.Length > 128 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
            return "expected the name of a header: letters, digits, '-' and '_'";
        foreach (var (names, why) in s_refused)
            if (names.Any(n => Matches(n, name))) return $"'{name}' cannot carry a key: {why}";
        return null;
    }

    private static bool Matches(string pattern, string name) => pattern.EndsWith('*')
        ? name.StartsWith(pattern[..^1], StringComparison.OrdinalIgnoreCase)
        : name.Equals(pattern, StringComparison.OrdinalIgnoreCase);
}
