using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Gateway.Tokens;

/// <summary>
/// Checks tokens that consumers sign with keys of their own. One credential is tried, the one that the token names, by the
/// credential's algorithm and no other. A token that was found good is remembered while that credential stands.
/// </summary>
internal sealed class CredentialTokens
{
    /// <summary>Tokens that are remembered, at most; then all are forgotten and checked anew.</summary>
    public const int MostRemembered = 10_000;

    private readonly ConcurrentDictionary<string, TokenSigner> _byName = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<int, TokenSigner[]> _ofConsumer = new();
    private readonly ConcurrentDictionary<KeyHash, Remembered> _remembered = new();

    /// <summary>Puts the credentials of a consumer in the place of those that it had; changes take turns.</summary>
    public void Replace(int consumer, TokenSigner[] signers)
    {
        foreach (var signer in signers) _byName[signer.Name] = signer;
        // one that moved to another consumer is that one's now
        foreach (var gone in _ofConsumer.GetValueOrDefault(consumer, []))
            _byName.TryRemove(KeyValuePair.Create(gone.Name, gone));
        if (signers.Length == 0) _ofConsumer.TryRemove(consumer, out _);
        else _ofConsumer[consumer] = signers;
    }

    /// <param name="token">As it was sent, after <c>Bearer</c>.</param>
    /// <param name="rules">Of the API that is called.</param>
    /// <param name="now">Business time, microseconds UTC.</param>
    /// <param name="bearer">Who calls, for a good one.</param>
    public TokenStanding Check(ReadOnlySpan<char> token, BearerRules rules, long now, out CredentialEntry? bearer)
    {
        bearer = null;
        if (token.Length > TokenVerifier.MaxLength || !TokenVerifier.IsShaped(token)) return TokenStanding.Invalid;
        Span<byte> bytes = stackalloc byte[TokenVerifier.MaxLength];
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(bytes[..Encoding.ASCII.GetBytes(token, bytes)], hash);
        var place = MemoryMarshal.Read<KeyHash>(hash);
        if (!_remembered.TryGetValue(place, out var known) || !Holds(known, rules))
        {
            if (Verify(token, rules) is not { } verified) return TokenStanding.Invalid;
            if (_remembered.Count >= MostRemembered) _remembered.Clear();
            _remembered[place] = known = verified;
        }

        var standing = StandingOf(known.Token, rules, now);
        if (standing == TokenStanding.Good) bearer = known.Signer.Bearer;
        return standing;
    }

    private static TokenStanding StandingOf(SignedToken token, BearerRules rules, long now)
    {
        if ((token.Ends is null && (rules.DemandsEnd || rules.MaximumExpiration > 0)) || (token.Begins is null && rules.DemandsBeginning))
            return TokenStanding.Invalid;
        if (token.Ends <= now) return TokenStanding.Expired;
        if (token.Begins > now) return TokenStanding.NotYet;
        return rules.MaximumExpiration > 0 && token.Ends - now > rules.MaximumExpiration * Micros.PerSecond
            ? TokenStanding.Invalid : TokenStanding.Good;
    }

    /// <summary>Whether what was found out about a token is so still, and by these rules.</summary>
    private bool Holds(Remembered known, BearerRules rules) => known.Claim == rules.KeyClaim && known.Base64 == rules.SecretIsBase64
        && _byName.TryGetValue(known.Signer.Name, out var now) && ReferenceEquals(now, known.Signer);

    private Remembered? Verify(ReadOnlySpan<char> text, BearerRules rules)
    {
        if (SignedToken.Read(text, rules.KeyClaim) is not { } token) return null;
        if (!_byName.TryGetValue(token.Name, out var signer)) return null;
        // the credential's algorithm, not the token's: a public key is nobody's secret
        if (!string.Equals(token.Algorithm, signer.Algorithm, StringComparison.Ordinal)) return null;
        try
        {
            if (!signer.IsSigned(token.Text.Span, token.Signature.Span, rules.SecretIsBase64)) return null;
        }
        catch (CryptographicException)
        {
            return null;
        }

        return new Remembered(token with { Text = default, Signature = default }, signer, rules.KeyClaim, rules.SecretIsBase64);
    }

    private sealed record Remembered(SignedToken Token, TokenSigner Signer, string Claim, bool Base64);
}
