using System.Text.Json.Nodes;
using Tollgate.Config;
using Tollgate.Config.Kong;

namespace Tollgate.Web.Kong;

/// <summary>Which pages of other origins may call.</summary>
internal sealed record CorsSchema() : PluginSchema(KongPlugin.Cors, OnCalls)
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        var origins = config.Texts("origins", o => CorsOrigin.WrongWith(o) is { } wrong ? $"'{o}' {wrong}" : null, 100);
        var methods = config.Texts("methods", m => KongText.IsMethod(m) ? null : "expected a method in capitals", 32);
        var headers = config.Texts("headers", HeaderFault, 100);
        var exposed = config.Texts("exposed_headers", HeaderFault, 100);
        var credentials = config.Flag("credentials") ?? false;
        var age = config.Integer("max_age", 0, 86_400);
        config.Only("preflight_continue", "a preflight is answered here", "false");
        config.Only("private_network", "not in this version; leave it out", "false");
        config.Only("allow_origin_absent", "an answer without an origin has no CORS headers; leave it out");
        if (credentials && (origins is null or { Count: 0 } || origins.Contains("*")))
            config.Note("credentials", "true needs origins that are listed: '*' would lend every page the caller's cookies");
        return new JsonObject
        {
            ["origins"] = origins is { Count: > 0 } ? KongEntity.List(origins) : KongEntity.List(["*"]),
            ["methods"] = methods is { Count: > 0 } ? KongEntity.List(methods) : null,
            ["headers"] = headers is { Count: > 0 } ? KongEntity.List(headers) : null,
            ["exposed_headers"] = exposed is { Count: > 0 } ? KongEntity.List(exposed) : null,
            ["credentials"] = credentials,
            ["max_age"] = age,
            ["preflight_continue"] = false,
            ["private_network"] = false,
        };
    }

    private static string? HeaderFault(string name) => ReservedHeaders.IsName(name) ? null : "expected the name of a header";
}

/// <summary>How large a body may be that is sent.</summary>
internal sealed record SizeLimitingSchema() : PluginSchema(KongPlugin.SizeLimiting, OnCalls)
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        var size = config.Integer("allowed_payload_size", 0, 1 << 20) ?? 128;
        var unit = config.OneOf("size_unit", "megabytes", "kilobytes", "bytes") ?? "megabytes";
        config.Only("require_content_length", "a body without a length is counted as it comes; leave it out", "false");
        return new JsonObject
        {
            ["allowed_payload_size"] = size,
            ["size_unit"] = unit,
            ["require_content_length"] = false,
        };
    }
}

/// <summary>What calls are told instead of being forwarded.</summary>
internal sealed record TerminationSchema() : PluginSchema(KongPlugin.Termination, OnCalls)
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        var status = config.Integer("status_code", 200, 599) ?? 503;
        var message = config.Text("message", most: 1_024);
        var body = config.Text("body", most: 65_536);
        var type = config.Text("content_type", most: 128);
        if (message is not null && body is not null) config.Note("message", "cannot be used with 'body'");
        if (type is not null && body is null) config.Note("content_type", "needs a 'body'");
        config.Only("echo", "not in this version; leave it out", "false");
        config.None("not in this version", "trigger");
        return new JsonObject
        {
            ["status_code"] = status,
            ["message"] = message,
            ["body"] = body,
            ["content_type"] = type,
            ["echo"] = false,
            ["trigger"] = null,
        };
    }
}
