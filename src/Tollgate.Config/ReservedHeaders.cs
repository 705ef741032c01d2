namespace Tollgate.Config;

/// <summary>Headers that no configuration may write, add or take off: what they say is the gate's word, the message's own
/// framing, or one connection's.</summary>
public static class ReservedHeaders
{
    private static readonly (string[] Names, string Why)[] s_both =
    [
        (["Content-Length", "Transfer-Encoding", "TE", "Trailer", "Expect"], "it says how the body is sent"),
        (["Connection", "Upgrade", "Keep-Alive", "Proxy-*", "HTTP2-Settings", "Alt-Svc"], "it is about one connection"),
        (["X-Request-Id"], "it is the identity of the call in the ledger"),
    ];

    private static readonly (string[] Names, string Why)[] s_request =
    [
        (["Host"], "it says where the call goes; see preserve_host"),
        (["X-Consumer-*", "X-Credential-*", "X-Anonymous-*", "X-Authenticated-*"], "only the gate says who calls"),
        (["X-Forwarded*", "Forwarded", "X-Real-IP"], "only the gate says from where"),
        (["X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-HTTP-Method*", "X-Method-Override"],
            "frameworks read another path or method from it than was gated"),
    ];

    private static readonly (string[] Names, string Why)[] s_answer =
    [
        (["X-RateLimit-*", "RateLimit", "RateLimit-*", "Retry-After"], "it tells the caller's limits"),
        (["WWW-Authenticate"], "it tells how to authenticate"),
        (["Access-Control-*"], "it is written by cors"),
    ];

    /// <summary>Why a header may not be changed, or null.</summary>
    public static string? WhyNot(string name, bool ofRequest)
    {
        // servers that hand headers on as variables cannot tell '_' from '-'
        var plain = name.Replace('_', '-');
        foreach (var (names, why) in s_both.Concat(ofRequest ? s_request : s_answer))
            if (names.Any(n => Matches(n, plain))) return why;
        return null;
    }

    public static bool IsName(string name) => name.Length is > 0 and <= 64
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    private static bool Matches(string pattern, string name) => pattern.EndsWith('*')
        ? name.StartsWith(pattern[..^1], StringComparison.OrdinalIgnoreCase)
        : name.Equals(pattern, StringComparison.OrdinalIgnoreCase);
}
