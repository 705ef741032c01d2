using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Config.Kong;

/// <summary>
/// Reads services, routes and plugins as APIs, operations and access settings: a service is an API; a route path is
/// an operation that covers all below it; an entry of an <c>endpoint_map</c> is an operation of its own, in the
/// plans (consumer groups) that list it; <c>rate-limiting</c> on a group is the limits of its plan.
/// </summary>
internal sealed class KongCompiler
{
    private readonly List<(ConfigRow Row, KongService Service)> _services;
    private readonly List<(ConfigRow Row, KongRoute Route)> _routes;
    private readonly List<KongPlugin> _plugins;

    public KongCompiler(IReadOnlyList<ConfigRow> rows)
    {
        _services = Documents<KongService>(rows, ConfigKind.Service);
        _routes = Documents<KongRoute>(rows, ConfigKind.Route);
        _plugins = Documents<KongPlugin>(rows, ConfigKind.Plugin).Select(p => p.Document).Where(p => p.Enabled).ToList();
    }

    public IEnumerable<DraftApi> Apis() => _services.Select(s => ApiOf(s.Row, s.Service));

    /// <summary>The limits of the plan that this group is.</summary>
    public IReadOnlyList<Limit> LimitsOf(string groupId) => _plugins
        .Where(p => p.Name == KongPlugin.RateLimiting && p.ConsumerGroup == groupId)
        .SelectMany(p => Enum.GetValues<WindowUnit>()
            .Where(u => p.Config.TryGetProperty(LimitWindow.NameOf(u), out var v) && v.ValueKind == JsonValueKind.Number)
            .Select(u => new Limit(p.Config.GetProperty(LimitWindow.NameOf(u)).GetInt64(), u)))
        .ToArray();

    /// <summary>The (API, operation) names that the gates list for this group.</summary>
    public IEnumerable<(string Api, string Operation)> OperationsOf(string groupName) =>
        from service in _services
        from gate in GatesOf(service.Row)
        from entry in EntriesOf(gate, groupName)
        select (service.Row.Name, entry);

    private DraftApi ApiOf(ConfigRow row, KongService service)
    {
        var keyAuth = _plugins.Find(p => p.Name == KongPlugin.KeyAuth && p.Service == row.Id);
        var gates = GatesOf(row).ToArray();
        var entries = gates.SelectMany(g => EntriesOf(g, null)).Distinct().ToArray();
        var operations = new List<DraftOperation>();
        foreach (var (route, path, document) in PathsOf(row.Id))
        {
            var strip = document.StripPath ? path.TrimEnd('/') : "";
            operations.Add(new DraftOperation(document.Name ?? route.Id, path, document.Methods, path, true, strip));
            operations.AddRange(entries.Select(e => EntryAt(e, row.Id, path, document, strip)).OfType<DraftOperation>());
        }

        return new DraftApi
        {
            Id = row.Id,
            Name = row.Name,
            ManagedBy = row.Manager,
            Upstream = service.Upstream,
            RequiresKey = keyAuth is not null,
            Gated = gates.Length > 0,
            KeyHeaders = keyAuth is null ? [] : KeyHeadersOf(keyAuth),
            Operations = operations,
        };
    }

    /// <summary>An entry is an operation only where a route of its own service would serve it: a gate opens nothing
    /// that is not routed, and takes nothing from a route of another service that is closer to the path.</summary>
    private DraftOperation? EntryAt(string entry, string serviceId, string routePath, KongRoute route, string strip)
    {
        var (method, template) = SplitEntry(entry);
        if (!Covers(routePath, template)) return null;
        var methods = method is null ? route.Methods : route.Methods is null || route.Methods.Contains(method) ? [method] : [];
        if (methods is { Count: 0 }) return null;
        var closer = from other in _routes
                     from path in other.Route.Paths
                     where path.Length > routePath.Length && Covers(path, template)
                     where other.Route.Methods is null || methods is not null && methods.All(other.Route.Methods.Contains)
                     select other;
        return closer.Any() ? null : new DraftOperation(entry, template, methods, template, false, strip);
    }

    private IEnumerable<(ConfigRow Row, string Path, KongRoute Route)> PathsOf(string serviceId) =>
        from r in _routes
        where r.Route.Service == serviceId
        from path in r.Route.Paths
        select (r.Row, path, r.Route);

    private IEnumerable<KongPlugin> GatesOf(ConfigRow service) =>
        _plugins.Where(p => p.Name == KongPlugin.EndpointGating && p.Service == service.Id);

    private static IEnumerable<string> EntriesOf(KongPlugin gate, string? plan) =>
        from g in gate.Config.GetProperty("endpoint_map").EnumerateObject()
        where plan is null || g.Name == plan
        from entry in g.Value.EnumerateArray()
        select entry.GetString()!;

    private static string[] KeyHeadersOf(KongPlugin keyAuth) =>
        keyAuth.Config.GetProperty("key_names").EnumerateArray().Select(n => n.GetString()!).ToArray();

    private static (string? Method, string Template) SplitEntry(string entry)
    {
        var space = entry.IndexOf(' ');
        return space < 0 ? (null, entry) : (entry[..space], entry[(space + 1)..]);
    }

    private static bool Covers(string prefix, string path) =>
        path.StartsWith(prefix, StringComparison.Ordinal)
        && (path.Length == prefix.Length || prefix.EndsWith('/') || path[prefix.Length] == '/');

    private static List<(ConfigRow Row, T Document)> Documents<T>(IReadOnlyList<ConfigRow> rows, string kind) =>
        rows.Where(r => r.Kind == kind).Select(r => (r, KongJson.Read<T>(r))).ToList();
}
