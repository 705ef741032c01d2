namespace Tollgate.Config.Kong;

/// <summary>The servers of Kong's upstreams, found by the host of a service.</summary>
internal sealed class KongServers(IReadOnlyList<ConfigRow> rows)
{
    private readonly Dictionary<string, (ConfigRow Row, KongUpstream Upstream)> _upstreams =
        KongCompiler.Documents<KongUpstream>(rows, ConfigKind.Upstream).ToDictionary(u => u.Row.Name, StringComparer.OrdinalIgnoreCase);

    private readonly ILookup<string, KongTarget> _targets =
        KongCompiler.Documents<KongTarget>(rows, ConfigKind.Target).Select(t => t.Document).ToLookup(t => t.Upstream);

    /// <summary>The upstream that a service names as its host; null when that is a host of the network.</summary>
    public KongUpstream? Find(KongService service) => _upstreams.TryGetValue(service.Host, out var found) ? found.Upstream : null;

    /// <summary>Its servers that take calls, the service's own path under each.</summary>
    public IReadOnlyList<UpstreamTarget> TargetsOf(KongService service)
    {
        if (!_upstreams.TryGetValue(service.Host, out var found)) return [];
        return [.. from target in _targets[found.Row.Id]
                   where target.Weight > 0
                   select new UpstreamTarget(
                       new Uri($"{service.Protocol}://{target.Target}{service.Path?.TrimEnd('/')}"), target.Weight)];
    }
}
