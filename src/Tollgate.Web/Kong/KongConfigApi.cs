using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Tollgate.Web.Admin;
using Tollgate.Web.V1;

namespace Tollgate.Web.Kong;

/// <summary>
/// <c>POST /config</c>: Kong's call for servers without a database. Here it is what <c>POST /v1/config/kong</c> does, whole or not at
/// all, in Kong's words: it adds to what is there, and replaces and removes nothing.
/// </summary>
internal static class KongConfigApi
{
    // how a file calls what the import calls by its path
    private static readonly Dictionary<string, string> s_names = new(StringComparer.Ordinal)
    {
        ["key-auths"] = "keyauth_credentials",
        ["jwts"] = "jwt_secrets",
        ["memberships"] = "consumer_group_consumers",
    };

    public static async Task<KongAnswer> ApplyAsync(KongRequest request, IServiceProvider services)
    {
        var (text, refusal) = await request.DeclarativeAsync();
        if (refusal is not null) return refusal;
        JsonObject file;
        try
        {
            file = KongImportApi.Read(text!);
            if (file["config"] is JsonValue inner && inner.GetValueKind() == JsonValueKind.String)
                file = KongImportApi.Read(inner.GetValue<string>());
        }
        catch (Exception e) when (e is InvalidDataException or JsonException)
        {
            return KongAnswer.Said(StatusCodes.Status400BadRequest, "failed parsing declarative configuration: " + e.Message);
        }

        var import = new KongImport(new KongResources(services));
        await import.RunAsync(file);
        // a part of it would not do: a route without the plugin that keeps callers out is open
        if (import.Differences.Exists(d => d.Refused)) throw new StoppedException { Answer = new Stopped(Refused(import)) };
        var body = new JsonObject(import.Entities.Select(e => KeyValuePair.Create(s_names.GetValueOrDefault(e.Key, e.Key),
            e.Key == "memberships" ? (JsonNode?)new JsonArray([.. e.Value]) : new JsonObject(e.Value.Select(one =>
                KeyValuePair.Create($"{one["id"]}", (JsonNode?)one))))));
        if (import.Differences.Count > 0)
            body["differences"] = KongEntity.List([.. import.Differences.Select(d => $"{d.Place} {d.Field}: {d.Detail}")]);
        return KongAnswer.Created(body);
    }

    private static KongAnswer Refused(KongImport import)
    {
        var faults = new JsonObject();
        foreach (var difference in import.Differences.Where(d => d.Refused))
        {
            // what is said of a whole thing stands beside what is said of its fields
            var field = difference.Field.Length == 0 && difference.Place.EndsWith(']') ? "@entity" : difference.Field;
            Put(faults, [.. Steps(difference.Place), .. Steps(field)], difference.Detail);
        }

        return KongAnswer.Refused(StatusCodes.Status400BadRequest, "invalid declarative configuration", 14,
            "declarative config is invalid: " + KongAnswer.SchemaViolation((JsonObject)faults.DeepClone()).Body!["message"], faults);
    }

    /// <summary><c>services[0].paths</c> as <c>services</c>, 0, <c>paths</c>.</summary>
    private static IEnumerable<string> Steps(string place) =>
        place.Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries);

    /// <summary>In the shape of the file; where there is a fault already, that one stays.</summary>
    private static void Put(JsonObject faults, string[] steps, string detail)
    {
        JsonNode at = faults;
        for (var i = 0; i < steps.Length; i++)
        {
            var last = i == steps.Length - 1;
            var child = last ? JsonValue.Create(detail)
                : int.TryParse(steps[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out _) ? new JsonArray()
                : (JsonNode)new JsonObject();
            if (at is JsonArray list)
            {
                var index = int.Parse(steps[i], CultureInfo.InvariantCulture);
                while (list.Count <= index) list.Add(null);
                at = list[index] ??= child;
            }
            else if (at is JsonObject record)
            {
                at = record[steps[i]] ??= child;
            }
            else
            {
                return;
            }
        }
    }

    private sealed class Stopped(KongAnswer answer) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext) => answer.WriteAsync(httpContext);
    }
}
