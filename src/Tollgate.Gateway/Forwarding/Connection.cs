using System.Collections.Frozen;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// Headers that belong to one connection and end with it (RFC 9110 7.6.1): those that are known to, and those that the
/// header <c>Connection</c> names. The framing of a message is made anew on each side, never copied.
/// </summary>
internal static class Connection
{
    private static readonly FrozenSet<string> s_owned = FrozenSet.ToFrozenSet(
    [
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info",
        "Proxy-Authorization", "TE", "Transfer-Encoding", "Upgrade", "HTTP2-Settings",
        // would lead the next call of the client around the gate
        "Alt-Svc",
    ], StringComparer.OrdinalIgnoreCase);

    public static bool Owns(string name) => s_owned.Contains(name);

    /// <summary>Whether the values of a <c>Connection</c> header name this header. One that only the gate may say is
    /// added after the caller's, and so cannot be named away. Of a list that has <c>close</c>, <c>keep-alive</c> or
    /// <c>Upgrade</c>, the server in front keeps that alone: what a caller names beside it goes on.</summary>
    public static bool Names(StringValues connection, string name)
    {
        if (connection.Count == 0) return false;
        foreach (var value in connection)
        {
            // what nearly all of them say
            if (value is null or "close" or "keep-alive" or "Upgrade" or "upgrade" or "Keep-Alive") continue;
            foreach (var option in value.AsSpan().Split(','))
                if (value.AsSpan(option).Trim().Equals(name, StringComparison.OrdinalIgnoreCase)) return true;
        }

        return false;
    }

    /// <summary>Whether the request opens a WebSocket over HTTP/2.</summary>
    public static bool OpensWebSocket(HttpContext context) =>
        context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true, Protocol: { } protocol }
        && protocol.Equals("websocket", StringComparison.OrdinalIgnoreCase);

    public static bool IsHost(string name) => Is(name, "Host");

    public static bool IsLength(string name) => Is(name, "Content-Length");

    public static bool IsCookie(string name) => Is(name, "Cookie");

    public static bool IsAuthorization(string name) => Is(name, "Authorization");

    private static bool Is(string name, string known) =>
        ReferenceEquals(name, known) || name.Equals(known, StringComparison.OrdinalIgnoreCase);
}
