using Tollgate.Metering;

namespace Tollgate;

/// <summary>How one process is started; the command line and the environment fill it in.</summary>
public sealed record TollgateOptions
{
    /// <summary>The folder of the database, the journal and the install key; made when it is not there.</summary>
    public string Data { get; init; } = "data";

    /// <summary>A PostgreSQL 15 or newer that several nodes may share, as <c>postgresql://user:password@host/database</c>
    /// or in Npgsql's form; null: <c>tollgate.db</c> in the data folder.</summary>
    public string? Database { get; init; }

    /// <summary>A Redis 7 or newer that counts the limits and quotas of all nodes together, as
    /// <c>redis://:password@host:6379</c>; null: each node counts for itself. Needs <see cref="Database"/>.</summary>
    public string? Redis { get; init; }

    /// <summary>How long a node may be without news of the others before <c>/readyz</c> says so. It goes on
    /// deciding by what it has.</summary>
    public TimeSpan StaleFor { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The configuration file; null: what is stored, and nothing else.</summary>
    public string? ConfigFile { get; init; }

    /// <summary>Where callers come in. Port 0 picks a free one.</summary>
    public Uri Proxy { get; init; } = new("http://127.0.0.1:8000");

    /// <summary>Further addresses for callers: http, https (then <see cref="Tls"/> is needed) or h2c.</summary>
    public IReadOnlyList<Uri> MoreProxies { get; init; } = [];

    /// <summary>All addresses for callers.</summary>
    public IReadOnlyList<Uri> Proxies => [Proxy, .. MoreProxies];

    /// <summary>Bytes of the request line, 256 to 65,536; a longer one is 414.</summary>
    public int MaxTargetBytes { get; init; } = 8 * 1024;

    /// <summary>Bytes of all headers of a request, 1,024 to 1,048,576; more are 431.</summary>
    public int MaxHeaderBytes { get; init; } = 32 * 1024;

    /// <summary>PEM files, each a certificate chain with its key in it or beside it, or folders of such files. The
    /// first is shown to callers who ask for no name that any of them has.</summary>
    public IReadOnlyList<string> Tls { get; init; } = [];

    /// <summary>Balancers and other proxies in front, whose <c>X-Forwarded-For</c> and <c>X-Forwarded-Proto</c> are taken.</summary>
    public IReadOnlyList<System.Net.IPNetwork> TrustedProxies { get; init; } = [];

    /// <summary>Where the provider's tools come in.</summary>
    public Uri Admin { get; init; } = new("http://127.0.0.1:8001");

    /// <summary>Asked of every admin request when set; required when the admin port is not on loopback.</summary>
    public string? AdminToken { get; init; }

    /// <summary>When set, business time starts here and stands still until it is advanced.</summary>
    public DateTimeOffset? TestClock { get; init; }

    /// <summary>When a call is safe from a power cut: within a second, or before its answer begins.</summary>
    public Durability Durability { get; init; }

    /// <summary>How large the journal may become, 64 KiB or more; null: what the disk holds.</summary>
    public long? JournalBytes { get; init; }

    /// <summary>Client addresses that limits <c>by: ip</c> count each for itself, over all subscriptions, 1 or more; beyond,
    /// the addresses of a subscription share one count.</summary>
    public int MaxAddresses { get; init; } = Gateway.AddressBudget.Usual;

    /// <summary>How long calls are kept in the archive, <c>archive/</c> in the data folder.</summary>
    public ArchiveOptions Archive { get; init; } = new();

    /// <summary>How long after the end of a period its invoice is issued; calls still under way are counted in it.
    /// </summary>
    public TimeSpan CollectionWindow { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How many periods back usage that comes after their invoice is an adjustment on the next one; 0 to 12.
    /// </summary>
    public int LatePeriods { get; init; } = 2;

    /// <summary>How long a node that is told to stop goes on taking calls while <c>/readyz</c> says 503, so that the
    /// balancer in front stops sending it any; 0 to 300 s.</summary>
    public TimeSpan LeaveDelay { get; init; }

    /// <summary>How long a stop waits for calls under way; after that their connections are closed. What stops the
    /// process from outside should wait longer than this.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(20);
}

/// <summary>Tollgate cannot start; the message says what is wrong and what would be right.</summary>
public sealed class StartupException : Exception
{
    public StartupException() { }

    public StartupException(string message) : base(message) { }

    public StartupException(string message, Exception inner) : base(message, inner) { }
}
