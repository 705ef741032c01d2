using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Tollgate.Gateway;

/// <summary>What a caller says it is, as it was sent.</summary>
/// <param name="text">The key or the token.</param>
/// <param name="isToken">A JSON Web Token: a bearer that is no key of ours, at an API that takes tokens.</param>
internal readonly ref struct Presented(ReadOnlySpan<char> text, bool isToken)
{
    public ReadOnlySpan<char> Text { get; } = text;

    public bool IsToken { get; } = isToken;
}

/// <summary>Finds the caller's key in a request.</summary>
internal static class CallerKey
{
    private const string Bearer = "Bearer";

    /// <summary>The one key that the request carries. The same key in two places is one key; different ones are
    /// refused, since two parties could pick differently.</summary>
    /// <returns><see cref="Verdict.Admit"/>, <see cref="Verdict.KeyMissing"/> or <see cref="Verdict.KeyDuplicate"/>.
    /// </returns>
    public static Verdict Find(IHeaderDictionary headers, ReadOnlySpan<char> query, CompiledApi api, out Presented key)
    {
        if (api.Bearers is { } rules) return TokenPlaces.Find(headers, query, rules, out key);
        string? found = null;
        var (offset, isToken) = (0, false);
        key = default;
        foreach (var name in api.KeyHeaders)
        {
            foreach (var value in headers[name])
            {
                if (string.IsNullOrEmpty(value)) continue;
                if (found is not null && !string.Equals(found, value, StringComparison.Ordinal))
                    return Verdict.KeyDuplicate;
                found = value;
            }
        }

        foreach (var value in headers.Authorization)
        {
            if (!IsOurs(value, api.TakesTokens)) continue;
            var bearer = value.AsSpan(Bearer.Length).Trim();
            if (found is not null && !bearer.SequenceEqual(found.AsSpan(offset))) return Verdict.KeyDuplicate;
            if (found is null) (found, offset) = (value!.TrimEnd(), value!.TrimEnd().Length - bearer.Length);
            isToken = !IsOurs(value, tokensToo: false);
        }

        if (!query.IsEmpty)
        {
            foreach (var parameter in api.KeyQueries)
                if (!QueryKey.Find(query, parameter, ref found, ref offset)) return Verdict.KeyDuplicate;
        }

        if (found is null) return Verdict.KeyMissing;
        key = new Presented(found.AsSpan(offset), isToken);
        return Verdict.Admit;
    }

    /// <summary>Other bearer tokens are the upstream's business and pass through (wire.md, "The caller").</summary>
    /// <param name="authorization">The header.</param>
    /// <param name="tokensToo">The API takes tokens: then every bearer is for the gate.</param>
    public static bool IsOurs(string? authorization, bool tokensToo)
    {
        if (authorization is null || !authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)) return false;
        var rest = authorization.AsSpan(Bearer.Length);
        return rest.TrimStart().StartsWith("tg_", StringComparison.Ordinal)
            || (tokensToo && (rest.IsEmpty || rest[0] is ' ' or '\t') && !rest.IsWhiteSpace());
    }

    public static bool AnyOurs(StringValues authorization, CompiledApi api)
    {
        foreach (var value in authorization)
            if (IsOurs(value, api.TakesTokens)) return true;
        return false;
    }
}
