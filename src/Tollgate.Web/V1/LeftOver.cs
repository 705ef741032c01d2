using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Template;
using Tollgate.Catalog;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary>What is asked below <c>/v1</c> and is not there: a path nobody knows, or a method that a path does not have.
/// </summary>
internal static class LeftOver
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        // read at the first miss, when everything is mapped
        var known = new Lazy<(TemplateMatcher Path, IReadOnlyList<string> Methods)[]>(() => routes.DataSources
            .SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .Select(e => (Path: e.RoutePattern, e.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods))
            .Where(e => e.HttpMethods is not null && e.Path.RawText!.StartsWith("/v1/", StringComparison.Ordinal))
            .Select(e => (new TemplateMatcher(new RouteTemplate(e.Path), []), e.HttpMethods!)).ToArray());
        routes.Map("/v1/{**rest}", context => AnswerAsync(context, known.Value)).WithOrder(1)
            .Needs(AdminScope.Read);
    }

    private static Task AnswerAsync(
        HttpContext context, IEnumerable<(TemplateMatcher Path, IReadOnlyList<string> Methods)> known)
    {
        var path = context.Request.Path;
        var methods = known.Where(k => k.Path.TryMatch(path, [])).SelectMany(k => k.Methods).Distinct().ToArray();
        if (methods.Length == 0)
            return Answers.NotFound("path", path.Value!).ExecuteAsync(context);
        var allow = string.Join(", ", methods);
        context.Response.Headers.Allow = allow;
        return Answers.Refused(StatusCodes.Status405MethodNotAllowed,
            [new Problem("method_not_allowed", $"This path has {allow}.")]).ExecuteAsync(context);
    }
}
