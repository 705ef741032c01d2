using System.Text.Json.Nodes;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.Kong;

namespace Tollgate.Web.Kong;

/// <summary>
/// What a plugin's config may say. It is stored complete, with the values that hold when nothing was said, so that
/// reading it back shows what is done.
/// </summary>
/// <param name="Scopes">The fields of the scopes at which it works; <see cref="PluginScope.Everywhere"/> for none of them.</param>
internal abstract record PluginSchema(string Name, params IReadOnlyList<string> Scopes)
{
    // before the schemas, which are made of it
    /// <summary>What a plugin can be on that says how calls of a service go.</summary>
    protected static readonly string[] OnCalls = ["service", "route", PluginScope.Everywhere];

    private static readonly PluginSchema[] s_all =
    [
        new KeyAuthSchema(), new RateLimitingSchema(), new GatingSchema(), new CorsSchema(), new SizeLimitingSchema(),
        new TerminationSchema(), new JwtSchema(), new AclSchema(), new AdvancedLimitingSchema(), new PrometheusSchema(),
    ];

    public static IEnumerable<string> Names => s_all.Select(s => s.Name);

    public static PluginSchema? Find(string name) => Array.Find(s_all, s => s.Name == name);

    /// <summary>Where to find what a plugin of Kong's does that is not here; null for those that nothing stands for.</summary>
    public static string? InsteadOf(string name) => name switch
    {
        "response-ratelimiting" => "units that an answer tells in X-Kong-Limit are counted on meters: limit them with quotas " +
            "(POST /v1/plans/{plan}/versions)",
        "request-transformer" or "response-transformer" => "an API of the file has request_headers and response_headers",
        "openid-connect" or "oauth2" => "an API of the file has jwt, for tokens of an issuer",
        "tcp-log" or "http-log" or "file-log" => "calls are at GET /v1/calls and in the archive",
        _ => null,
    };

    /// <summary>Reads the config of a plugin; what is wrong is noted in the fields.</summary>
    /// <param name="at">What it is read against.</param>
    public abstract JsonObject Complete(KongFields plugin, PluginSurroundings at);

    /// <summary>Where it works, in words.</summary>
    public string Where => $"{Name} works {string.Join(", ", Scopes.Select(PluginScope.InWords))} in this version: POST "
        + string.Join(", ", Scopes.Select(PluginScope.PathOf));
}

/// <summary>Asks for a key.</summary>
internal sealed record KeyAuthSchema() : PluginSchema(KongPlugin.KeyAuth, OnCalls)
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        var names = config.Texts("key_names", KeyHeader.FaultOf, 16);
        if (names is { Count: 0 }) config.Note("key_names", "length must be at least 1");
        config.Only("key_in_header", "keys are taken from headers", "true");
        var inQuery = config.Flag("key_in_query") ?? false;
        config.Only("key_in_body", "keys are taken from headers and the query", "false");
        config.Only("hide_credentials", "a key never reaches the upstream; leave it out or send true", "true");
        config.Only("run_on_preflight", "a call without a key is refused, whatever its method", "true");
        var anonymous = config.Text("anonymous");
        config.None("the realm cannot be set in this version", "realm", "identity_realms");
        return new JsonObject
        {
            ["key_names"] = KongEntity.List(names ?? Publication.DefaultKeyHeaders),
            ["key_in_header"] = true,
            ["key_in_query"] = inQuery,
            ["key_in_body"] = false,
            ["hide_credentials"] = true,
            ["run_on_preflight"] = true,
            ["anonymous"] = anonymous,
        };
    }
}

/// <summary>How often each consumer of a group may call: limits of its plan. On a consumer, what that one has in their place.
/// </summary>
internal sealed record RateLimitingSchema() : PluginSchema(KongPlugin.RateLimiting, "consumer_group", PluginScope.Consumer)
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        var complete = new JsonObject();
        (string Name, long Count)? shorter = null;
        foreach (var unit in Enum.GetValues<WindowUnit>())
        {
            var name = Catalog.LimitWindow.NameOf(unit);
            var count = config.Integer(name, 1, Limit.MaxCount);
            complete[name] = count;
            if (count is not { } here) continue;
            if (shorter is { } before && here < before.Count)
                config.Note(name, $"the limit for {name} ({here}) cannot be lower than the limit for " +
                    $"{before.Name} ({before.Count})");
            shorter = (name, here);
        }

        if (!Enum.GetValues<WindowUnit>().Any(u => config.Has(Catalog.LimitWindow.NameOf(u))))
            plugin.Note("@entity", "at least one of these fields must be non-empty: 'config.second', " +
                "'config.minute', 'config.hour', 'config.day', 'config.month', 'config.year'");
        var policy = CountedWhere.Read(config, "policy", at.Redis);
        config.Only("limit_by", "limits are counted per consumer", "consumer");
        config.Only("fault_tolerant", "what happens while counters cannot be shared is said by limits_unavailable of the plan", "true");
        config.Only("hide_client_headers", "callers are told what is left", "false");
        config.Only("error_code", "a refusal is a 429", "429");
        config.Only("error_message", "a refusal has its own text", "API rate limit exceeded");
        config.Only("sync_rate", "counters are exact at every call", "-1");
        config.None("limits are counted per consumer", "header_name", "path");
        complete["policy"] = policy;
        complete["limit_by"] = "consumer";
        complete["fault_tolerant"] = true;
        complete["hide_client_headers"] = false;
        complete["error_code"] = 429;
        complete["error_message"] = "API rate limit exceeded";
        return complete;
    }
}

/// <summary>Which group may call what of a service; everything else of it is refused.</summary>
internal sealed record GatingSchema() : PluginSchema(KongPlugin.EndpointGating, "service")
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        var map = config.Map("endpoint_map");
        if (!config.Has("endpoint_map")) config.Note("endpoint_map", "required field missing");
        var complete = new JsonObject();
        foreach (var group in map.Names.ToArray())
        {
            var entries = map.Texts(group, PathRules.FaultOfEntry, KongForm.MaxFields);
            if (!at.Groups.Contains(group))
                map.Note(KongText.Shown(group), "no consumer group has this name; create it first");
            complete[group] = KongEntity.List(entries ?? []);
        }

        return new JsonObject { ["endpoint_map"] = complete };
    }
}
