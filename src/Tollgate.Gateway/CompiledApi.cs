using Tollgate.Config;
using Tollgate.Gateway.Cost;
using Tollgate.Gateway.Forwarding;
using Tollgate.Gateway.Tokens;

namespace Tollgate.Gateway;

/// <summary>An API on the hot path, or what operations of one show in its place.</summary>
/// <param name="api">What is in force.</param>
/// <param name="places">Where any API looks for a credential.</param>
/// <param name="tokens">Who checks tokens; none where no API takes any.</param>
/// <param name="whole">The API whose servers it shares; null: it is one itself.</param>
public sealed class CompiledApi(
    PublishedApi api, CredentialPlaces places, TokenVerifiers? tokens = null, CompiledApi? whole = null)
{
    /// <summary>What its servers and their turns belong to; null: itself.</summary>
    internal CompiledApi? Whole { get; } = whole;

    public string Name { get; } = api.Name;

    /// <summary>Served by the application that the gate stands in, not by an upstream.</summary>
    public bool IsApplication { get; } = api.IsApplication;

    public bool RequiresKey { get; } = api.RequiresKey;

    public bool Gated { get; } = api.Gated;

    /// <summary>Where this API looks for a key.</summary>
    public string[] KeyHeaders { get; } = [.. api.KeyHeaders];

    /// <summary>Parameters of the query in which it looks too.</summary>
    public string[] KeyQueries { get; } = [.. api.KeyQueries];

    /// <summary>The consumer that calls without any credential belong to; null: they are refused.</summary>
    public string? Anonymous { get; } = api.Anonymous;

    /// <summary>Whether a bearer token says who calls.</summary>
    public bool TakesTokens { get; } = api.Jwt is not null
        || api.Bearers?.Headers.Contains("authorization", StringComparer.OrdinalIgnoreCase) == true;

    /// <summary>How tokens are taken that consumers sign themselves, in the place of keys; null: not at all.</summary>
    internal BearerRules? Bearers { get; } = api.Bearers;

    /// <summary>Which consumers it admits beside what their plans include; null: all.</summary>
    internal AccessList? Access { get; } = api.Access is { } access ? new AccessList(access) : null;

    /// <summary>Whether a call of this method must say who calls.</summary>
    public bool Asks(string method) =>
        RequiresKey && !(Bearers is { PassesPreflights: true } && Microsoft.AspNetCore.Http.HttpMethods.IsOptions(method));

    /// <summary>What a caller without a credential is told to send.</summary>
    public string Wanted => Bearers is null ? $"Send the key in the header {KeyHeaders[0]}."
        : Bearers.Headers.Count > 0 ? $"Send a token that you have signed in the header {Bearers.Headers[0]}, after the word Bearer."
        : "Send a token that you have signed.";

    /// <summary>As X-Credential-Identifier says it of a token.</summary>
    public string TokenIdentifier { get; } = "jwt:" + Uri.EscapeDataString(api.Name);

    /// <summary>As a challenge names it: what may stand between quotes.</summary>
    public string Realm { get; } = Uri.EscapeDataString(api.Name);

    internal TokenVerifier? Tokens { get; } = api.Jwt is { } rules ? tokens?.Of(rules) : null;

    /// <summary>Where any API looks for one: none of these reaches an upstream, whichever API is called.</summary>
    public string[] CredentialHeaders { get; } = places.Headers;

    /// <summary>Cookies that are left out for the same reason; nearly always none.</summary>
    public string[] CredentialCookies { get; } = places.Cookies;

    public bool IsCredential(string header)
    {
        foreach (var name in CredentialHeaders)
            if (header.Length == name.Length && header.Equals(name, StringComparison.OrdinalIgnoreCase)) return true;
        return false;
    }

    /// <summary>Where its upstream tells units of meters; none of these reaches a caller.</summary>
    public string[] UnitsHeaders { get; } = [.. api.UnitsHeaders];

    public bool TellsUnitsIn(string header) => UnitsHeaders.AsSpan().Contains(header, StringComparer.OrdinalIgnoreCase);

    public CompiledTarget[] Targets { get; } = whole is not null ? whole.Targets : api.Targets.Count > 0
        ? [.. api.Targets.Select(t => new CompiledTarget(t))] : [new CompiledTarget(new UpstreamTarget(api.Upstream))];

    public int Retries { get; } = api.Retries;

    internal ForwardRules Forward { get; } = new(
        api.Proxy, api.Targets.Select(t => t.Url).Append(api.Upstream).Any(u => u.Scheme == Uri.UriSchemeHttps));

    /// <summary>For pages of other origins; null where the API has no word on them.</summary>
    internal Cors? Cors { get; } = api.Proxy.Cors is { } rules ? new Cors(rules) : null;

    /// <summary>Said instead of forwarding; null: calls are forwarded.</summary>
    public CannedAnswer? Answer { get; } = api.Proxy.Answer;
}

/// <summary>A server of an upstream on the hot path.</summary>
public sealed class CompiledTarget(UpstreamTarget target)
{
    /// <summary>Scheme, host and port.</summary>
    public string Authority { get; } = target.Url.GetLeftPart(UriPartial.Authority);

    /// <summary>The path under which it serves, without a trailing slash; often empty.</summary>
    public string BasePath { get; } = target.Url.AbsolutePath.TrimEnd('/');

    public int Weight { get; } = target.Weight;
}

/// <summary>An operation on the hot path.</summary>
public sealed class CompiledOperation(CompiledApi api, PublishedOperation operation, OperationCost cost)
{
    public CompiledApi Api { get; } = api;

    public int Key { get; } = operation.Key;

    public string Name { get; } = operation.Name;

    public string Endpoint { get; } = operation.Endpoint;

    /// <summary>Where it lies at the upstream.</summary>
    internal UpstreamPath Path { get; } = new(operation, api.Targets.Length);

    public bool PreserveHost { get; } = operation.PreserveHost;

    /// <summary>Hosts that it is found under, exactly.</summary>
    internal string[] Hosts { get; } = [.. operation.Hosts.Where(h => !h.StartsWith('*'))];

    /// <summary>What a call counts for.</summary>
    public OperationCost Cost { get; } = cost;
}
