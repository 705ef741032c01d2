using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Tollgate.Config;

namespace Tollgate.Gateway.Tokens;

/// <summary>A key by which a consumer signs its tokens. Immutable, and shared by calls that run side by side: what computes a
/// signature is made anew for each.</summary>
internal sealed class TokenSigner
{
    private readonly byte[]? _secret, _decoded;
    private readonly RSAParameters? _rsa;
    private readonly ECParameters? _curve;

    /// <param name="row">As it is stored.</param>
    /// <param name="secret">Its secret; null where it has none, or it cannot be opened: then no token is signed by it.</param>
    /// <param name="consumer">Who calls with it.</param>
    public TokenSigner(TokenCredentialRow row, byte[]? secret, ConsumerEntry consumer)
    {
        (Name, Algorithm, Consumer) = (row.Name, row.Algorithm, consumer);
        Bearer = consumer.WithoutKey(Ascii.IsValid(row.Name) && !row.Name.Contains(' ') ? row.Name : Uri.EscapeDataString(row.Name));
        if (SignatureKey.IsSecret(row.Algorithm))
        {
            (_secret, _decoded) = (secret, secret is null ? null : Decoded(secret));
        }
        else if (row.PublicKey is { } pem && SignatureKey.FaultOf(row.Algorithm, pem) is null)
        {
            if (SignatureKey.IsCurve(row.Algorithm))
            {
                using var curve = ECDsa.Create();
                curve.ImportFromPem(pem);
                _curve = curve.ExportParameters(false);
            }
            else
            {
                using var rsa = RSA.Create();
                rsa.ImportFromPem(pem);
                _rsa = rsa.ExportParameters(false);
            }
        }
    }

    public string Name { get; }

    /// <summary>A token of another algorithm is none of this key's, whatever its signature.</summary>
    public string Algorithm { get; }

    public ConsumerEntry Consumer { get; }

    public CredentialEntry Bearer { get; }

    public bool IsSigned(ReadOnlySpan<byte> text, ReadOnlySpan<byte> signature, bool base64)
    {
        var hash = SignatureKey.HashOf(Algorithm);
        if (SignatureKey.IsSecret(Algorithm))
        {
            if ((base64 ? _decoded : _secret) is not { } secret) return false;
            Span<byte> mac = stackalloc byte[64];
            var length = CryptographicOperations.HmacData(hash, secret, text, mac);
            return CryptographicOperations.FixedTimeEquals(mac[..length], signature);
        }

        if (_curve is { } point)
        {
            using var curve = ECDsa.Create(point);
            return curve.VerifyData(text, signature, hash);
        }

        if (_rsa is not { } key) return false;
        using var rsa = RSA.Create(key);
        return rsa.VerifyData(text, signature, hash, Algorithm[0] == 'P' ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1);
    }

    /// <summary>Either alphabet, with or without padding; null when it is not base64, or too short to be a secret.</summary>
    private static byte[]? Decoded(byte[] secret)
    {
        var text = Encoding.UTF8.GetString(secret).Replace('+', '-').Replace('/', '_').TrimEnd('=');
        if (!Base64Url.IsValid(text)) return null;
        var decoded = Base64Url.DecodeFromChars(text);
        return decoded.Length >= TokenSecrets.Least ? decoded : null;
    }
}
