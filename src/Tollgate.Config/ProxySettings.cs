using System.Text.Json.Serialization;

namespace Tollgate.Config;

/// <summary>How the calls of an API go to its upstream and back. What is not said is as for an API that says nothing of it.
/// </summary>
public sealed record ProxySettings
{
    public static ProxySettings None { get; } = new();

    /// <summary>Hosts under which its operations are found, in small letters, each exact or <c>*.</c> and a name; none: under
    /// every host that no other API has the same path under.</summary>
    public IReadOnlyList<string> Hosts { get; init; } = [];

    /// <summary>Taken off the front of every operation's path before it is forwarded; empty for nothing.</summary>
    public string StripPrefix { get; init; } = "";

    /// <summary>By name of an operation: the path that the upstream gets, with the operation's own parameters.</summary>
    public IReadOnlyDictionary<string, string> Rewrites { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether the upstream gets the host that the caller named instead of its own.</summary>
    public bool PreserveHost { get; init; }

    public HeaderChanges? RequestHeaders { get; init; }

    public HeaderChanges? ResponseHeaders { get; init; }

    public CorsRules? Cors { get; init; }

    /// <summary>Bytes of a request's body, 0 to <see cref="MostBody"/>; null: any number.</summary>
    public long? MaxBody { get; init; }

    public UpstreamTimeouts Timeouts { get; init; } = new();

    public HealthCheck? Health { get; init; }

    public LoadBalancing Balancing { get; init; }

    /// <summary>HTTP/2 and nothing else: by prior knowledge over http, by ALPN over https.</summary>
    public bool Http2 { get; init; }

    /// <summary>HTTP/2 where an https upstream offers it by ALPN, else HTTP/1.1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool AnyHttp { get; init; }

    /// <summary>Of https upstreams; null: as usual.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public UpstreamTls? Tls { get; init; }

    /// <summary>Said instead of forwarding.</summary>
    public CannedAnswer? Answer { get; init; }

    public const long MostBody = 1L << 40;
}

/// <summary>Which server of an upstream takes the next call.</summary>
public enum LoadBalancing : byte
{
    /// <summary>In turn, each as often as its weight.</summary>
    Weighted,

    /// <summary>In turn, each as often as the others.</summary>
    RoundRobin,

    /// <summary>The one with the fewest calls under way for its weight.</summary>
    LeastRequests,

    /// <summary>By chance, by their weights.</summary>
    Random,
}

/// <summary>How long the upstream may take, in milliseconds; each phase is 504 when it lasts longer.</summary>
public sealed record UpstreamTimeouts
{
    public const int Most = 24 * 60 * 60 * 1000;

    /// <summary>Until it is connected to.</summary>
    public int Connect { get; init; } = 15_000;

    /// <summary>From sending to the headers of the answer; null: as long as <see cref="Idle"/> lets it.</summary>
    public int? FirstByte { get; init; }

    /// <summary>Without a byte in either direction.</summary>
    public int Idle { get; init; } = 60_000;

    /// <summary>From the beginning of the call to the last byte of its answer; null: without end.</summary>
    public int? Total { get; init; }
}

/// <summary>Headers that are written, added and taken off.</summary>
public sealed record HeaderChanges
{
    public const int MostHeaders = 50;

    /// <summary>In the place of whatever has this name.</summary>
    public IReadOnlyDictionary<string, string> Set { get; init; } = new Dictionary<string, string>();

    /// <summary>Beside whatever has this name.</summary>
    public IReadOnlyDictionary<string, string> Add { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<string> Remove { get; init; } = [];
}

/// <summary>Which pages of other origins may call, and what a browser lets them see (Fetch standard, CORS protocol).</summary>
public sealed record CorsRules
{
    /// <summary>As browsers write them, <c>https://app.example.com</c>; <c>*</c> for all.</summary>
    public IReadOnlyList<string> Origins { get; init; } = ["*"];

    /// <summary>Null: those of the operations.</summary>
    public IReadOnlyList<string>? Methods { get; init; }

    /// <summary>Request headers; null: those that are asked for.</summary>
    public IReadOnlyList<string>? Headers { get; init; }

    public IReadOnlyList<string> Expose { get; init; } = [];

    public bool Credentials { get; init; }

    /// <summary>Seconds for which a browser may remember; null: it decides.</summary>
    public int? MaxAge { get; init; }
}

/// <summary>Asks the servers of an upstream whether they are well, on machine time.</summary>
public sealed record HealthCheck
{
    /// <summary>Below the server's own path; 200 to 399 is well.</summary>
    public string Path { get; init; } = "/";

    /// <summary>Milliseconds, from the end of one question to the next.</summary>
    public int Interval { get; init; } = 10_000;

    /// <summary>Milliseconds that an answer may take.</summary>
    public int Timeout { get; init; } = 2_000;

    /// <summary>Good answers in a row that bring a server back.</summary>
    public int Healthy { get; init; } = 2;

    /// <summary>Bad ones in a row that put it aside.</summary>
    public int Unhealthy { get; init; } = 3;
}

/// <summary>What every call that would be forwarded is told instead (Kong's <c>request-termination</c>).</summary>
public sealed record CannedAnswer(int Status, string Message)
{
    /// <summary>Instead of the message.</summary>
    public string? Body { get; init; }

    public string? ContentType { get; init; }
}
