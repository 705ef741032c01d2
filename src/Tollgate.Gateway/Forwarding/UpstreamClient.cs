using System.Net;
using System.Text;
using Tollgate.Config;

namespace Tollgate.Gateway.Forwarding;

/// <summary>The client behind the gate: pooled connections, nothing followed, unpacked, remembered or added.</summary>
internal static class UpstreamClient
{
    /// <param name="connect">How long a connection may take to be made.</param>
    /// <param name="tls">Of https upstreams; null where there are none.</param>
    public static HttpMessageInvoker Create(TimeSpan connect, UpstreamTls? tls) => new(new SocketsHttpHandler
    {
        ConnectCallback = tls is null ? null : new UpstreamHandshake(tls).ConnectAsync,
        UseProxy = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        EnableMultipleHttp2Connections = true,

        // a trace that came with the call goes on as it is; nothing here has a span of its own to put in its place
        ActivityHeadersPropagator = null,
        ConnectTimeout = connect,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),

        // a name that leads elsewhere by now, and certificates that were renewed, are noticed under load too
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),

        // headers are bytes to us: what came in goes out
        RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1,
        ResponseHeaderEncodingSelector = (_, _) => Encoding.Latin1,
    });
}
