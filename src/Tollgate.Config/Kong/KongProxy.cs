using System.Text.Json;

namespace Tollgate.Config.Kong;

/// <summary>What the plugins of a service say of how its calls go there and back. Their configs are complete.</summary>
internal static class KongProxy
{
    public static ProxySettings Of(IEnumerable<KongPlugin> plugins)
    {
        var settings = ProxySettings.None;
        foreach (var plugin in plugins)
        {
            settings = plugin.Name switch
            {
                KongPlugin.Cors => settings with { Cors = CorsOf(plugin.Config) },
                KongPlugin.SizeLimiting => settings with { MaxBody = BytesOf(plugin.Config) },
                KongPlugin.Termination => settings with { Answer = AnswerOf(plugin.Config) },
                _ => settings,
            };
        }

        return settings;
    }

    private static CorsRules CorsOf(JsonElement config) => new()
    {
        Origins = Texts(config, "origins") ?? ["*"],
        Methods = Texts(config, "methods"),
        Headers = Texts(config, "headers"),
        Expose = Texts(config, "exposed_headers") ?? [],
        Credentials = config.GetProperty("credentials").GetBoolean(),
        MaxAge = config.GetProperty("max_age") is { ValueKind: JsonValueKind.Number } age ? age.GetInt32() : null,
    };

    private static long BytesOf(JsonElement config) => config.GetProperty("allowed_payload_size").GetInt64()
        * config.GetProperty("size_unit").GetString() switch { "bytes" => 1, "kilobytes" => 1L << 10, _ => 1L << 20 };

    private static CannedAnswer AnswerOf(JsonElement config) =>
        new(config.GetProperty("status_code").GetInt32(), Text(config, "message") ?? "Service unavailable")
        {
            Body = Text(config, "body"),
            ContentType = Text(config, "content_type"),
        };

    private static string? Text(JsonElement config, string name) =>
        config.GetProperty(name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static string[]? Texts(JsonElement config, string name) =>
        config.GetProperty(name) is { ValueKind: JsonValueKind.Array } list
            ? [.. list.EnumerateArray().Select(i => i.GetString()!)] : null;
}
