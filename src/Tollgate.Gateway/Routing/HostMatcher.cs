using Microsoft.AspNetCore.Http;
using Tollgate.Config;

namespace Tollgate.Gateway.Routing;

/// <summary>
/// Finds the operation of a request among those of its host: of the exact name first, then of the longest <c>*.</c> that covers
/// it, then of no host. What a host does not have is looked for in the next. Where nobody names hosts, none is looked at.
/// </summary>
internal sealed class HostMatcher<T>
    where T : class
{
    private readonly OperationMatcher<T> _everywhere;
    private readonly Dictionary<string, OperationMatcher<T>> _exact = new(StringComparer.OrdinalIgnoreCase);

    // ".example.com", the longest first
    private readonly (string Suffix, OperationMatcher<T> Matcher)[] _below;

    private HostMatcher(ILookup<string, OperationPattern<T>> byHost)
    {
        _everywhere = OperationMatcher<T>.Build(byHost[""]);
        var below = new List<(string, OperationMatcher<T>)>();
        foreach (var host in byHost.Where(h => h.Key.Length > 0))
        {
            var matcher = OperationMatcher<T>.Build(host);
            if (HostPattern.IsWildcard(host.Key)) below.Add((host.Key[1..], matcher));
            else _exact.Add(host.Key, matcher);
        }

        _below = [.. below.OrderByDescending(b => b.Item1.Length)];
    }

    /// <param name="patterns">Each with the hosts under which it is found; none for everywhere.</param>
    public static HostMatcher<T> Build(IEnumerable<(IReadOnlyList<string> Hosts, OperationPattern<T> Pattern)> patterns) => new(
        (from p in patterns from host in p.Hosts.DefaultIfEmpty("") select (host, p.Pattern)).ToLookup(p => p.host, p => p.Pattern));

    public T? Match(string method, ReadOnlySpan<char> path, HostString host)
    {
        if (_exact.Count + _below.Length > 0 && host.HasValue)
        {
            var name = host.Host.TrimEnd('.');
            if (_exact.TryGetValue(name, out var exact) && exact.Match(method, path) is { } own) return own;
            foreach (var (suffix, matcher) in _below)
                if (name.Length > suffix.Length && name.EndsWith(suffix, StringComparison.OrdinalIgnoreCase)
                    && matcher.Match(method, path) is { } wild)
                    return wild;
        }

        return _everywhere.Match(method, path);
    }
}
