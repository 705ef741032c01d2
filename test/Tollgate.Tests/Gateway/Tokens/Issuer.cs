using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Tollgate.Config;

namespace Tollgate.Tests.Gateway.Tokens;

/// <summary>An issuer of tokens that writes whatever a test asks for, right or wrong.</summary>
internal sealed class Issuer : IDisposable
{
    public const string Name = "https://id.example.com";

    private readonly RSA _rsa = RSA.Create(2_048);
    private readonly ECDsa _ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly string _kid;

    public Issuer(string kid = "k1") => _kid = kid;

    public string Jwks => JsonSerializer.Serialize(new { keys = new object[] { RsaKey, EcKey } });

    public string PublicPem => _rsa.ExportSubjectPublicKeyInfoPem();

    private object RsaKey
    {
        get
        {
            var p = _rsa.ExportParameters(false);
            var (n, e) = (Base64Url.EncodeToString(p.Modulus), Base64Url.EncodeToString(p.Exponent));
            return new { kty = "RSA", kid = _kid, use = "sig", n, e };
        }
    }

    private object EcKey
    {
        get
        {
            var p = _ec.ExportParameters(false);
            var (x, y) = (Base64Url.EncodeToString(p.Q.X), Base64Url.EncodeToString(p.Q.Y));
            return new { kty = "EC", kid = _kid + "-ec", crv = "P-256", x, y };
        }
    }

    /// <summary>Claims of a good token until an hour after the start of the test clock.</summary>
    public static Dictionary<string, object> Claims(string consumer = "fred") => new()
    {
        ["iss"] = Name,
        ["aud"] = "shop",
        ["sub"] = consumer,
        ["exp"] = Support.TestServer.Start.AddHours(1).ToUnixTimeSeconds(),
    };

    public string Rs256(Dictionary<string, object> claims, object? header = null) => Signed(
        header ?? new { alg = "RS256", kid = _kid }, claims,
        data => _rsa.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));

    public string Es256(Dictionary<string, object> claims) => Signed(
        new { alg = "ES256", kid = _kid + "-ec" }, claims, data => _ec.SignData(data, HashAlgorithmName.SHA256));

    public static string Hs256(Dictionary<string, object> claims, byte[] secret, object? header = null) => Signed(
        header ?? new { alg = "HS256" }, claims, data => HMACSHA256.HashData(secret, data));

    /// <summary>A signature of any of the RSA algorithms.</summary>
    public byte[] Sign(byte[] data, string algorithm) => _rsa.SignData(data, SignatureKey.HashOf(algorithm),
        algorithm[0] == 'P' ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1);

    public static string Signed(object header, object claims, Func<byte[], byte[]> sign)
    {
        var text = $"{Part(JsonSerializer.Serialize(header))}.{Part(JsonSerializer.Serialize(claims))}";
        return $"{text}.{Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes(text)))}";
    }

    public static string Part(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));

    public void Dispose()
    {
        _rsa.Dispose();
        _ec.Dispose();
    }
}
