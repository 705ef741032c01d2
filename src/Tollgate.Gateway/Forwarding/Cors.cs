using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tollgate.Config;
using Tollgate.Gateway.Routing;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// The CORS protocol (Fetch standard, 3.3). A preflight is answered by the gate for declared operations of APIs with rules; it
/// asks for no key, reaches no upstream and is no call in the ledger. What an upstream says of CORS is replaced.
/// </summary>
internal sealed class Cors(CorsRules rules)
{
    private readonly bool _any = rules.Origins.Contains("*");
    private readonly HashSet<string> _origins = [.. rules.Origins];
    private readonly string? _methods = rules.Methods is null ? null : string.Join(", ", rules.Methods);
    private readonly string? _headers = rules.Headers is null ? null : string.Join(", ", rules.Headers);
    private readonly string? _expose = rules.Expose.Count == 0 ? null : string.Join(", ", rules.Expose);
    private readonly string? _maxAge = rules.MaxAge?.ToString(CultureInfo.InvariantCulture);

    /// <summary>Answers a preflight. Everything else is a call and goes its way, also an OPTIONS of an operation.</summary>
    public static bool TryAnswer(HttpContext context, GateSnapshot snapshot)
    {
        var request = context.Request;
        if (request.Headers.Origin is not [{ } origin]
            || request.Headers.AccessControlRequestMethod is not [{ Length: > 0 } method]
            || method.AsSpan().ContainsAnyInRange('a', 'z')) return false;
        var raw = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (!CanonicalPath.TryRead(raw, request.Host.Value, out var target)) return false;
        if (snapshot.Match(method, target.Path, request.Host)?.Api.Cors is not { } cors) return false;
        cors.Answer(context.Response, request, origin, method);
        return true;
    }

    /// <summary>Writes what the page of this origin may see; for others there is nothing, and their browser keeps the answer from
    /// them.</summary>
    public void Write(HttpRequest request, IHeaderDictionary headers)
    {
        headers.Remove("Access-Control-Allow-Credentials");
        headers.Remove("Access-Control-Expose-Headers");
        headers.Remove("Access-Control-Allow-Methods");
        headers.Remove("Access-Control-Allow-Headers");
        headers.Remove("Access-Control-Max-Age");
        headers.Remove("Access-Control-Allow-Origin");
        if (request.Headers.Origin is [{ } origin] && Allow(headers, origin) && _expose is not null)
            headers.AccessControlExposeHeaders = _expose;
        else if (!_any) Vary(headers);
    }

    private void Answer(HttpResponse response, HttpRequest request, string origin, string method)
    {
        response.StatusCode = StatusCodes.Status204NoContent;
        if (!Allow(response.Headers, origin)) return;
        response.Headers.AccessControlAllowMethods = _methods ?? method;
        if (_headers is not null) response.Headers.AccessControlAllowHeaders = _headers;
        else if (request.Headers.AccessControlRequestHeaders is [{ Length: < 4_096 } asked])
            response.Headers.AccessControlAllowHeaders = asked;
        if (_maxAge is not null) response.Headers.AccessControlMaxAge = _maxAge;
        response.Headers.Append("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers");
    }

    private bool Allow(IHeaderDictionary headers, string origin)
    {
        if (!_any) Vary(headers);
        if (!_any && !_origins.Contains(origin)) return false;
        headers.AccessControlAllowOrigin = _any ? "*" : origin;
        if (rules.Credentials) headers.AccessControlAllowCredentials = "true";
        return true;
    }

    private static void Vary(IHeaderDictionary headers)
    {
        foreach (var value in headers.Vary)
            if (value is not null && value.Contains("Origin", StringComparison.OrdinalIgnoreCase)) return;
        headers.Append("Vary", "Origin");
    }
}
