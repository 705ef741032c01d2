using Tollgate.Config;

namespace Tollgate.Web.V1;

/// <summary>How calls of an API go to its upstream and back, as <c>/v1/apis</c> shows it; times are milliseconds.</summary>
internal static class ApiProxyView
{
    public static object Of(PublishedApi api) => new
    {
        strip_prefix = api.Proxy.StripPrefix is { Length: > 0 } prefix ? prefix : null,
        preserve_host = api.Proxy.PreserveHost,
        load_balancing = api.Proxy.Balancing switch
        {
            LoadBalancing.RoundRobin => "round_robin",
            LoadBalancing.LeastRequests => "least_requests",
            LoadBalancing.Random => "random",
            _ => "weighted",
        },
        protocol = api.Proxy.Http2 ? "http2" : api.Proxy.AnyHttp ? "auto" : "http1",
        tls = api.Proxy.Tls,
        max_body = api.Proxy.MaxBody,
        timeouts = new
        {
            api.Proxy.Timeouts.Connect,
            first_byte = api.Proxy.Timeouts.FirstByte,
            api.Proxy.Timeouts.Idle,
            api.Proxy.Timeouts.Total,
        },
        health = api.Proxy.Health,
        request_headers = api.Proxy.RequestHeaders,
        response_headers = api.Proxy.ResponseHeaders,
        cors = api.Proxy.Cors,
        answer = api.Proxy.Answer,
    };
}
