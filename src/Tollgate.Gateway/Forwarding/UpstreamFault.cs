using System.Net.Sockets;

namespace Tollgate.Gateway.Forwarding;

/// <summary>Why there is no answer of an upstream, as far as it may be told to callers: no names, no addresses, no paths.
/// </summary>
internal static class UpstreamFault
{
    /// <param name="fault">What forwarding failed with; null when there was an answer, and it was none.</param>
    /// <returns>Null when there is nothing to say beside that it failed.</returns>
    public static string? Of(Exception? fault)
    {
        if (fault is null) return "It answered with a status that is none";
        var reset = false;
        for (var e = fault; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case UpstreamTlsException: return e.Message;
                case SocketException { SocketErrorCode: SocketError.ConnectionRefused }: return "It refused the connection";
                case SocketException { SocketErrorCode: SocketError.ConnectionReset }: reset = true; break;
                case HttpRequestException http when Of(http.HttpRequestError) is { } known: return known;
                case HttpIOException io when Of(io.HttpRequestError) is { } known: return known;
                default: break;
            }
        }

        return reset ? "It broke the connection off before its answer began" : null;
    }

    private static string? Of(HttpRequestError error) => error switch
    {
        HttpRequestError.NameResolutionError => "Its name was not found",
        HttpRequestError.ResponseEnded => "It closed the connection before its answer began",
        HttpRequestError.InvalidResponse => "What it sent is no HTTP answer",
        HttpRequestError.ConfigurationLimitExceeded => "The headers of its answer are too large",
        HttpRequestError.VersionNegotiationError => "It does not speak the version of HTTP that is asked for",
        HttpRequestError.HttpProtocolError => "It ended the call by an error of HTTP/2",
        _ => null,
    };
}
