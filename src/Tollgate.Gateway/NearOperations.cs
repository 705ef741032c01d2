using Microsoft.AspNetCore.Http;
using Tollgate.Gateway.Routing;

namespace Tollgate.Gateway;

/// <summary>Why nothing is declared for a call, as far as something like it is: the same path with another method, or under another
/// host.</summary>
internal static class NearOperations
{
    private const int Most = 5;

    private static readonly string[] s_methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

    public static string Of(GateSnapshot snapshot, Question question, CanonicalTarget target)
    {
        if (question.Method == HttpMethods.Connect)
            return "CONNECT asks for a tunnel, and a gate is none; ask about a WebSocket as the GET that it is over HTTP/1.1";
        if (!GateHandler.IsMethod(question.Method)) return "methods are case-sensitive, and this one has small letters: it is none";
        var host = question.Host is { } given ? new HostString(given) : default;
        var path = target.Path.ToString();
        if (s_methods.Where(m => snapshot.Match(m, path, host) is not null).ToArray() is { Length: > 0 } methods)
            return $"this path is there with {string.Join(", ", methods)}, and not with {question.Method}";
        var hosts = snapshot.Hosts.Where(h => snapshot.Match(question.Method, path, new HostString(h)) is not null)
            .Order(StringComparer.Ordinal).ToArray();
        return hosts.Length == 0 ? "no operation of any API has this method and path; slashes at the end and letter case count"
            : $"this is there under the host {string.Join(", ", hosts.Take(Most))}{(hosts.Length > Most ? ", …" : "")}, "
                + (question.Host is null ? "and no host was given" : "and not under the one that was given");
    }
}
