using System.Text;
using Microsoft.AspNetCore.Http;
using Tollgate.Gateway.Routing;

namespace Tollgate.Gateway;

/// <summary>A key in the query, for APIs that ask for it. It is found, and taken out, however its name is escaped.</summary>
internal static class QueryKey
{
    /// <summary>Looks for a parameter.</summary>
    /// <param name="query">With its question mark.</param>
    /// <param name="name">Of the parameter.</param>
    /// <param name="found">What was found elsewhere, or gets what is found here.</param>
    /// <param name="offset">Where in it the key begins.</param>
    /// <returns>False: there are different ones.</returns>
    public static bool Find(ReadOnlySpan<char> query, string name, ref string? found, ref int offset)
    {
        foreach (var range in query[1..].Split('&'))
        {
            var (its, value) = Split(query[1..][range]);
            if (!IsNamed(its, name) || value.IsEmpty) continue;
            var key = Uri.UnescapeDataString(value.ToString());
            if (found is not null && !key.AsSpan().SequenceEqual(found.AsSpan(offset))) return false;
            if (found is null) (found, offset) = (key, 0);
        }

        return true;
    }

    /// <summary>Takes every parameter that any API reads a key from out of what is forwarded.</summary>
    public static void Strip(HttpRequest request, GateCall call, string[] names)
    {
        var query = call.Target.Query;
        var kept = new StringBuilder(query.Length);
        var gone = false;
        foreach (var range in query[1..].Split('&'))
        {
            var parameter = query[1..][range];
            if (Array.Exists(names, new Named(Split(parameter).Name.ToString()).Is))
            {
                gone = true;
                continue;
            }

            kept.Append(kept.Length == 0 ? '?' : '&').Append(parameter);
        }

        if (!gone) return;
        call.Target = new CanonicalTarget(string.Concat(call.Target.Path, kept.ToString()), call.Target.Path.Length);
        request.QueryString = new QueryString(kept.ToString());
    }

    private static Parameter Split(ReadOnlySpan<char> parameter)
    {
        var equals = parameter.IndexOf('=');
        return equals < 0 ? new(parameter, default) : new(parameter[..equals], parameter[(equals + 1)..]);
    }

    private static bool IsNamed(ReadOnlySpan<char> its, string name) =>
        its.SequenceEqual(name) || (its.Contains('%') && Uri.UnescapeDataString(its.ToString()) == name);

    private readonly record struct Named(string Text)
    {
        public bool Is(string name) => IsNamed(Text, name);
    }

    private readonly ref struct Parameter(ReadOnlySpan<char> name, ReadOnlySpan<char> value)
    {
        public ReadOnlySpan<char> Name { get; } = name;

        public ReadOnlySpan<char> Value { get; } = value;

        public void Deconstruct(out ReadOnlySpan<char> name, out ReadOnlySpan<char> value)
        {
            name = Name;
            value = Value;
        }
    }
}
