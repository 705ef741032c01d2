using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Tollgate.Front;

/// <summary>
/// An address to listen on. <c>http</c> speaks HTTP/1.1, <c>https</c> HTTP/2 or HTTP/1.1 as the caller chooses (ALPN),
/// and <c>h2c</c> HTTP/2 without TLS, for callers who know that beforehand.
/// </summary>
public static class Listener
{
    public const string Clear2 = "h2c";

    private static readonly string[] s_schemes = [Uri.UriSchemeHttp, Uri.UriSchemeHttps, Clear2];

    /// <summary>Whether it is an address to listen on: a scheme that is known, a host, perhaps a port, nothing else.
    /// </summary>
    public static bool TryRead(string text, out Uri address) =>
        Uri.TryCreate(text.Trim(), UriKind.Absolute, out address!) && s_schemes.Contains(address.Scheme)
        && address.AbsolutePath is "/" or "" && address.Query.Length == 0 && address.UserInfo.Length == 0
        && address.Port >= 0;

    internal static void Listen(KestrelServerOptions kestrel, Uri address, Certificates? certificates) =>
        kestrel.Listen(BindAddress(address), address.Port, listen =>
        {
            listen.Protocols = address.Scheme == Clear2 ? HttpProtocols.Http2
                : address.Scheme == Uri.UriSchemeHttps ? HttpProtocols.Http1AndHttp2
                : HttpProtocols.Http1;
            if (address.Scheme == Uri.UriSchemeHttps)
            {
                listen.UseHttps(new TlsHandshakeCallbackOptions
                {
                    OnConnection = certificates!.OnConnection,
                    HandshakeTimeout = TimeSpan.FromSeconds(10),
                });
            }
        });

    /// <summary>A port in use is said before the file is applied or the journal opened.</summary>
    /// <exception cref="StartupException">What is in the way.</exception>
    internal static void RequireFree(string option, Uri address)
    {
        if (address.Port == 0) return;
        try
        {
            using var listener = new TcpListener(BindAddress(address), address.Port);
            listener.Start();
        }
        catch (SocketException e)
        {
            throw new StartupException($"{option} {address.GetLeftPart(UriPartial.Authority)} cannot be listened on: " +
                $"{e.Message}. Stop what uses it, or choose another with {option} {address.Scheme}://127.0.0.1:PORT.", e);
        }
    }

    private static IPAddress BindAddress(Uri address) =>
        string.Equals(address.Host, "localhost", StringComparison.OrdinalIgnoreCase) ? IPAddress.Loopback
        : IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) ? ip
        : throw new StartupException($"{address} must name an IP address or localhost to listen on.");
}
