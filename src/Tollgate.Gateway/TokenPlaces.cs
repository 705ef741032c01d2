using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Tollgate.Config;

namespace Tollgate.Gateway;

/// <summary>Finds the token of a request at an API whose callers sign their own.</summary>
internal static class TokenPlaces
{
    private const string Bearer = "Bearer";

    /// <summary>The one token that the request carries. The same in two places is one; different ones are refused.</summary>
    public static Verdict Find(IHeaderDictionary headers, ReadOnlySpan<char> query, BearerRules rules, out Presented token)
    {
        string? found = null;
        var offset = 0;
        token = default;
        foreach (var name in rules.Headers)
        {
            foreach (var value in headers[name])
            {
                if (BearerOf(value) is not { Length: > 0 } its) continue;
                if (found is not null && found != its) return Verdict.KeyDuplicate;
                found = its;
            }
        }

        foreach (var name in rules.Cookies)
        {
            foreach (var value in headers.Cookie)
            {
                foreach (var range in value.AsSpan().Split(';'))
                {
                    if (ValueOf(value.AsSpan()[range], name) is not { Length: > 0 } its) continue;
                    if (found is not null && found != its) return Verdict.KeyDuplicate;
                    found = its;
                }
            }
        }

        if (!query.IsEmpty)
        {
            foreach (var parameter in rules.Queries)
                if (!QueryKey.Find(query, parameter, ref found, ref offset)) return Verdict.KeyDuplicate;
        }

        if (found is null) return Verdict.KeyMissing;
        token = new Presented(found.AsSpan(offset), isToken: true);
        return Verdict.Admit;
    }

    /// <summary>A <c>Cookie</c> header without cookies that may be tokens; empty when nothing is left.</summary>
    public static StringValues Without(StringValues cookies, string[] names)
    {
        var kept = new List<string>();
        var gone = false;
        foreach (var value in cookies)
        {
            foreach (var cookie in (value ?? "").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            {
                if (Array.Exists(names, n => ValueOf(cookie, n) is not null)) gone = true;
                else kept.Add(cookie);
            }
        }

        return !gone ? cookies : kept.Count == 0 ? StringValues.Empty : string.Join("; ", kept);
    }

    private static string? BearerOf(string? header)
    {
        if (header is null || !header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)) return null;
        var rest = header.AsSpan(Bearer.Length);
        return !rest.IsEmpty && rest[0] is ' ' or '\t' ? rest.Trim().ToString() : null;
    }

    private static string? ValueOf(ReadOnlySpan<char> cookie, string name)
    {
        var equals = cookie.IndexOf('=');
        return equals >= 0 && cookie[..equals].Trim().SequenceEqual(name) ? cookie[(equals + 1)..].Trim().Trim('"').ToString() : null;
    }
}
