using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Tollgate.Config;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway.Forwarding;

/// <summary>How calls of an API are forwarded, compiled once.</summary>
/// <param name="secure">Whether a server of its upstream is spoken to by https.</param>
internal sealed class ForwardRules(ProxySettings proxy, bool secure)
{
    /// <summary>Of https upstreams; null where there are none.</summary>
    public UpstreamTls? Tls { get; } = secure ? proxy.Tls ?? UpstreamTls.Usual : null;

    public UpstreamTimeouts Timeouts { get; } = proxy.Timeouts;

    public LoadBalancing Balancing { get; } = proxy.Balancing;

    public HealthCheck? Health { get; } = proxy.Health;

    public HeaderRules? Request { get; } = HeaderRules.Of(proxy.RequestHeaders);

    public HeaderRules? Response { get; } = HeaderRules.Of(proxy.ResponseHeaders);

    public long? MaxBody { get; } = proxy.MaxBody;

    /// <summary>A time limit that the forwarder does not know.</summary>
    public bool HasDeadline { get; } = proxy.Timeouts.FirstByte is not null || proxy.Timeouts.Total is not null;

    public ForwarderRequestConfig Config { get; } = new()
    {
        ActivityTimeout = TimeSpan.FromMilliseconds(proxy.Timeouts.Idle),
        Version = proxy.Http2 || proxy.AnyHttp ? System.Net.HttpVersion.Version20 : System.Net.HttpVersion.Version11,
        VersionPolicy = proxy.Http2 ? HttpVersionPolicy.RequestVersionExact : HttpVersionPolicy.RequestVersionOrLower,
    };
}

/// <summary>Headers that are written, added and taken off; none of them is one that the gate needs.</summary>
internal sealed class HeaderRules
{
    private readonly (string Name, string Value)[] _set, _add;
    private readonly string[] _remove;

    private HeaderRules(HeaderChanges changes)
    {
        _set = [.. changes.Set.Select(h => (h.Key, h.Value))];
        _add = [.. changes.Add.Select(h => (h.Key, h.Value))];
        _remove = [.. changes.Remove];
    }

    public static HeaderRules? Of(HeaderChanges? changes) =>
        changes is null || changes.Set.Count + changes.Add.Count + changes.Remove.Count == 0 ? null : new HeaderRules(changes);

    public void Apply(IHeaderDictionary headers)
    {
        foreach (var name in _remove) headers.Remove(name);
        foreach (var (name, value) in _set) headers[name] = value;
        foreach (var (name, value) in _add) headers[name] = StringValues.Concat(headers[name], value);
    }

    /// <summary>Headers of content are beside the others in the client's request.</summary>
    public void Apply(HttpRequestMessage request)
    {
        foreach (var name in _remove) Remove(request, name);
        foreach (var (name, value) in _set)
        {
            Remove(request, name);
            Add(request, name, value);
        }

        foreach (var (name, value) in _add) Add(request, name, value);
    }

    private static void Remove(HttpRequestMessage request, string name)
    {
        if (IsOfContent(name)) request.Content?.Headers.Remove(name);
        else request.Headers.Remove(name);
    }

    private static void Add(HttpRequestMessage request, string name, string value)
    {
        if (IsOfContent(name)) request.Content?.Headers.TryAddWithoutValidation(name, value);
        else request.Headers.TryAddWithoutValidation(name, value);
    }

    /// <summary>Those that the client's request keeps with its content, and lets nobody ask the request for.</summary>
    private static bool IsOfContent(string name) => name.StartsWith("Content-", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Allow", StringComparison.OrdinalIgnoreCase) || name.Equals("Expires", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Last-Modified", StringComparison.OrdinalIgnoreCase);
}
