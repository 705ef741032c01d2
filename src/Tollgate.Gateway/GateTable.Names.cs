using System.Data.Common;
using Tollgate.Config;
using Tollgate.Gateway.Tokens;

namespace Tollgate.Gateway;

/// <content>Callers without a key of ours: tokens of an issuer, and nothing at all.</content>
public sealed partial class GateTable
{
    private readonly CredentialTokens _signed = new();

    /// <summary>What opens the secrets of tokens that consumers sign themselves; null: none is taken that has one.</summary>
    public TokenSecrets? Secrets { get; init; }

    // null while no API needs it
    private volatile ConsumerNames? _names;

    /// <summary>Who checks tokens; its keys are fetched by whoever runs the node.</summary>
    public TokenVerifiers Tokens { get; } = new();

    /// <summary>Whose call it is when there is no credential; null: it is refused.</summary>
    internal CredentialEntry? AnonymousOf(CompiledApi api) =>
        api.Anonymous is { } name && _names?.Find(name) is { } consumer ? consumer.WithoutKey("anonymous") : null;

    /// <summary>Whose token it is.</summary>
    /// <returns><see cref="Verdict.Admit"/> with a consumer, else why there is none.</returns>
    internal Verdict FindByToken(CompiledApi api, ReadOnlySpan<char> token, long now, out CredentialEntry? bearer)
    {
        bearer = null;
        if (api.Bearers is { } rules)
        {
            return _signed.Check(token, rules, now, out bearer) switch
            {
                TokenStanding.Good => Verdict.Admit,
                TokenStanding.Expired => Verdict.KeyExpired,
                _ => Verdict.KeyUnknown,
            };
        }

        var standing = api.Tokens!.Check(token, now, out var name);
        if (standing == TokenStanding.Expired) return Verdict.KeyExpired;
        if (standing != TokenStanding.Good || _names?.Find(name) is not { } consumer) return Verdict.KeyUnknown;
        bearer = consumer.WithoutKey(api.TokenIdentifier);
        return Verdict.Admit;
    }

    private async Task LoadTokenCredentialsAsync(DbConnection db)
    {
        foreach (var of in (await TokenCredentialStore.AllAsync(db)).GroupBy(r => r.ConsumerKey)) ReplaceSigners(of.Key, of);
    }

    private void ReplaceSigners(long consumer, IEnumerable<TokenCredentialRow> rows) => _signed.Replace((int)consumer,
        _consumers.Find((int)consumer) is { } entry
            ? [.. rows.Select(r => new TokenSigner(r, r.Secret is { } secret ? Secrets?.Open(r.Id, secret) : null, entry))] : []);

    private async Task LoadAccessGroupsAsync(DbConnection db)
    {
        foreach (var of in (await AccessGroupStore.AllAsync(db)).GroupBy(r => r.ConsumerKey)) ReplaceGroups(of.Key, of);
    }

    private void ReplaceGroups(long consumer, IEnumerable<AccessGroupRow> rows)
    {
        if (_consumers.Find((int)consumer) is { } entry) entry.Groups = [.. rows.Select(r => r.Name)];
    }

    /// <summary>Before a state that needs it is in force. Changes take turns, so no consumer is missed.</summary>
    private void Prepare(Published published)
    {
        var needed = published.Faces.Any(a => a.Anonymous is not null || a.Jwt is not null);
        if (needed) _names ??= new ConsumerNames(_consumers.Values);
        else _names = null;
        Tokens.Keep(published.Faces.Select(a => a.Jwt).OfType<JwtRules>());
    }
}
