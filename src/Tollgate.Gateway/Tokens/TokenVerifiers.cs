using System.Collections.Concurrent;
using System.Text.Json;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Gateway.Tokens;

/// <summary>The verifiers of all APIs that take tokens. One outlives changes of configuration as long as its rules stay
/// the same, so that keys are not fetched again for each.</summary>
public sealed class TokenVerifiers : IDisposable
{
    // an issuer that hangs must not keep the others from being asked
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    private readonly HttpClient _client = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
    {
        Timeout = s_patience,
        MaxResponseContentBufferSize = JwksText.MaxBytes,
    };

    private readonly ConcurrentDictionary<string, TokenVerifier> _all = new(StringComparer.Ordinal);

    internal TokenVerifier Of(JwtRules rules) =>
        _all.GetOrAdd(JsonSerializer.Serialize(rules), _ => new TokenVerifier(rules, KeyRing.Of(rules, _client)));

    /// <summary>Forgets those that no API asks for any more.</summary>
    internal void Keep(IEnumerable<JwtRules> rules)
    {
        var kept = rules.Select(r => JsonSerializer.Serialize(r)).ToHashSet(StringComparer.Ordinal);
        foreach (var name in _all.Keys.Where(n => !kept.Contains(n))) _all.TryRemove(name, out _);
    }

    /// <summary>Fetches keys that are due, all issuers side by side; called once a second, away from calls.</summary>
    /// <param name="machine">Machine time.</param>
    /// <param name="cancel">The stop.</param>
    /// <returns>What could not be fetched, one line each.</returns>
    public async Task<IReadOnlyList<string>> RefreshAsync(TimeProvider machine, CancellationToken cancel)
    {
        if (_all.IsEmpty) return [];
        var rings = _all.Values.Select(v => v.Keys).ToArray();
        await Task.WhenAll(rings.Select(r => r.RefreshAsync(machine, cancel)));
        return [.. rings.Select(r => r.Fault).OfType<string>().Distinct()];
    }

    /// <summary>What this process cannot do of these rules: a secret that it has not been given, a file that is not there.
    /// </summary>
    public static string? FaultOf(JwtRules rules)
    {
        if (rules.SecretEnv is { } variable && KeyRing.SecretOf(rules) is null)
            return $"The environment variable {variable} must hold a secret of at least {KeyRing.BytesOf(rules)} bytes where the " +
                "server is started.";
        if (rules.JwksFile is not { } file) return null;
        try
        {
            _ = KeySet.OfJson(SmallFile.Read(file, JwksText.MaxBytes));
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return $"The keys of {file} cannot be used: {e.Message}";
        }
    }

    public void Dispose() => _client.Dispose();
}
