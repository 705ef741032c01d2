using System.Text.Json.Nodes;
using Tollgate.Catalog;
using Tollgate.Config.Kong;

namespace Tollgate.Web.Kong;

/// <summary>Limits of a group's plan by windows of Kong's: several sizes, aligned or sliding.</summary>
internal sealed record AdvancedLimitingSchema() : PluginSchema(KongPlugin.RateLimitingAdvanced, "consumer_group", PluginScope.Consumer)
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        var limits = config.Integers("limit", 1, Limit.MaxCount);
        var sizes = config.Integers("window_size", 1, long.MaxValue);
        var type = config.OneOf("window_type", "fixed", "sliding") ?? "sliding";
        if (!config.Has("limit")) config.Note("limit", "required field missing");
        if (!config.Has("window_size")) config.Note("window_size", "required field missing");
        if (sizes is not null && sizes.FirstOrDefault(s => KongWindow.UnitOf(s) is null) is > 0 and var odd)
            config.Note("window_size", $"not supported: {odd}; windows here are of {string.Join(", ", KongWindow.Sizes)} seconds");
        else if (sizes is not null && sizes.Distinct().Count() < sizes.Count)
            config.Note("window_size", "the same window twice: the tighter limit says all");
        if (limits is not null && sizes is not null && limits.Count != sizes.Count)
            config.Note("limit", $"{limits.Count} limits for {sizes.Count} windows: give as many of each");
        var strategy = CountedWhere.Read(config, "strategy", at.Redis);
        config.Only("identifier", "limits are counted per consumer", "consumer");
        // to Kong 0 is a question to Redis at every call
        config.Only("sync_rate", "counters are exact at every call", strategy == CountedWhere.Redis ? ["-1", "0"] : ["-1"]);
        config.Only("hide_client_headers", "callers are told what is left", "false");
        config.Only("error_code", "a refusal is a 429", "429");
        config.Only("error_message", "a refusal has its own text", "API rate limit exceeded");
        config.Only("retry_after_jitter_max", "Retry-After is exact", "0");
        config.Only("disable_penalty", "a refusal takes nothing; leave it out or send true", "true");
        config.Only("enforce_consumer_groups", "it is on the group or the consumer itself: leave it out", "false");
        config.None("it is on the group or the consumer itself: leave it out", "consumer_groups");
        config.None("limits are counted per consumer", "header_name", "path");
        config.None("this is of the server, not of a plugin", "namespace", "dictionary_name", "lock_dictionary_name");
        return new JsonObject
        {
            ["limit"] = Numbers(limits),
            ["window_size"] = Numbers(sizes),
            ["window_type"] = type,
            ["strategy"] = strategy,
            ["identifier"] = "consumer",
            ["sync_rate"] = -1,
            ["hide_client_headers"] = false,
            ["disable_penalty"] = true,
        };
    }

    private static JsonArray Numbers(IReadOnlyList<long>? numbers) => new([.. (numbers ?? []).Select(n => JsonValue.Create(n))]);
}

/// <summary>Metrics are at <c>/metrics</c> with and without it.</summary>
internal sealed record PrometheusSchema() : PluginSchema(KongPlugin.Prometheus, PluginScope.Everywhere)
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        config.Only("per_consumer", "consumers are told apart (the first thousand): send true or leave it out", "true");
        config.Only("latency_metrics", "latencies are measured: send true or leave it out", "true");
        config.Only("status_code_metrics", "not counted in this version", "false");
        config.Only("bandwidth_metrics", "not counted in this version", "false");
        config.Only("upstream_health_metrics", "not shown in this version", "false");
        config.Only("ai_metrics", "not counted in this version", "false");
        config.Only("wasm_metrics", "there is no WebAssembly here", "false");
        return new JsonObject { ["per_consumer"] = true, ["latency_metrics"] = true, ["status_code_metrics"] = false };
    }
}
