using System.Text.Json.Nodes;

namespace Tollgate.Web.Kong;

/// <summary>What Kong's tools write into a file without anybody having asked for it: it is left out, and where it is not so here
/// that is said.</summary>
internal static class KongDefaults
{
    private const string Streamed = "bodies are streamed here", Hidden = "a credential never reaches the upstream here",
        Apart = "the upstream is told the plan, not the groups of acl", Untagged = "these have no tags here: left out";

    // of a kind, or of the config of a plugin: a value that says nothing here, and what is so instead
    private static readonly (string Of, string Field, string Value, string? Instead)[] s_values =
    [
        ("routes", "request_buffering", "true", Streamed), ("routes", "response_buffering", "true", Streamed),
        ("key-auth", "hide_credentials", "false", Hidden), ("acl", "hide_groups_header", "false", Apart),
        ("rate-limiting-advanced", "dictionary_name", "kong_rate_limiting_counters", null),
    ];

    // tools of Kong fill these in, and nothing here stands for them
    private static readonly (string Of, string Field)[] s_fields =
    [
        ("rate-limiting", "redis"), ("rate-limiting-advanced", "redis"), ("rate-limiting-advanced", "namespace"),
    ];

    /// <param name="item">Of the file; gets what is left.</param>
    /// <param name="kind">As in Kong's paths.</param>
    /// <param name="nested">Where it stands says already what it belongs to.</param>
    /// <param name="tell">Told of what is another way here: field and how.</param>
    public static void Leave(JsonObject item, string kind, bool nested, Action<string, string> tell)
    {
        foreach (var name in (string[])["id", "created_at", "updated_at", "_comment"]) item.Remove(name);
        if (nested)
            foreach (var name in (string[])["service", "route", "consumer", "consumer_group", "upstream"])
                if (kind != "memberships") item.Remove(name);
        if (kind is "consumers" or "consumer_groups" or "key-auths" or "jwts" or "acls")
        {
            if (item["tags"] is JsonArray { Count: > 0 }) tell("tags", Untagged);
            item.Remove("tags");
        }

        Nulls(item);
        Values(item, kind, "", tell);
        if (kind == "plugins" && item["config"] is JsonObject config)
        {
            var plugin = (item["name"] as JsonValue)?.ToString() ?? "";
            var counted = (config["policy"] ?? config["strategy"])?.ToString() ?? CountedWhere.Local;
            foreach (var field in s_fields.Where(f => f.Of == plugin).SelectMany(f => config.Where(c => IsOf(c.Key, f.Field))).ToArray())
            {
                config.Remove(field.Key);
                if (counted != CountedWhere.Local && field.Key != "namespace")
                    tell("config." + field.Key, "says nothing: counters are shared over the Redis that the server is started with");
            }

            if (s_fields.Any(f => f.Of == plugin) && config["sync_rate"] is { } rate && $"{rate}" != "-1")
            {
                config.Remove("sync_rate");
                tell("config.sync_rate", $"{rate} says nothing: counters are exact at every call");
            }

            Values(config, plugin, "config.", tell);
        }
    }

    private static void Values(JsonObject item, string of, string path, Action<string, string> tell)
    {
        foreach (var (_, field, value, instead) in s_values.Where(v => v.Of == of && item[v.Field]?.ToString() == v.Value))
        {
            item.Remove(field);
            if (instead is not null) tell(path + field, $"{value} says nothing: {instead}");
        }
    }

    /// <summary>The record of a Redis, or one of the fields that were there before it.</summary>
    private static bool IsOf(string name, string field) =>
        name == field || field == "redis" && name.StartsWith("redis_", StringComparison.Ordinal);

    private static void Nulls(JsonObject item)
    {
        foreach (var (name, value) in item.ToArray())
        {
            if (value is null) item.Remove(name);
            else if (value is JsonObject inner) Nulls(inner);
        }
    }
}
