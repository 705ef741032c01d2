namespace Tollgate.Config.Kong;

/// <summary>One path of a route for one method.</summary>
/// <param name="Method">Null: any.</param>
internal sealed record RoutePath(ConfigRow Row, KongRoute Route, string Path, string? Method)
{
    /// <summary>Under which the routes of one routing are found; empty for everywhere.</summary>
    public string Host { get; init; } = "";

    /// <summary>What is taken off the front of a path before it is forwarded.</summary>
    public string Strip => Route.StripPath ? Path.TrimEnd('/') : "";

    /// <summary>The operation's name: that of the route, or its path where it has none.</summary>
    public string Name => Route.Name ?? Path;
}

/// <summary>
/// Which route serves a path: the longest path, then one for just this method, then the oldest route. So of two
/// routes for the same path and method the younger serves nothing, until the older is gone.
/// </summary>
internal sealed class KongRouting
{
    private readonly Dictionary<(string Path, string? Method), RoutePath> _serving = [];

    /// <summary>A routing for each host that a route names, and one for those that name none.</summary>
    /// <param name="routes">Oldest first.</param>
    public static IReadOnlyList<KongRouting> ByHost(IReadOnlyList<(ConfigRow Row, KongRoute Route)> routes) =>
        [.. routes.SelectMany(r => r.Route.Hosts.DefaultIfEmpty("")).Append("").Distinct()
            .Select(host => new KongRouting(host, routes.Where(r => r.Route.Hosts.DefaultIfEmpty("").Contains(host))))];

    private KongRouting(string host, IEnumerable<(ConfigRow Row, KongRoute Route)> routes)
    {
        var all = from r in routes
                  from path in r.Route.Paths
                  from method in r.Route.Methods ?? (IEnumerable<string?>)[null]
                  select new RoutePath(r.Row, r.Route, path, method) { Host = host };
        foreach (var route in all)
            if (_serving.TryAdd((route.Path, route.Method), route))
                Serving.Add(route);
    }

    /// <summary>Those that serve something, oldest first.</summary>
    public List<RoutePath> Serving { get; } = [];

    /// <summary>The route of what matches this template, or null. HEAD is answered as GET.</summary>
    /// <param name="method">Null: any method that no route names.</param>
    public RoutePath? Find(string template, string? method)
    {
        foreach (var path in PrefixesOf(template))
        {
            if (method is not null && _serving.TryGetValue((path, method), out var own)) return own;
            if (method is "HEAD" && _serving.TryGetValue((path, "GET"), out own)) return own;
            if (_serving.TryGetValue((path, null), out var any)) return any;
        }

        return null;
    }

    /// <summary>The paths that would cover this one, longest first: whole segments, with and without a slash.</summary>
    private static IEnumerable<string> PrefixesOf(string path)
    {
        yield return path;
        for (var slash = path.LastIndexOf('/'); slash >= 0; slash = slash == 0 ? -1 : path.LastIndexOf('/', slash - 1))
        {
            if (slash < path.Length - 1) yield return path[..(slash + 1)];
            if (slash > 0) yield return path[..slash];
        }
    }
}
