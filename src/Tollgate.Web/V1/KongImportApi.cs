using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Config.File;
using Tollgate.Web.Admin;
using Tollgate.Web.Kong;

namespace Tollgate.Web.V1;

/// <summary><c>POST /v1/config/kong</c>: Kong's declarative file, whole or not at all, with all that is not so here. With
/// <c>?check=true</c> nothing is taken over, and all is told.</summary>
internal static class KongImportApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var services = routes.ServiceProvider;
        routes.MapPost("/v1/config/kong", (HttpRequest request) => ImportAsync(request, services));
    }

    private static async Task<IResult> ImportAsync(HttpRequest request, IServiceProvider services)
    {
        var check = request.Query["check"].ToString();
        if (check is not ("" or "true" or "false")) return Answers.Invalid(new Problem("bad_value", "must be true or false", "check"));
        using var reader = new StreamReader(request.Body, new UTF8Encoding(false, throwOnInvalidBytes: false));
        JsonObject file;
        try
        {
            file = Read(await reader.ReadToEndAsync());
        }
        catch (Exception e) when (e is InvalidDataException or JsonException)
        {
            return Answers.Invalid(new Problem("not_readable", e.Message));
        }

        var import = new KongImport(new KongResources(services));
        await import.RunAsync(file);
        var refused = import.Differences.Where(d => d.Refused).ToArray();
        if (check == "true") throw new StoppedException { Answer = Answers.Ok(View(import, applied: false)) };
        // a part of it would not do: a route without the plugin that keeps callers out is open
        if (refused.Length > 0)
        {
            throw new StoppedException
            {
                Answer = Answers.Invalid([.. refused.Select(d => new Problem("not_taken_over", d.Detail,
                    d.Field.Length == 0 ? d.Place : d.Place.Length == 0 ? d.Field : $"{d.Place}.{d.Field}"))]),
            };
        }

        return Answers.Ok(View(import, applied: true));
    }

    /// <summary>A declarative file of Kong's, YAML or JSON.</summary>
    /// <exception cref="InvalidDataException">It is none; or a <see cref="JsonException"/>.</exception>
    internal static JsonObject Read(string text) => JsonNode.Parse(ConfigText.ToJson(text, "kong.yaml")) as JsonObject
        ?? throw new InvalidDataException("The file must be a record, as Kong's declarative files are.");

    private static object View(KongImport import, bool applied) => new
    {
        applied,
        added = import.Added,
        differences = import.Differences.Select(d => new { d.Place, d.Field, d.Detail, d.Refused }),
    };
}
