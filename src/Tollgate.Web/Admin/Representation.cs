using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.AspNetCore.Routing.Template;

namespace Tollgate.Web.Admin;

/// <summary>
/// What a GET of a resource would answer now: the state that an ETag stands for, and what the audit log shows before and
/// after a change. It is asked of the route itself, so a new resource has all of it by having a GET.
/// </summary>
public sealed class Representation(EndpointDataSource endpoints)
{
    // read at the first use, when everything is mapped
    private readonly Lazy<(TemplateMatcher Path, RouteEndpoint Route)[]> _gets = new(() =>
    [
        .. endpoints.Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods.Contains(HttpMethods.Get) == true)
            .OrderBy(e => e.Order).ThenBy(e => e.RoutePattern.InboundPrecedence)
            .Select(e => (new TemplateMatcher(new RouteTemplate(e.RoutePattern), []), e)),
    ]);

    /// <summary>The ETag of an answer (RFC 9110 8.8.3): strong, of its bytes.</summary>
    public static string TagOf(ReadOnlySpan<byte> body) =>
        $"\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 12))}\"";

    /// <summary>The path of what a request changes: its own path, or for an action such as <c>…/cancel</c> the one that
    /// it stands under. Null: it makes something new, or what it changes has no GET.</summary>
    public string? Changed(HttpRequest request)
    {
        var path = request.Path.Value!.TrimEnd('/');
        var own = Find(path);
        if (own is not null && (IsOne(own.Value.Route) || !HttpMethods.IsPost(request.Method))) return path;
        if (own is not null || !HttpMethods.IsPost(request.Method)) return null;
        for (var end = path.LastIndexOf('/'); end > 0; end = path.LastIndexOf('/', end - 1))
        {
            if (Find(path[..end]) is not var (_, route)) continue;
            return IsOne(route) ? path[..end] : null;
        }

        return null;
    }

    /// <summary>The JSON of a resource with its ETag, or null when there is none.</summary>
    public async Task<(byte[] Json, string Tag)?> ReadAsync(HttpContext of, string path)
    {
        if (Find(path) is not var (values, route)) return null;
        using var body = new MemoryStream();
        var inner = new DefaultHttpContext { RequestServices = of.RequestServices };
        inner.Request.Method = HttpMethods.Get;
        inner.Request.Scheme = of.Request.Scheme;
        inner.Request.Host = of.Request.Host;
        inner.Request.Path = path;
        inner.Request.RouteValues = values;
        inner.Response.Body = body;
        inner.Features.Set(AdminCaller.Of(of));
        inner.SetEndpoint(route);
        await route.RequestDelegate!(inner);
        var json = inner.Response.ContentType?.Contains("json", StringComparison.Ordinal) == true;
        if (inner.Response.StatusCode != StatusCodes.Status200OK || !json) return null;
        var own = inner.Response.Headers.ETag;
        return (body.ToArray(), own.Count > 0 ? own.ToString() : TagOf(body.ToArray()));
    }

    private static bool IsOne(RouteEndpoint route) =>
        route.RoutePattern.PathSegments is { Count: > 0 } segments && segments[^1].Parts[^1] is RoutePatternParameterPart;

    private (RouteValueDictionary Values, RouteEndpoint Route)? Find(string path)
    {
        foreach (var (matcher, route) in _gets.Value)
        {
            var values = new RouteValueDictionary();
            if (matcher.TryMatch(path, values)) return (values, route);
        }

        return null;
    }
}
