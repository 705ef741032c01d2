using System.Text.Json;

namespace Tollgate.Config.Kong;

/// <summary>What the plugin <c>jwt</c> says of tokens. Its config is complete.</summary>
internal static class KongTokens
{
    public static BearerRules RulesOf(JsonElement config, bool gated) => new()
    {
        Headers = Texts(config, "header_names"),
        Queries = Texts(config, "uri_param_names"),
        Cookies = Texts(config, "cookie_names"),
        KeyClaim = config.GetProperty("key_claim_name").GetString()!,
        Demanded = Texts(config, "claims_to_verify"),
        MaximumExpiration = config.GetProperty("maximum_expiration").GetInt32(),
        SecretIsBase64 = config.GetProperty("secret_is_base64").GetBoolean(),
        // a gate asks who calls, whatever the method
        PassesPreflights = !gated && !config.GetProperty("run_on_preflight").GetBoolean(),
    };

    private static string[] Texts(JsonElement config, string name) =>
        [.. config.GetProperty(name).EnumerateArray().Select(i => i.GetString()!)];
}
