using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Config.Kong;

/// <summary>
/// Reads services, routes and plugins as APIs, operations and access settings: a service is an API; a route path is
/// an operation that covers all below it; an entry of an <c>endpoint_map</c> is an operation of its own, in the
/// plans (consumer groups) that list it; <c>rate-limiting</c> on a group is the limits of its plan.
/// No two operations are for the same method and the same paths, whatever is stored.
/// </summary>
internal sealed class KongCompiler
{
    private const string Everywhere = "";

    private readonly List<(ConfigRow Row, KongService Service)> _services;
    private readonly List<KongPlugin> _plugins;
    private readonly IReadOnlyList<KongRouting> _routings;
    private readonly KongServers _servers;
    private readonly Dictionary<string, string> _authorities;
    private readonly Dictionary<string, GateEntries> _gates;
    private readonly GateEntries _entries;
    private readonly ILookup<string, KongPlugin> _scoped;

    // what services look like on routes with plugins of their own, by the id of the route
    private readonly Dictionary<string, PublishedApi> _own;
    private readonly ILookup<string, PublishedOperation> _operations;

    public KongCompiler(IReadOnlyList<ConfigRow> rows)
    {
        _services = Documents<KongService>(rows, ConfigKind.Service);
        _plugins = [.. Documents<KongPlugin>(rows, ConfigKind.Plugin).Select(p => p.Document).Where(p => p.Enabled)];
        _scoped = _plugins.ToLookup(p => p.Scope ?? Everywhere);
        var routes = Documents<KongRoute>(rows, ConfigKind.Route);
        _routings = KongRouting.ByHost(routes);
        _servers = new KongServers(rows);
        _authorities = Documents<KongCaCertificate>(rows, ConfigKind.CaCertificate).ToDictionary(c => c.Row.Id, c => c.Document.Cert);
        _gates = _services.ToDictionary(s => s.Row.Id, s => new GateEntries(EntriesOf(s.Row.Id, null)));
        _entries = new GateEntries(_gates.Values.SelectMany(g => g.All).Select(e => e.Text));
        var services = _services.ToDictionary(s => s.Row.Id);
        _own = routes.Where(r => _scoped.Contains(r.Row.Id) && services.ContainsKey(r.Document.Service))
            .ToDictionary(r => r.Row.Id, r => ApiOf(services[r.Document.Service].Row, services[r.Document.Service].Service, r.Row.Id));
        _operations = RouteOperations().Concat(GateOperations()).ToLookup(o => o.Service, o => o.Operation);
    }

    public IEnumerable<PublishedApi> Apis() =>
        _services.Select(s => ApiOf(s.Row, s.Service, null) with { Operations = [.. _operations[s.Row.Id]] });

    /// <summary>Whether a plugin says that its limits are counted over a Redis.</summary>
    public bool AsksForRedis => _plugins.Exists(p => p.Limits && (Says(p.Config, "policy") || Says(p.Config, "strategy")));

    private static bool Says(JsonElement config, string where) =>
        config.TryGetProperty(where, out var said) && said.ValueKind == JsonValueKind.String && said.ValueEquals("redis");

    /// <summary>Limits that single consumers have, by their keys. One of them has one such plugin; whoever adds it sees to it.
    /// </summary>
    public IReadOnlyDictionary<int, OwnLimits> OwnLimits() => _plugins
        .Where(p => p is { Limits: true, Consumer: not null, ConsumerKey: not null }).DistinctBy(p => p.Consumer)
        .ToDictionary(p => p.ConsumerKey!.Value, p => new OwnLimits(p.Name, LimitsOf(p.Consumer!)));

    /// <summary>The plugin that says the limits of a group; null: none does.</summary>
    public string? LimitedBy(string groupId) => _scoped[groupId].FirstOrDefault(p => p.Limits)?.Name;

    /// <summary>The limits that a group or a consumer has.</summary>
    public IReadOnlyList<Limit> LimitsOf(string scope) => _scoped[scope]
        .Where(p => p.Name == KongPlugin.RateLimiting)
        .SelectMany(p => Enum.GetValues<WindowUnit>()
            .Where(u => p.Config.TryGetProperty(LimitWindow.NameOf(u), out var v) && v.ValueKind == JsonValueKind.Number)
            .Select(u => new Limit(p.Config.GetProperty(LimitWindow.NameOf(u)).GetInt64(), u)))
        .Concat(_scoped[scope].Where(p => p.Name == KongPlugin.RateLimitingAdvanced).SelectMany(p => WindowsOf(p.Config)))
        .ToArray();

    private static IEnumerable<Limit> WindowsOf(JsonElement config) =>
        config.GetProperty("limit").EnumerateArray().Zip(config.GetProperty("window_size").EnumerateArray()).Select(pair =>
            new Limit(pair.First.GetInt64(), KongWindow.UnitOf(pair.Second.GetInt64())!.Value)
            {
                Window = config.GetProperty("window_type").GetString() == "fixed" ? WindowKind.Fixed : WindowKind.Sliding,
            });

    /// <summary>The (API, operation) names that this group may call: what the gates list for it, and what they list
    /// for others where an entry of its own covers that too.</summary>
    public IEnumerable<(string Api, string Operation)> OperationsOf(string groupName) =>
        from service in _services
        let listed = new GateEntries(EntriesOf(service.Row.Id, groupName))
        from entry in _gates[service.Row.Id].All
        where listed.Covering(entry.Method, entry.Template).Any()
        select (service.Row.Name, entry.Text);

    /// <summary>A service as it is on all its routes, or on one that has plugins of its own.</summary>
    private PublishedApi ApiOf(ConfigRow row, KongService service, string? route)
    {
        var plugins = PluginsOf(row.Id, route);
        var (keyAuth, jwt) = (plugins.Find(p => p.Name == KongPlugin.KeyAuth), plugins.Find(p => p.Name == KongPlugin.Jwt));
        // Kong would ask for both; whoever adds a plugin sees to it that there are never two
        var gated = GatesOf(row.Id).Any();
        return new PublishedApi
        {
            Id = Publication.ApiIdOf(row),
            Name = row.Name,
            ManagedBy = row.Manager,
            Upstream = service.Upstream,
            Targets = _servers.TargetsOf(service),
            Retries = service.Retries,
            Proxy = KongProxy.Of(plugins) with
            {
                Timeouts = service.Timeouts,
                Tls = TlsOf(service),
                Health = _servers.Find(service)?.Health,
                Balancing = _servers.Find(service)?.Balancing ?? LoadBalancing.Weighted,
            },
            RequiresKey = keyAuth is not null || jwt is not null,
            Gated = gated,
            Access = plugins.Find(p => p.Name == KongPlugin.Acl) is { } acl ? KongTokens.AccessOf(acl.Config) : null,
            Bearers = jwt is null ? null : KongTokens.RulesOf(jwt.Config, gated),
            KeyHeaders = keyAuth is null ? [] : KeyHeadersOf(keyAuth),
            KeyQueries = keyAuth is not null && keyAuth.Config.GetProperty("key_in_query").GetBoolean() ? KeyHeadersOf(keyAuth) : [],
            Anonymous = (keyAuth ?? jwt)?.Config.GetProperty("anonymous").GetString() is { } name ? NameOf(name) : null,
            Operations = [],
        };
    }

    /// <summary>As Kong does it: of each plugin the one that is closest, on the route, on the service or everywhere. They are not
    /// mixed: what a closer one leaves out has its default.</summary>
    private List<KongPlugin> PluginsOf(string service, string? route) =>
        [.. (route is null ? [] : _scoped[route]).Concat(_scoped[service]).Concat(_scoped[Everywhere]).DistinctBy(p => p.Name)];

    private UpstreamTls? TlsOf(KongService service) => service is { TlsVerify: null, CaCertificates: null } ? null : new UpstreamTls
    {
        Verify = service.TlsVerify ?? true,
        Ca = service.CaCertificates is { } ids ? string.Join('\n', ids.Select(id => _authorities[id])) : null,
    };

    private IEnumerable<(string Service, PublishedOperation Operation)> RouteOperations() =>
        from routing in _routings
        from route in routing.Serving
        group route by (route.Host, route.Row.Id, route.Path) into paths
        let first = paths.First()
        let methods = first.Method is null ? null : paths.Select(p => p.Method!).ToArray()
        select (first.Route.Service,
            OperationOf(first, first.Path) with { Methods = methods, IsPrefix = true });

    /// <summary>
    /// The exact templates. A gate opens nothing that is not routed and takes nothing from a route that is closer to
    /// the path, of its own service or another: since exact templates are matched before routes, what an entry covers
    /// stands once for every method, as an entry of the service whose route serves it, else as that route.
    /// </summary>
    private IEnumerable<(string Service, PublishedOperation Operation)> GateOperations() =>
        _routings.SelectMany(GateOperations);

    private IEnumerable<(string Service, PublishedOperation Operation)> GateOperations(KongRouting routing)
    {
        var paths = routing.Serving.Select(r => r.Path).Distinct().ToArray();
        var templates = _entries.All.Select(e => e.Template)
            .Concat(_entries.All.Where(e => e.HasParameters).SelectMany(e => paths.Select(e.Under)))
            .OfType<string>().DistinctBy(GateEntry.ShapeOf);
        var methods = _entries.All.Select(e => e.Method).Concat(routing.Serving.Select(r => r.Method))
            .OfType<string>().Distinct().ToArray();
        return templates.SelectMany(t => OperationsAt(routing, t, methods));
    }

    private IEnumerable<(string Service, PublishedOperation Operation)> OperationsAt(
        KongRouting routing, string template, string[] methods)
    {
        var any = OperationAt(routing, template, null);
        if (any is { } found) yield return found;
        var own = from method in methods
                  let operation = OperationAt(routing, template, method)
                  where operation is not null && (method == "HEAD" || operation != any)
                  group method by operation.Value;
        foreach (var same in own)
            yield return (same.Key.Service, same.Key.Operation with { Methods = [.. same] });
    }

    private (string Service, PublishedOperation Operation)? OperationAt(
        KongRouting routing, string template, string? method)
    {
        if (routing.Find(template, method) is not { } route) return null;
        var entry = _gates[route.Route.Service].Covering(method, template).FirstOrDefault();
        if (entry is null && !_entries.Covering(method, template).Any()) return null;
        return (route.Route.Service, entry is null
            ? OperationOf(route, template)
            : OperationOf(route, template) with { Name = entry.Text, Endpoint = entry.Template });
    }

    private PublishedOperation OperationOf(RoutePath route, string template) => new()
    {
        Name = route.Name,
        Endpoint = route.Path,
        Methods = null,
        Template = template,
        StripPrefix = route.Strip,
        Hosts = route.Host.Length == 0 ? [] : [route.Host],
        PreserveHost = route.Route.PreserveHost,
        Own = _own.GetValueOrDefault(route.Row.Id),
    };

    private IEnumerable<KongPlugin> GatesOf(string serviceId) =>
        _scoped[serviceId].Where(p => p.Name == KongPlugin.EndpointGating);

    private IEnumerable<string> EntriesOf(string serviceId, string? plan) =>
        from gate in GatesOf(serviceId)
        from g in gate.Config.GetProperty("endpoint_map").EnumerateObject()
        where plan is null || g.Name == plan
        from entry in g.Value.EnumerateArray()
        select entry.GetString()!;

    /// <summary>Kong's tools name a consumer by its UUID too.</summary>
    private static string NameOf(string consumer) =>
        Guid.TryParse(consumer, out var id) ? new Id<Consumer>(id).ToString() : consumer;

    private static string[] KeyHeadersOf(KongPlugin keyAuth) =>
        keyAuth.Config.GetProperty("key_names").EnumerateArray().Select(n => n.GetString()!).ToArray();

    internal static List<(ConfigRow Row, T Document)> Documents<T>(IReadOnlyList<ConfigRow> rows, string kind) =>
        rows.Where(r => r.Kind == kind).Select(r => (r, KongJson.Read<T>(r))).ToList();
}
