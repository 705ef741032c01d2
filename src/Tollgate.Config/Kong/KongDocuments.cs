using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tollgate.Config.Kong;

/// <summary>A Kong service as it is stored; ids of other objects are UUIDs in their hex form.</summary>
public sealed record KongService
{
    public string? Name { get; init; }

    public string Protocol { get; init; } = "http";

    public string Host { get; init; } = "";

    public int Port { get; init; } = 80;

    public string? Path { get; init; }

    public int Retries { get; init; }

    /// <summary>Milliseconds; null for the default.</summary>
    public int? ConnectTimeout { get; init; }

    /// <summary>Milliseconds without a byte, in both directions; null for the default.</summary>
    public int? ReadTimeout { get; init; }

    public IReadOnlyList<string>? Tags { get; init; }

    /// <summary>Null: true.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? TlsVerify { get; init; }

    /// <summary>The hex forms of the ids of <see cref="KongCaCertificate"/>s that are trusted in place of the machine's
    /// authorities; null for those.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? CaCertificates { get; init; }

    [JsonIgnore]
    public UpstreamTimeouts Timeouts => new()
    {
        Connect = ConnectTimeout ?? new UpstreamTimeouts().Connect,
        Idle = ReadTimeout ?? new UpstreamTimeouts().Idle,
    };

    /// <summary>Where calls go; a slash at the end of the path says nothing, since operations bring their own.
    /// </summary>
    [JsonIgnore]
    public Uri Upstream => new UriBuilder(Protocol, Host, Port, Path?.TrimEnd('/') ?? "").Uri;
}

/// <summary>A Kong route: path prefixes, at segment boundaries, that lead to a service.</summary>
public sealed record KongRoute
{
    public string? Name { get; init; }

    public required string Service { get; init; }

    public IReadOnlyList<string> Paths { get; init; } = [];

    public IReadOnlyList<string>? Methods { get; init; }

    public IReadOnlyList<string> Hosts { get; init; } = [];

    public bool StripPath { get; init; } = true;

    public bool PreserveHost { get; init; }

    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>The certificate of an authority that services may trust; its name is its digest.</summary>
/// <param name="Cert">PEM.</param>
public sealed record KongCaCertificate(string Cert)
{
    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>A Kong upstream: servers under one name, which a service has as its host.</summary>
public sealed record KongUpstream
{
    public LoadBalancing Balancing { get; init; }

    /// <summary>Active checks; null for none.</summary>
    public HealthCheck? Health { get; init; }

    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>A server of an upstream.</summary>
/// <param name="Upstream">The hex form of its id.</param>
/// <param name="Target">Host and port.</param>
/// <param name="Weight">0 takes no calls.</param>
public sealed record KongTarget(string Upstream, string Target, int Weight)
{
    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>A Kong plugin at one scope; the config is that of the plugin, checked when it came in.</summary>
public sealed record KongPlugin
{
    public const string KeyAuth = "key-auth", RateLimiting = "rate-limiting",
        RateLimitingAdvanced = "rate-limiting-advanced", Prometheus = "prometheus", EndpointGating = "endpoint_gating",
        Jwt = "jwt", Acl = "acl", Cors = "cors", SizeLimiting = "request-size-limiting", Termination = "request-termination";

    public required string Name { get; init; }

    public bool Enabled { get; init; } = true;

    /// <summary>At most one of the scopes is set; with none it is for every service.</summary>
    public string? Service { get; init; }

    public string? Route { get; init; }

    public string? ConsumerGroup { get; init; }

    /// <summary>The prefixed id of a consumer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Consumer { get; init; }

    /// <summary>Its key in the store, by which the gate knows it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? ConsumerKey { get; init; }

    /// <summary>The id of what it works on; null for every service.</summary>
    [JsonIgnore]
    public string? Scope => Route ?? Service ?? ConsumerGroup ?? Consumer;

    /// <summary>Whether it says how often calls may come.</summary>
    [JsonIgnore]
    public bool Limits => Name is RateLimiting or RateLimitingAdvanced;

    public required JsonElement Config { get; init; }

    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>How the Kong-shaped documents are written, in the database and on the wire: snake_case.</summary>
public static class KongJson
{
    public static JsonSerializerOptions Options { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    };

    public static string Write<T>(T document) => JsonSerializer.Serialize(document, Options);

    public static T Read<T>(ConfigRow row) => JsonSerializer.Deserialize<T>(row.Document, Options)
        ?? throw new JsonException($"The stored {row.Kind} {row.Name} is empty.");
}
