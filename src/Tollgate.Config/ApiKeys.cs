using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Tollgate.Config;

/// <summary>
/// Keys are shown once and stored as HMAC-SHA-256 under a key of this installation that is kept beside the database,
/// not in it: a copy of the database alone lets nobody in and cannot be searched for known keys.
/// </summary>
public sealed class ApiKeys
{
    public const int HashLength = 32;

    /// <summary>What a key may have at most, in characters; longer values are unknown without being hashed.</summary>
    public const int MaxLength = 512;

    private const string LivePrefix = "tg_live_", TestPrefix = "tg_test_", AdminPrefix = "tg_admin_";
    private const int BodyLength = 40, ChecksumLength = 6;

    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private readonly byte[] _installKey;

    // the library's one-shot method looks the algorithm up and keys it anew each time
    [ThreadStatic]
    private static Hashing? t_hashing;

    private ApiKeys(byte[] installKey) => _installKey = installKey;

    /// <summary>Reads the install key, or makes one at the first start; only its owner may read the file.</summary>
    /// <exception cref="InvalidDataException">The file is not an install key; without the right one no key matches.
    /// </exception>
    public static ApiKeys Open(string file)
    {
        if (System.IO.File.Exists(file))
        {
            var text = System.IO.File.ReadAllText(file).Trim();
            if (text.Length != 64 || !text.All(char.IsAsciiHexDigit))
                throw new InvalidDataException($"{file} is not an install key (64 hex digits). Restore it from a " +
                    "backup: with another key, no API key that was issued before is recognised.");
            return new ApiKeys(Convert.FromHexString(text));
        }

        var key = RandomNumberGenerator.GetBytes(32);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        var temporary = file + ".new";
        System.IO.File.Delete(temporary);
        using (var stream = new FileStream(temporary, options))
        {
            stream.Write(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(key)));
            stream.Flush(flushToDisk: true);
        }

        System.IO.File.Move(temporary, file);
        return new ApiKeys(key);
    }

    /// <summary>Hashes a key as a caller sent it. Allocates nothing.</summary>
    /// <returns>False when the text is empty, longer than <see cref="MaxLength"/> or not ASCII, or says that it is ours
    /// and has not our form and checksum: that needs no look into a table.</returns>
    public bool TryHash(ReadOnlySpan<char> key, Span<byte> hash)
    {
        if (key.IsEmpty || key.Length > MaxLength || !Ascii.IsValid(key) || IsMalformed(key)) return false;
        Span<byte> bytes = stackalloc byte[MaxLength];
        var length = Encoding.ASCII.GetBytes(key, bytes);
        var hashing = HashingHere();
        hashing.AppendData(bytes[..length]);
        hashing.GetHashAndReset(hash);
        CryptographicOperations.ZeroMemory(bytes[..length]);
        return true;
    }

    /// <summary>The hash of a key that somebody brings along; null when it cannot be one.</summary>
    public byte[]? Hash(string key)
    {
        var hash = new byte[HashLength];
        return TryHash(key, hash) ? hash : null;
    }

    /// <summary>A new key: <c>tg_live_</c>, 32 random characters of base 62 (190 bits), and a checksum of six by
    /// which scanners tell a real key from a look-alike without asking us.</summary>
    public static string Generate(bool test = false) => Written(test ? TestPrefix : LivePrefix);

    /// <summary>A new token of the admin port, in the form of a key: <c>tg_admin_…</c>.</summary>
    public static string GenerateAdminToken() => Written(AdminPrefix);

    /// <summary>Whether a text is meant as a token that <see cref="GenerateAdminToken"/> made.</summary>
    public static bool IsAdminToken(string text) => text.StartsWith(AdminPrefix, StringComparison.Ordinal);

    /// <summary>A secret of this installation for one purpose, from which neither the install key nor that of another
    /// purpose can be found (HKDF, RFC 5869).</summary>
    public byte[] Derive(string purpose, string salt = "") => HKDF.DeriveKey(
        HashAlgorithmName.SHA256, _installKey, 32, Encoding.UTF8.GetBytes(salt), Encoding.UTF8.GetBytes(purpose));

    private static string Written(string prefix)
    {
        var body = prefix + RandomNumberGenerator.GetString(Alphabet, 32);
        Span<char> checksum = stackalloc char[ChecksumLength];
        Checksum(body, checksum);
        return $"{body}_{checksum}";
    }

    /// <summary>Whether a text has the form and checksum of a key that <see cref="Generate"/> made.</summary>
    public static bool IsWellFormed(ReadOnlySpan<char> key) => IsOurs(key) && !IsMalformed(key);

    /// <summary>Whether a text says that it is a key of ours, and is none: mistyped, cut off or made up.</summary>
    public static bool IsMalformed(ReadOnlySpan<char> key)
    {
        if (!IsOurs(key)) return false;
        if (key.Length != BodyLength + 1 + ChecksumLength || key[BodyLength] != '_') return true;
        Span<char> checksum = stackalloc char[ChecksumLength];
        Checksum(key[..BodyLength], checksum);
        return !key[(BodyLength + 1)..].SequenceEqual(checksum);
    }

    private static bool IsOurs(ReadOnlySpan<char> key) => key.StartsWith(LivePrefix) || key.StartsWith(TestPrefix);

    /// <summary>What a list may show of a key: its first eight characters when it is ours, and its last four.</summary>
    public static string HintOf(string key) => key.Length < 12
        ? "…"
        : (key.StartsWith("tg_", StringComparison.Ordinal) ? key[..8] : "") + "…" + key[^4..];

    private IncrementalHash HashingHere()
    {
        if (t_hashing is { } here && ReferenceEquals(here.For, this)) return here.Hash;
        t_hashing = new Hashing(this, IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _installKey));
        return t_hashing.Hash;
    }

    private static void Checksum(ReadOnlySpan<char> body, Span<char> text)
    {
        var crc = 0xFFFF_FFFFu;
        foreach (var c in body) crc = BitOperations.Crc32C(crc, (byte)c);
        crc = ~crc;
        for (var i = text.Length - 1; i >= 0; i--)
        {
            text[i] = Alphabet[(int)(crc % 62)];
            crc /= 62;
        }
    }

    /// <summary>What one thread hashes with; nearly always for the one installation of the process.</summary>
    private sealed record Hashing(ApiKeys For, IncrementalHash Hash);
}
