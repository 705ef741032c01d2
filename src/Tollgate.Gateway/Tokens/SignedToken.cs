using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Gateway.Tokens;

/// <summary>A JSON Web Signature in its compact form (RFC 7515 7.1), read and not believed yet.</summary>
/// <param name="Algorithm">As its header says.</param>
/// <param name="Name">Of the credential that it says it is signed by.</param>
/// <param name="Begins">Microseconds UTC; null: it does not say.</param>
/// <param name="Ends">Microseconds UTC; null: it does not say.</param>
internal sealed record SignedToken(string Algorithm, string Name, long? Begins, long? Ends)
{
    // the year 9999; beyond it is nonsense, and would not fit into microseconds
    private const decimal MostSeconds = 253_402_300_799;
    private const int MostName = 256;

    // a claim that stands twice could be read by two parties in two ways
    private static readonly JsonDocumentOptions s_strict = new() { AllowDuplicateProperties = false, MaxDepth = 32 };

    public ReadOnlyMemory<byte> Text { get; init; }

    public ReadOnlyMemory<byte> Signature { get; init; }

    /// <summary>Null for whatever is no token, or says something that must be understood and is not.</summary>
    /// <param name="token">Three parts of base64url.</param>
    /// <param name="claim">That names the credential.</param>
    public static SignedToken? Read(ReadOnlySpan<char> token, string claim)
    {
        var first = token.IndexOf('.');
        var last = token.LastIndexOf('.');
        try
        {
            using var header = JsonDocument.Parse(Base64Url.DecodeFromChars(token[..first]), s_strict);
            using var payload = JsonDocument.Parse(Base64Url.DecodeFromChars(token[(first + 1)..last]), s_strict);
            var (said, claims) = (header.RootElement, payload.RootElement);
            if (said.ValueKind != JsonValueKind.Object || claims.ValueKind != JsonValueKind.Object) return null;
            // RFC 7515 4.1.11
            if (said.TryGetProperty("crit", out _)) return null;
            if (said.TryGetProperty("typ", out _) && !"JWT".Equals(TextOf(said, "typ"), StringComparison.OrdinalIgnoreCase)) return null;
            if (TextOf(said, "alg") is not { } algorithm) return null;
            if ((claims.TryGetProperty(claim, out _) ? TextOf(claims, claim) : TextOf(said, claim))
                is not { Length: > 0 and <= MostName } name) return null;
            if (!TryInstant(claims, "nbf", out var begins) || !TryInstant(claims, "exp", out var ends)) return null;
            return new SignedToken(algorithm, name, begins, ends)
            {
                Text = Encoding.ASCII.GetBytes(token[..last].ToString()),
                Signature = Base64Url.DecodeFromChars(token[(last + 1)..]),
            };
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or ArgumentException)
        {
            return null;
        }
    }

    private static string? TextOf(JsonElement of, string name) =>
        of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A NumericDate (RFC 7519 2): seconds, perhaps with a fraction.</summary>
    internal static bool TryInstant(JsonElement of, string name, out long? micros)
    {
        micros = null;
        if (!of.TryGetProperty(name, out var value)) return true;
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDecimal(out var seconds)) return false;
        if (seconds is < 0 or > MostSeconds) return false;
        micros = decimal.ToInt64(decimal.Floor(seconds * Micros.PerSecond));
        return true;
    }
}
