using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Tollgate.Web.Kong;

/// <summary>
/// An answer in Kong's form. Errors have Kong's names and codes (2 schema violation, 4 foreign key violation,
/// 5 unique constraint violation, 7 invalid offset, 9 invalid size), since its clients switch on them.
/// </summary>
internal sealed record KongAnswer(int Status, JsonObject? Body = null)
{
    private static readonly JsonSerializerOptions s_json =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static KongAnswer NoContent { get; } = new(StatusCodes.Status204NoContent);

    /// <summary>Whether the store was changed, and so has to be published.</summary>
    public bool Wrote => Status is StatusCodes.Status201Created or StatusCodes.Status204NoContent;

    public static KongAnswer Ok(JsonObject body) => new(StatusCodes.Status200OK, body);

    public static KongAnswer Created(JsonObject body) => new(StatusCodes.Status201Created, body);

    public static KongAnswer NotFound() => Said(StatusCodes.Status404NotFound, "Not found");

    public static KongAnswer Said(int status, string message) => new(status, new JsonObject { ["message"] = message });

    public static KongAnswer Refused(int status, string name, int code, string message, JsonObject? fields = null)
    {
        var body = new JsonObject { ["message"] = message, ["name"] = name, ["code"] = code };
        if (fields is not null) body["fields"] = fields;
        return new KongAnswer(status, body);
    }

    /// <summary>All that is wrong with a request, at once.</summary>
    /// <param name="faults">In the shape of the request: a text where a value is wrong.</param>
    public static KongAnswer SchemaViolation(JsonObject faults)
    {
        const int mostTold = 20;
        var told = new List<string>();
        Tell(faults, "", told);
        told.Sort(StringComparer.Ordinal);
        var count = told.Count == 1 ? "schema violation" : $"{told.Count} schema violations";
        var more = told.Count > mostTold ? $"; and {told.Count - mostTold} more" : "";
        return Refused(StatusCodes.Status400BadRequest, "schema violation", 2,
            $"{count} ({string.Join("; ", told.Take(mostTold))}{more})", faults);
    }

    /// <summary>Something with these values exists already.</summary>
    public static KongAnswer Taken(JsonObject fields) => Refused(StatusCodes.Status409Conflict,
        "unique constraint violation", 5, $"UNIQUE violation detected on '{Lua(fields)}'", fields);

    /// <summary>A reference in a body leads nowhere.</summary>
    /// <param name="kind">As in Kong's paths: <c>services</c>.</param>
    public static KongAnswer NoSuch(string field, JsonNode reference, string kind)
    {
        var told = reference is JsonObject whole ? whole : new JsonObject { ["name"] = reference.DeepClone() };
        return Refused(StatusCodes.Status400BadRequest, "foreign key violation", 4,
            $"the foreign key '{Lua(told)}' does not reference an existing '{kind}' entity.",
            new JsonObject { [field] = reference.DeepClone() });
    }

    /// <summary>Something else still refers to what was to be removed.</summary>
    public static KongAnswer InUse(string kind, string by) => Refused(StatusCodes.Status400BadRequest,
        "foreign key violation", 4, $"an existing '{by}' entity references this '{kind}' entity",
        new JsonObject { ["@referenced_by"] = by });

    /// <summary>The file or the API of Tollgate owns it; two owners would undo each other's changes.</summary>
    public static KongAnswer OwnedElsewhere(string what, string name, string owner) => Refused(
        StatusCodes.Status409Conflict, "operation unsupported", 12,
        $"the {what} '{name}' is managed by the {owner}: change it there");

    public async Task WriteAsync(HttpContext context)
    {
        context.Response.StatusCode = Status;
        if (Body is null) return;
        context.Response.ContentType = "application/json; charset=utf-8";
        var bytes = Encoding.UTF8.GetBytes(Body.ToJsonString(s_json));
        context.Response.ContentLength = bytes.Length;
        await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    private static void Tell(JsonNode? node, string path, List<string> told)
    {
        switch (node)
        {
            case JsonObject record:
                foreach (var (name, fault) in record) Tell(fault, path.Length == 0 ? name : $"{path}.{name}", told);
                break;
            case JsonArray list:
                for (var i = 0; i < list.Count; i++) Tell(list[i], $"{path}[{i + 1}]", told);
                break;
            case not null:
                told.Add($"{path}: {node.GetValue<string>()}");
                break;
        }
    }

    /// <summary>Values as Kong prints them: Lua's tables.</summary>
    private static string Lua(JsonNode? node) => node switch
    {
        null => "null",
        JsonObject record => "{" + string.Join(",", record.Select(f => $"{f.Key}={Lua(f.Value)}")) + "}",
        JsonArray list => "{" + string.Join(",", list.Select(Lua)) + "}",
        _ => node.ToJsonString(s_json),
    };
}
