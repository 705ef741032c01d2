using System.Text.Json;

namespace Tollgate.Config.Kong;

/// <summary>What the plugins <c>jwt</c> and <c>acl</c> say of callers. Their configs are complete.</summary>
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

    public static AccessRules AccessOf(JsonElement config) => config.GetProperty("allow") is { ValueKind: JsonValueKind.Array }
        ? new AccessRules(true, Texts(config, "allow"), config.GetProperty("include_consumer_groups").GetBoolean())
        : new AccessRules(false, Texts(config, "deny"), config.GetProperty("include_consumer_groups").GetBoolean());

    private static string[] Texts(JsonElement config, string name) =>
        [.. config.GetProperty(name).EnumerateArray().Select(i => i.GetString()!)];
}
