using System.Text.Json.Serialization;

namespace Tollgate.Config;

/// <summary>How callers of an API say who they are, as the store keeps it; what is null is as everywhere.</summary>
public sealed record ApiAccess
{
    /// <summary>Headers in which a key is looked for; null for the default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? KeyHeaders { get; init; }

    /// <summary>The parameter of the query in which a key is looked for too; null: none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? KeyQuery { get; init; }

    /// <summary>The username of the consumer that calls without any credential belong to; null: they are refused.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Anonymous { get; init; }

    /// <summary>Whose tokens are taken beside keys; null: nobody's.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JwtRules? Jwt { get; init; }

    [JsonIgnore]
    public bool IsDefault => KeyHeaders is null && KeyQuery is null && Anonymous is null && Jwt is null;
}

/// <summary>Which JSON Web Tokens say who calls. Exactly one source of keys is set.</summary>
public sealed record JwtRules
{
    /// <summary>What can be asked for; others, <c>none</c> above all, are refused by name.</summary>
    public static readonly IReadOnlyList<string> Algorithms =
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512"];

    public const int MostLeewaySeconds = 600;

    public required string Issuer { get; init; }

    /// <summary>One of them must be the token's.</summary>
    public required IReadOnlyList<string> Audiences { get; init; }

    /// <summary>The claim that names the consumer: its username, else its custom id, else its id.</summary>
    public string Claim { get; init; } = "sub";

    /// <summary>Signatures that are taken: symmetric ones with a secret alone, the others without.</summary>
    public required IReadOnlyList<string> AllowedAlgorithms { get; init; }

    /// <summary>How far the issuer's clock may be off, in seconds.</summary>
    public int LeewaySeconds { get; init; } = 60;

    /// <summary>Where the issuer publishes its keys.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? JwksUrl { get; init; }

    /// <summary>A file with them, on the machine of each node.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? JwksFile { get; init; }

    /// <summary>The keys themselves, JSON.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Jwks { get; init; }

    /// <summary>The environment variable that holds a shared secret: so it is in no file and no database.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? SecretEnv { get; init; }
}
