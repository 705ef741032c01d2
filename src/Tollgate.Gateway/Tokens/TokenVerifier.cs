using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Gateway.Tokens;

/// <summary>What a token is worth.</summary>
internal enum TokenStanding : byte { Good, Invalid, Expired, NotYet }

/// <summary>
/// Checks the tokens of one issuer for one audience. A token that was found good is remembered until it ends, so that a
/// signature is computed once; only good ones are, so nobody fills the memory with made-up ones. It never waits: keys
/// that are not here yet are fetched by <see cref="TokenVerifiers.RefreshAsync"/>, and until then the token is refused.
/// </summary>
internal sealed class TokenVerifier(JwtRules rules, KeyRing keys)
{
    /// <summary>Characters of a token, at most; a longer one is refused unread.</summary>
    public const int MaxLength = 8_192;

    /// <summary>Tokens that are remembered, at most; then all are forgotten and checked anew.</summary>
    public const int MostRemembered = 10_000;

    private static readonly JsonWebTokenHandler s_handler = new() { MaximumTokenSizeInBytes = MaxLength, MapInboundClaims = false };

    private readonly ConcurrentDictionary<KeyHash, Remembered> _remembered = new();

    public KeyRing Keys => keys;

    /// <param name="token">As it was sent, after <c>Bearer</c>.</param>
    /// <param name="now">Business time, microseconds UTC.</param>
    /// <param name="consumer">The value of the claim that names the consumer.</param>
    public TokenStanding Check(ReadOnlySpan<char> token, long now, out string consumer)
    {
        consumer = "";
        if (token.Length > MaxLength || !IsShaped(token)) return TokenStanding.Invalid;
        Span<byte> bytes = stackalloc byte[MaxLength];
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(bytes[..Encoding.ASCII.GetBytes(token, bytes)], hash);
        var key = MemoryMarshal.Read<KeyHash>(hash);
        var set = keys.Current;
        if (!_remembered.TryGetValue(key, out var known) || !ReferenceEquals(known.Set, set))
        {
            if (Verify(token.ToString(), set) is not { } verified) return TokenStanding.Invalid;
            if (_remembered.Count >= MostRemembered) _remembered.Clear();
            _remembered[key] = known = verified;
        }

        consumer = known.Consumer;
        var leeway = rules.LeewaySeconds * Micros.PerSecond;
        return now >= known.Ends + leeway ? TokenStanding.Expired
            : now < known.Begins - leeway ? TokenStanding.NotYet : TokenStanding.Good;
    }

    /// <summary>Three parts of base64url: nothing else is worth parsing, an encrypted token (five parts) least of all.
    /// </summary>
    internal static bool IsShaped(ReadOnlySpan<char> token)
    {
        var dots = 0;
        foreach (var c in token)
        {
            if (c == '.') dots++;
            else if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_')) return false;
        }

        return dots == 2 && token[^1] != '.';
    }

    private Remembered? Verify(string token, KeySet set)
    {
        try
        {
            // one key is tried, the one that the token names: a set of many keys is not a dear token
            var parsed = new JsonWebToken(token);
            if (!rules.AllowedAlgorithms.Contains(parsed.Alg)) return null;
            // what must be understood, and is not (RFC 7515 4.1.11)
            if (parsed.TryGetHeaderValue<object>("crit", out _)) return null;
            if (set.Find(parsed.Kid, parsed.Alg) is not { } signing)
            {
                keys.Want();
                return null;
            }

            // in memory from end to end, so it is done when it returns
            var result = s_handler.ValidateTokenAsync(parsed, new TokenValidationParameters
            {
                ValidIssuer = rules.Issuer,
                ValidAudiences = rules.Audiences,
                ValidAlgorithms = rules.AllowedAlgorithms,
                // it is chosen already: the library would find none for a token that names no key
                IssuerSigningKeyResolver = (_, _, _, _) => [signing],
                RequireSignedTokens = true,
                RequireExpirationTime = true,
                // by business time, and again at each call
                ValidateLifetime = false,
            }).GetAwaiter().GetResult();
            if (!result.IsValid) return null;
            // the library takes a text for a number
            using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(parsed.EncodedPayload));
            if (!SignedToken.TryInstant(claims.RootElement, "exp", out var ends) || ends is null
                || !SignedToken.TryInstant(claims.RootElement, "nbf", out var begins)) return null;
            if (!parsed.TryGetPayloadValue<string>(rules.Claim, out var consumer) || consumer.Length is 0 or > 256) return null;
            return new Remembered(set, consumer, begins ?? 0, ends.Value);
        }
        catch (Exception e) when (e is SecurityTokenException or ArgumentException or FormatException or OverflowException
            or InvalidOperationException or JsonException or CryptographicException)
        {
            return null; // whatever is odd about it, it is no token of the issuer's
        }
    }

    private sealed record Remembered(KeySet Set, string Consumer, long Begins, long Ends);
}
