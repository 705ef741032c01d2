using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tollgate.Config;
using Tollgate.Gateway.Routing;

namespace Tollgate;

/// <summary>
/// Paths of the application that are not gated. A prefix opens nothing as long as an operation could be reached through
/// it under another spelling: the application's routing ignores letter case, the gate does not.
/// </summary>
internal sealed class PassThrough(IEnumerable<string> prefixes, Publisher publisher)
{
    private static readonly System.Buffers.SearchValues<char> s_notInPaths = System.Buffers.SearchValues.Create("?#%{}*");

    private readonly string[] _prefixes = [.. prefixes];
    private Open _open = new(Published.Nothing, []);

    /// <exception cref="StartupException">Names every prefix that is none, or that an operation lies under.</exception>
    public static void Check(IEnumerable<string> prefixes, Published published)
    {
        var faults = new List<string>();
        foreach (var prefix in prefixes)
        {
            if (prefix.Length < 2 || prefix[0] != '/' || prefix[^1] == '/' || prefix.AsSpan().ContainsAny(s_notInPaths))
                faults.Add($"PassThrough: '{prefix}' is no path below the root without a slash at its end, as '/health'.");
            else if (Gated(prefix, published) is { } operation)
                faults.Add($"PassThrough: '{prefix}' would open the operation {operation.Name} ({operation.Template}) " +
                    "under another spelling. Move one of them.");
        }

        if (faults.Count > 0) throw new StartupException(string.Join(Environment.NewLine, faults));
    }

    /// <summary>Whether this request goes by the gate; its path is then the one that was read here.</summary>
    public bool TryOpen(HttpContext context)
    {
        if (_prefixes.Length == 0) return false;
        var raw = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (!CanonicalPath.TryRead(raw, context.Request.Host.Value, out var target)) return false;
        foreach (var prefix in OpenNow())
        {
            if (!target.Path.StartsWith(prefix, StringComparison.Ordinal)) continue;
            if (target.Path.Length > prefix.Length && target.Path[prefix.Length] != '/') continue;
            context.Request.Path = PathString.FromUriComponent(target.Path.ToString());
            return true;
        }

        return false;
    }

    /// <summary>Looked at again whenever something new is published.</summary>
    private string[] OpenNow()
    {
        var published = publisher.Current;
        var open = Volatile.Read(ref _open);
        if (ReferenceEquals(open.Under, published)) return open.Prefixes;
        open = new Open(published, [.. _prefixes.Where(p => Gated(p, published) is null)]);
        Volatile.Write(ref _open, open);
        return open.Prefixes;
    }

    private static PublishedOperation? Gated(string prefix, Published published) =>
        published.Apis.SelectMany(a => a.Operations).FirstOrDefault(o => Meet(prefix, o));

    private static bool Meet(string prefix, PublishedOperation operation)
    {
        var brace = operation.Template.IndexOf('{');
        var literal = brace < 0 ? operation.Template : operation.Template[..brace];
        return literal.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)
            || ((brace >= 0 || operation.IsPrefix) && prefix.StartsWith(literal, StringComparison.OrdinalIgnoreCase));
    }

    private sealed record Open(Published Under, string[] Prefixes);
}
