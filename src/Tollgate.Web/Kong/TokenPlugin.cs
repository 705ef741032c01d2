using System.Text.Json.Nodes;
using Tollgate.Config;
using Tollgate.Config.Kong;

namespace Tollgate.Web.Kong;

/// <summary>Asks for a token that a consumer has signed.</summary>
internal sealed record JwtSchema() : PluginSchema(KongPlugin.Jwt, OnCalls)
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        var headers = config.Texts("header_names", HeaderFault, 16) ?? ["authorization"];
        var queries = config.Texts("uri_param_names", ParameterFault, 16) ?? ["jwt"];
        var cookies = config.Texts("cookie_names", CookieFault, 16) ?? [];
        if (headers.Count + queries.Count + cookies.Count == 0)
            config.Note("header_names", "a token must have a place: name a header, a parameter of the query or a cookie");
        var demanded = config.Texts("claims_to_verify", c => c is "exp" or "nbf" ? null : "expected one of: exp, nbf", 2) ?? [];
        var most = config.Integer("maximum_expiration", 0, BearerRules.MostSeconds) ?? 0;
        if (most > 0 && !demanded.Contains("exp")) config.Note("claims_to_verify", "must contain 'exp' when maximum_expiration is set");
        var claim = config.Text("key_claim_name", most: 128) ?? "iss";
        var base64 = config.Flag("secret_is_base64") ?? false;
        var preflight = config.Flag("run_on_preflight") ?? true;
        var anonymous = config.Text("anonymous");
        config.None("the realm cannot be set in this version", "realm");
        return new JsonObject
        {
            ["header_names"] = KongEntity.List(headers),
            ["uri_param_names"] = KongEntity.List(queries),
            ["cookie_names"] = KongEntity.List(cookies),
            ["key_claim_name"] = claim,
            ["claims_to_verify"] = KongEntity.List(demanded),
            ["maximum_expiration"] = most,
            ["secret_is_base64"] = base64,
            ["run_on_preflight"] = preflight,
            ["anonymous"] = anonymous,
        };
    }

    private static string? HeaderFault(string name) =>
        name.Equals("Authorization", StringComparison.OrdinalIgnoreCase) ? null : KeyHeader.FaultOf(name);

    private static string? ParameterFault(string name) =>
        name.Length <= 128 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
        ? null : "expected the name of a parameter: letters, digits, '-', '_' and '.'";

    private static string? CookieFault(string name) =>
        ReservedHeaders.IsName(name) ? null : "expected the name of a cookie: letters, digits, '-' and '_'";
}

/// <summary>Admits consumers by their groups, or keeps them out.</summary>
internal sealed record AclSchema() : PluginSchema(KongPlugin.Acl, OnCalls)
{
    public override JsonObject Complete(KongFields plugin, PluginSurroundings at)
    {
        var config = plugin.Record("config");
        var allow = config.Texts("allow", GroupFault);
        var deny = config.Texts("deny", GroupFault);
        foreach (var (name, list) in new[] { ("allow", allow), ("deny", deny) })
            if (list is { Count: 0 }) config.Note(name, "length must be at least 1");
        if (config.Has("allow") && config.Has("deny")) config.Note("deny", "only one of these fields may be set: allow, deny");
        if (!config.Has("allow") && !config.Has("deny")) config.Note("allow", "exactly one of these fields must be set: allow, deny");
        config.None("old names of allow and deny", "whitelist", "blacklist");
        config.Only("hide_groups_header", "the upstream is told the plan in X-Consumer-Groups, and no group of acl; send true", "true");
        config.Only("always_use_authenticated_groups", "groups are those of the consumer", "false");
        var plans = config.Flag("include_consumer_groups") ?? false;
        return new JsonObject
        {
            ["allow"] = KongEntity.List(allow),
            ["deny"] = KongEntity.List(deny),
            ["include_consumer_groups"] = plans,
            ["hide_groups_header"] = true,
            ["always_use_authenticated_groups"] = false,
        };
    }

    private static string? GroupFault(string name) => name.Length <= 128 ? null : "length must be at most 128";
}

/// <summary>Kong asks a call for everything that any plugin demands. A call here has one credential, so where two would be
/// demanded, the second plugin is refused.</summary>
internal static class TwoCredentials
{
    public static string? FaultOf(IReadOnlyList<ConfigRow> rows, KongPlugin added)
    {
        if (OtherOf(added.Name) is not { } other || !added.Enabled) return null;
        var serviceOf = rows.Where(r => r.Kind == ConfigKind.Route).ToDictionary(r => r.Id, r => KongJson.Read<KongRoute>(r).Service);
        return rows.Where(r => r.Kind == ConfigKind.Plugin).Select(KongJson.Read<KongPlugin>)
            .Any(p => p.Name == other && p.Enabled && Meet(p, added))
            ? $"not supported: together with {other}, which is there already. Kong would ask one call for both; here a call has one " +
                $"credential. Remove {other}, or have each on routes of its own"
            : null;

        bool Meet(KongPlugin one, KongPlugin two) => one.Scope is null || two.Scope is null || one.Scope == two.Scope
            || IsIn(one, two) || IsIn(two, one);

        bool IsIn(KongPlugin inner, KongPlugin outer) =>
            inner.Route is { } route && outer.Service is { } service && serviceOf.GetValueOrDefault(route) == service;
    }

    private static string? OtherOf(string name) => name switch
    {
        KongPlugin.KeyAuth => KongPlugin.Jwt,
        KongPlugin.Jwt => KongPlugin.KeyAuth,
        _ => null,
    };
}
