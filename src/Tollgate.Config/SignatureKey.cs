using System.Security.Cryptography;

namespace Tollgate.Config;

/// <summary>Which key an algorithm of signatures needs (RFC 7518 3), and whether a PEM is one.</summary>
public static class SignatureKey
{
    public const int MaxText = 16_384;

    /// <summary>What can be asked for. EdDSA is none of them: .NET 10 has no Ed25519.</summary>
    public static readonly IReadOnlyList<string> Algorithms =
        ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];

    public static bool IsSecret(string algorithm) => algorithm.StartsWith("HS", StringComparison.Ordinal);

    public static bool IsCurve(string algorithm) => algorithm.StartsWith("ES", StringComparison.Ordinal);

    public static HashAlgorithmName HashOf(string algorithm) => algorithm[2..] switch
    {
        "256" => HashAlgorithmName.SHA256,
        "384" => HashAlgorithmName.SHA384,
        _ => HashAlgorithmName.SHA512,
    };

    /// <summary>What is wrong with a public key for an algorithm; null when nothing is.</summary>
    public static string? FaultOf(string algorithm, string pem)
    {
        if (!PemEncoding.TryFind(pem, out var found)) return "expected a public key in PEM (-----BEGIN PUBLIC KEY-----)";
        var label = pem[found.Label];
        if (label.Contains("PRIVATE", StringComparison.Ordinal))
            return "expected a public key; this is a private one, which stays with whoever signs";
        if (label != "PUBLIC KEY" && (label != "RSA PUBLIC KEY" || IsCurve(algorithm)))
            return $"expected a public key in PEM, not '{label}'";
        try
        {
            if (IsCurve(algorithm))
            {
                using var curve = ECDsa.Create();
                curve.ImportFromPem(pem);
                var bits = algorithm switch { "ES256" => 256, "ES384" => 384, _ => 521 };
                return curve.KeySize == bits ? null : $"{algorithm} needs a key on the curve P-{bits}; this one has {curve.KeySize} bits";
            }

            using var rsa = RSA.Create();
            rsa.ImportFromPem(pem);
            return rsa.KeySize switch
            {
                < 2_048 => $"a key has at least 2048 bits (RFC 7518 3.3); this one has {rsa.KeySize}",
                > 8_192 => $"a key has at most 8192 bits here; this one has {rsa.KeySize}",
                _ => null,
            };
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return $"cannot be read as a public key for {algorithm}";
        }
    }
}
