using System.Security.Cryptography;
using System.Text;

namespace Tollgate.Config;

/// <summary>
/// Secrets of signatures, which unlike keys must be known to be checked: sealed with AES-GCM under a key that is derived from
/// the install key and the credential's own id. A copy of the database has none of them, and one moved to another row does not
/// open.
/// </summary>
public sealed class TokenSecrets(ApiKeys keys)
{
    /// <summary>Bytes that a secret has at least: as much as SHA-256 puts out (RFC 7518 3.2).</summary>
    public const int Least = 32;

    private const int NonceLength = 12, TagLength = 16;

    public byte[] Seal(string credential, string secret)
    {
        var clear = Encoding.UTF8.GetBytes(secret);
        var whole = new byte[NonceLength + TagLength + clear.Length];
        RandomNumberGenerator.Fill(whole.AsSpan(0, NonceLength));
        using var aes = Cipher(credential);
        aes.Encrypt(whole.AsSpan(0, NonceLength), clear, whole.AsSpan(NonceLength + TagLength), whole.AsSpan(NonceLength, TagLength));
        CryptographicOperations.ZeroMemory(clear);
        return whole;
    }

    /// <summary>The secret; null when it is not what was sealed for this credential under this install key.</summary>
    public byte[]? Open(string credential, byte[] whole)
    {
        if (whole.Length < NonceLength + TagLength) return null;
        var clear = new byte[whole.Length - NonceLength - TagLength];
        using var aes = Cipher(credential);
        try
        {
            aes.Decrypt(whole.AsSpan(0, NonceLength), whole.AsSpan(NonceLength + TagLength), whole.AsSpan(NonceLength, TagLength), clear);
            return clear;
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }
    }

    private AesGcm Cipher(string credential) => new(keys.Derive("secrets of tokens", credential), TagLength);
}
