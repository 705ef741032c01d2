using System.Text;
using Microsoft.IdentityModel.Tokens;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Gateway.Tokens;

/// <summary>Keys by which signatures are checked; immutable, replaced whole.</summary>
internal sealed class KeySet
{
    private readonly SecurityKey[] _keys;

    private KeySet(IEnumerable<SecurityKey> keys) => _keys = [.. keys];

    public static KeySet None { get; } = new([]);

    /// <summary>The public keys of a set that are for signatures; others are left out (RFC 7517 5).</summary>
    /// <exception cref="InvalidDataException">It is no set of public keys.</exception>
    public static KeySet OfJson(string json)
    {
        if (JwksText.FaultOf(json) is { } fault) throw new InvalidDataException(fault);
        try
        {
            return new KeySet(new JsonWebKeySet(json).GetSigningKeys().Where(k => k.KeySize >= SmallestOf(k)));
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException("This set of keys cannot be read.", e);
        }
    }

    public static KeySet OfSecret(string secret) => new([new SymmetricSecurityKey(Encoding.UTF8.GetBytes(secret))]);

    /// <summary>The key that a token names; when it names none, the only one there is. The name is compared and
    /// nothing else: it is no path and no address.</summary>
    public SecurityKey? Find(string? kid, string algorithm)
    {
        if (!string.IsNullOrEmpty(kid) && _keys is not [SymmetricSecurityKey])
            return Array.Find(_keys, k => k.KeyId == kid && Suits(k, algorithm));
        var suiting = Array.FindAll(_keys, k => Suits(k, algorithm));
        return suiting.Length == 1 ? suiting[0] : null;
    }

    private static bool Suits(SecurityKey key, string algorithm) => algorithm[0] switch
    {
        'H' => key is SymmetricSecurityKey,
        'E' => key is ECDsaSecurityKey or JsonWebKey { Kty: "EC" },
        _ => key is RsaSecurityKey or X509SecurityKey or JsonWebKey { Kty: "RSA" },
    };

    // RFC 7518 3.3: RSA keys have 2,048 bits or more
    private static int SmallestOf(SecurityKey key) =>
        key is RsaSecurityKey or X509SecurityKey or JsonWebKey { Kty: "RSA" } ? 2_048 : 256;
}

/// <summary>The keys of one issuer, and when to look for newer ones.</summary>
internal sealed class KeyRing
{
    /// <summary>How often keys are fetched anyway, and how soon again when a token names an unknown one. Machine time.
    /// </summary>
    private static readonly TimeSpan s_every = TimeSpan.FromMinutes(5), s_again = TimeSpan.FromSeconds(10);

    private readonly Func<CancellationToken, Task<string>>? _fetch;
    private volatile KeySet _current = KeySet.None;
    private volatile bool _wanted;
    private volatile string _text = "";
    private long _fetchedAt;

    private KeyRing(Func<CancellationToken, Task<string>>? fetch) => _fetch = fetch;

    public KeySet Current => _current;

    /// <summary>Why there are none, or no newer ones; null when all is well.</summary>
    public string? Fault { get; private set; }

    public static KeyRing Of(JwtRules rules, HttpClient client)
    {
        if (rules.JwksUrl is { } url) return new KeyRing(cancel => client.GetStringAsync(url, cancel));
        if (rules.JwksFile is { } file) return new KeyRing(_ => Task.FromResult(SmallFile.Read(file, JwksText.MaxBytes)));
        var ring = new KeyRing(null);
        try
        {
            if (rules.Jwks is { } text) ring._current = KeySet.OfJson(text);
            else if (SecretOf(rules) is { } secret) ring._current = KeySet.OfSecret(secret);
            else ring.Fault = $"The environment variable {rules.SecretEnv} holds no secret of at least {BytesOf(rules)} bytes.";
        }
        catch (InvalidDataException e)
        {
            ring.Fault = e.Message;
        }

        return ring;
    }

    /// <summary>The secret of the environment, where it is long enough for every algorithm of the rules; else null.</summary>
    public static string? SecretOf(JwtRules rules) =>
        Environment.GetEnvironmentVariable(rules.SecretEnv!) is { } text && Encoding.UTF8.GetByteCount(text) >= BytesOf(rules)
            ? text : null;

    /// <summary>As many as the longest hash has (RFC 7518 3.2): with fewer, no token of that algorithm would be taken.</summary>
    public static int BytesOf(JwtRules rules) =>
        rules.AllowedAlgorithms.Max(a => a switch { "HS384" => 48, "HS512" => 64, _ => 32 });

    /// <summary>A token names a key that is not here: the issuer may have a new one.</summary>
    public void Want() => _wanted = true;

    /// <summary>Fetches the keys when it is time. What cannot be fetched leaves those that there are.</summary>
    public async Task RefreshAsync(TimeProvider machine, CancellationToken cancel)
    {
        if (_fetch is null) return;
        var age = _fetchedAt == 0 ? TimeSpan.MaxValue : machine.GetElapsedTime(_fetchedAt);
        if (age < ((_wanted || Fault is not null) ? s_again : s_every)) return;
        _fetchedAt = machine.GetTimestamp();
        _wanted = false;
        try
        {
            var text = await _fetch(cancel);
            // the same keys keep what is remembered of tokens
            if (text != _text) _current = KeySet.OfJson(text);
            (_text, Fault) = (text, null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or UnauthorizedAccessException or InvalidDataException
            or OperationCanceledException or InvalidOperationException)
        {
            Fault = e.Message;
        }
    }
}
