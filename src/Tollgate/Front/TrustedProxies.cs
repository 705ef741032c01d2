using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using IPNetwork = System.Net.IPNetwork;

namespace Tollgate.Front;

/// <summary>
/// Balancers and other proxies in front of the gate, whose word is taken for where a caller is (<c>X-Forwarded-For</c>) and how
/// it came (<c>X-Forwarded-Proto</c>). What anybody else says in these headers is nothing.
/// </summary>
public static class TrustedProxies
{
    /// <summary>For messages.</summary>
    public const string Forms = "an address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8";

    /// <summary>Reads an address or a network. One of everybody is none: then callers would say themselves where they are.</summary>
    public static bool TryRead(string text, out IPNetwork network)
    {
        if (!text.Contains('/', StringComparison.Ordinal))
        {
            // "10" and "0x0a.0.0.1" are addresses to some, and were meant as something else
            var isAddress = IPAddress.TryParse(text, out var address) && (address.AddressFamily == AddressFamily.InterNetworkV6
                ? !text.Contains('%', StringComparison.Ordinal) : address.ToString() == text);
            network = isAddress ? new IPNetwork(address!, address!.GetAddressBytes().Length * 8) : default;
            return isAddress;
        }

        return IPNetwork.TryParse(text, out network) && network.PrefixLength > 0;
    }

    /// <summary>Lets the gate see the caller where the request came from one of these.</summary>
    internal static RequestDelegate Before(RequestDelegate gate, IReadOnlyList<IPNetwork> trusted, ILoggerFactory logs)
    {
        if (trusted.Count == 0) return gate;
        var options = new ForwardedHeadersOptions
        {
            ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto,
            // from the last to the first that is none of them
            ForwardLimit = null,
            // where the middleware keeps what it took off: of a name that goes to no upstream
            OriginalForHeaderName = "X-Forwarded-Original-For",
            OriginalProtoHeaderName = "X-Forwarded-Original-Proto",
        };
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (var network in trusted) options.KnownIPNetworks.Add(network);
        var middleware = new ForwardedHeadersMiddleware(gate, logs, Options.Create(options));
        return context =>
        {
            if (!Holds(trusted, context.Connection.RemoteIpAddress))
            {
                // over HTTP/2 the scheme is what the request says
                context.Request.Scheme = context.Features.Get<ITlsHandshakeFeature>() is null ? "http" : "https";
                return gate(context);
            }

            return middleware.Invoke(context);
        };
    }

    private static bool Holds(IReadOnlyList<IPNetwork> networks, IPAddress? address)
    {
        if (address is null) return false;
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        for (var i = 0; i < networks.Count; i++)
            if (networks[i].Contains(address)) return true;
        return false;
    }
}
