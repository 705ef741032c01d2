using System.Text.Json.Serialization;

namespace Tollgate.Config;

/// <summary>How tokens say who calls that consumers sign with keys of their own (Kong's <c>jwt</c>): the token names a
/// credential, and the credential says by which algorithm and key it is signed.</summary>
public sealed record BearerRules
{
    /// <summary>Headers in which <c>Bearer</c> and a token may stand.</summary>
    public IReadOnlyList<string> Headers { get; init; } = ["authorization"];

    /// <summary>Parameters of the query that may be a token.</summary>
    public IReadOnlyList<string> Queries { get; init; } = ["jwt"];

    public IReadOnlyList<string> Cookies { get; init; } = [];

    /// <summary>The claim that names the credential, looked for in the payload and then in the header.</summary>
    public string KeyClaim { get; init; } = "iss";

    /// <summary>Of <c>exp</c> and <c>nbf</c>, those that a token must have. One that it has is checked anyway.</summary>
    public IReadOnlyList<string> Demanded { get; init; } = [];

    /// <summary>Seconds from now within which a token must end; 0: whenever it likes.</summary>
    public int MaximumExpiration { get; init; }

    public bool SecretIsBase64 { get; init; }

    /// <summary>Whether OPTIONS needs no token, where nothing else is asked of a call.</summary>
    public bool PassesPreflights { get; init; }

    public const int MostSeconds = 31_536_000;

    [JsonIgnore]
    public bool DemandsEnd => Demanded.Contains("exp");

    [JsonIgnore]
    public bool DemandsBeginning => Demanded.Contains("nbf");
}
