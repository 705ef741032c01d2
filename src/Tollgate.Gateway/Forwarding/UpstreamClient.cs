using System.Net;
using System.Text;
using Tollgate.Config;

namespace Tollgate.Gateway.Forwarding;

/// <summary>The client behind the gate: pooled connections, nothing followed, unpacked, remembered or added.</summary>
internal static class UpstreamClient
{
    /// <summary>How long a connection is kept that nobody uses.</summary>
    public static readonly TimeSpan Idle = TimeSpan.FromSeconds(60);

    /// <param name="connect">How long a connection may take to be made.</param>
    /// <param name="tls">Of https upstreams; null where there are none.</param>
    public static HttpMessageInvoker Create(TimeSpan connect, UpstreamTls? tls) =>
        Create(connect, tls is null ? null : new UpstreamHandshake(tls));

    /// <param name="connect">How long a connection may take to be made.</param>
    /// <param name="handshake">With https upstreams; null where there are none.</param>
    public static HttpMessageInvoker Create(TimeSpan connect, UpstreamHandshake? handshake) => new(new SocketsHttpHandler
    {
        ConnectCallback = handshake is null ? null : handshake.ConnectAsync,
        UseProxy = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        EnableMultipleHttp2Connections = true,

        // a trace that came with the call goes on as it is; nothing here has a span of its own to put in its place
        ActivityHeadersPropagator = null,
        ConnectTimeout = connect,
        PooledConnectionIdleTimeout = Idle,

        // a name that leads elsewhere by now, and certificates that were renewed, are noticed under load too
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),

        // headers are bytes to us: what came in goes out
        RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1,
        ResponseHeaderEncodingSelector = (_, _) => Encoding.Latin1,
    });
}
