namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// Headers of a caller that never reach an upstream: those that only the gate may say (who calls, from where), and
/// those by which some frameworks read another path or method than the one that was gated. Compared without letter
/// case, and with <c>_</c> as <c>-</c>: servers that hand headers on as variables cannot tell the two apart.
/// </summary>
internal static class Withheld
{
    private static readonly string[] s_prefixes =
        ["x-consumer-", "x-credential-", "x-forwarded", "x-authenticated-", "x-anonymous-"];

    private static readonly string[] s_names =
    [
        "forwarded", "x-request-id", "x-original-url", "x-rewrite-url", "x-original-uri", "x-http-method-override",
        "x-http-method", "x-method-override", "x-real-ip", "x-client-ip", "true-client-ip",
        // what comes behind a body does not go on
        "trailer",
    ];

    public static bool Contains(string header)
    {
        // nearly all headers end here: only these letters begin one of ours
        if ((header[0] | 0x20) is not ('x' or 'f' or 't')) return false;
        foreach (var prefix in s_prefixes)
            if (header.Length >= prefix.Length && Same(header.AsSpan(0, prefix.Length), prefix)) return true;
        foreach (var name in s_names)
            if (header.Length == name.Length && Same(header, name)) return true;
        return false;
    }

    private static bool Same(ReadOnlySpan<char> header, string lower)
    {
        for (var i = 0; i < lower.Length; i++)
        {
            var c = header[i] == '_' ? '-' : char.ToLowerInvariant(header[i]);
            if (c != lower[i]) return false;
        }

        return true;
    }
}
