using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>
/// Kong's schemas, made by reading an empty thing of each kind: what is asked for on the way is what may be sent, and what is stored
/// then are the defaults. Tools fill in defaults by them, and ask whether something would be taken.
/// </summary>
internal sealed class SchemasApi(Database database, PluginsApi plugins)
{
    private static readonly string s_id = Guid.Empty.ToString("N");

    // how each kind is read, and what is stored of one that says no more than it must
    private static readonly Dictionary<string, (Action<KongFields> Read, Func<JsonObject> Least)> s_kinds = new(StringComparer.Ordinal)
    {
        ["services"] = (f => ServicesApi.Read(f), () => ServicesApi.Write(Row(KongJson.Write(new KongService { Host = "x" })))),
        ["routes"] = (ReadRoute, () => RoutesApi.Write(Row(KongJson.Write(new KongRoute { Service = s_id })))),
        ["upstreams"] = (ReadUpstream, () => UpstreamsApi.Write(Row(KongJson.Write(new KongUpstream())))),
        ["consumers"] = (f => ConsumersApi.Read(f), () => []),
        ["consumer_groups"] = (f => GroupsApi.Read(f), () => []),
    };

    // of one that says no more than it must: what the caller has to say is no default
    private static readonly HashSet<string> s_said = ["name", "host", "service", "paths", "created_at", "updated_at", "id"];

    public async Task<KongAnswer> OfPluginAsync(KongRequest request)
    {
        var name = request["p"];
        if (PluginSchema.Find(name) is not { } schema)
            return KongAnswer.Said(StatusCodes.Status404NotFound, $"No plugin named '{KongText.Shown(name)}'");
        var at = await database.ReadAsync(plugins.SurroundingsAsync);
        var shape = new KongShape();
        var fields = new KongFields(new JsonObject { ["name"] = name }, isForm: false) { Shape = shape };
        PluginsApi.Read(fields, at, out _, null);
        _ = fields.Refusal;
        var defaults = schema.Complete(new KongFields([], isForm: false), at);
        var told = shape.ToFields(fields.Faults, new JsonObject { ["config"] = defaults },
            [.. PluginScope.Fields, "protocols", "config"]);
        foreach (var field in told.OfType<JsonObject>().SelectMany(f => f))
            if (PluginScope.Fields.Contains(field.Key) && !schema.Scopes.Contains(field.Key)) field.Value!["eq"] = null;
        return KongAnswer.Ok(new JsonObject { ["fields"] = told });
    }

    public static Task<KongAnswer> OfKind(KongRequest request)
    {
        if (!s_kinds.TryGetValue(request["kind"], out var kind)) return Task.FromResult(NoSuch(request));
        var shape = new KongShape();
        var fields = new KongFields([], isForm: false) { Shape = shape };
        kind.Read(fields);
        _ = fields.Refusal;
        var defaults = kind.Least();
        foreach (var name in s_said) defaults.Remove(name);
        return Task.FromResult(KongAnswer.Ok(new JsonObject { ["fields"] = shape.ToFields(fields.Faults, defaults) }));
    }

    /// <summary>Whether a plugin would be taken, but for what it refers to.</summary>
    public async Task<KongAnswer> CheckPluginAsync(KongRequest request, KongFields fields)
    {
        fields.Stored = new JsonObject { ["id"] = fields.GivenId() };
        PluginsApi.Read(fields, await database.ReadAsync(plugins.SurroundingsAsync), out _, null);
        return fields.Refusal ?? Good();
    }

    /// <summary>Whether a thing would be taken, but for what it refers to and is beside.</summary>
    public static Task<KongAnswer> Check(KongRequest request, KongFields fields)
    {
        if (!s_kinds.TryGetValue(request["kind"], out var kind)) return Task.FromResult(NoSuch(request));
        fields.Stored = new JsonObject { ["id"] = fields.GivenId() };
        kind.Read(fields);
        return Task.FromResult(fields.Refusal ?? Good());
    }

    private static void ReadRoute(KongFields fields)
    {
        fields.Reference("service");
        if (!fields.Has("service")) fields.Note("service", "required field missing");
        RoutesApi.Read(fields);
    }

    private static void ReadUpstream(KongFields fields)
    {
        fields.Name(required: true);
        UpstreamsApi.Read(fields);
    }

    private static KongAnswer Good() => KongAnswer.Said(StatusCodes.Status200OK, "schema validation successful");

    private static KongAnswer NoSuch(KongRequest request) =>
        KongAnswer.Said(StatusCodes.Status404NotFound, $"No entity named '{KongText.Shown(request["kind"])}'");

    private static ConfigRow Row(string document) => new("", "", s_id, "kong", document, 0, 0);
}
