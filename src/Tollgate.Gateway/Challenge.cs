using Microsoft.Extensions.Primitives;

namespace Tollgate.Gateway;

/// <summary>What a 401 asks for: a key, and where the API takes them a bearer token (RFC 6750 3).</summary>
internal static class Challenge
{
    private static readonly StringValues s_key = "Key";

    public static StringValues Of(GateCall call)
    {
        if (call.Operation is not { Api: { TakesTokens: true } api }) return s_key;
        // without any credential the scheme is named and no error (RFC 6750 3.1)
        return new StringValues([call.Decision.Verdict switch
        {
            Verdict.KeyMissing => $"Bearer realm=\"{api.Realm}\"",
            Verdict.KeyExpired => $"Bearer realm=\"{api.Realm}\", error=\"invalid_token\", error_description=\"The token has expired\"",
            Verdict.KeyDuplicate => $"Bearer realm=\"{api.Realm}\", error=\"invalid_request\", " +
                "error_description=\"More than one credential\"",
            _ => $"Bearer realm=\"{api.Realm}\", error=\"invalid_token\"",
        }, "Key"]);
    }
}
