using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net;
using Tollgate.Catalog;
using Tollgate.Front;
using Tollgate.Metering;

namespace Tollgate.Server;

/// <summary>The options that <c>run</c> and <c>demo</c> share; each is also an environment variable.</summary>
internal sealed class RunOptions
{
    private readonly Option<string> _proxy = Text("--proxy", "TOLLGATE_PROXY", "http://127.0.0.1:8000",
        "Where callers come in: http, https (with --tls) or h2c, several separated by commas; port 0 picks a free one.");
    private readonly Option<string> _tls = Text("--tls", "TOLLGATE_TLS", "",
        "Certificates for https: PEM files with their keys, or folders of them, separated by commas; read again on change.");
    private readonly Option<string> _trusted = Text("--trusted-proxies", "TOLLGATE_TRUSTED_PROXIES", "",
        "Balancers in front that say where callers are (X-Forwarded-For): addresses or networks, separated by commas.");
    private readonly Option<string> _admin = Text("--admin", "TOLLGATE_ADMIN", "http://127.0.0.1:8001",
        "Where the admin API listens.");
    private readonly Option<string> _testClock = Text("--test-clock", "TOLLGATE_TEST_CLOCK", "",
        "Start business time here (RFC 3339) and let it stand still until /v1/test_clock moves it.");
    private readonly Option<string> _database = Database();
    private readonly Option<string> _redis = Text("--redis", "TOLLGATE_REDIS", "",
        "A Redis 7 that counts the limits of all nodes together: redis://:password@host:6379, rediss:// for TLS.");
    private readonly Option<string> _staleFor = Text("--stale-for", "TOLLGATE_STALE_FOR", "60",
        "For how many seconds a node may hear nothing of the others before plans do what they say, 5 to 86400.");
    private readonly Option<string> _leaveDelay = Text("--leave-delay", "TOLLGATE_LEAVE_DELAY", "0",
        "For how many seconds a stop takes further calls while /readyz says 503, for the balancer to see it, 0 to 300.");
    private readonly Option<string> _durability = Text("--durability", "TOLLGATE_DURABILITY", "interval",
        "When a call is safe from a power cut: interval (within a second) or strict (before its answer begins).");
    private readonly Option<string> _keepCalls = Text("--keep-calls", "TOLLGATE_KEEP_CALLS", "13",
        "For how many months calls are kept in the archive, 1 to 1200.");
    private readonly Option<string> _keepBytes = Text("--keep-calls-bytes", "TOLLGATE_KEEP_CALLS_BYTES", "",
        "How large the archive may become, in bytes; the oldest calls go first. The disk when absent.");
    private readonly Option<string> _journalBytes = Text("--journal-bytes", "TOLLGATE_JOURNAL_BYTES", "",
        "How large the journal may become, in bytes, 65536 or more; beyond, calls cannot be written down. The disk when absent.");
    private readonly Option<string> _collectionWindow = Text("--collection-window", "TOLLGATE_COLLECTION_WINDOW", "60",
        "For how many minutes after a period its invoice is a draft that takes late usage, 0 to 44640.");
    private readonly Option<string> _latePeriods = Text("--late-periods", "TOLLGATE_LATE_PERIODS", "2",
        "How many periods back usage that comes after their invoice is billed on the next one, 0 to 12.");
    private readonly Option<string> _maxTarget = Text("--max-target-bytes", "TOLLGATE_MAX_TARGET_BYTES", "8192",
        "How long the first line of a request may be, 256 to 65536; a longer one is 414.");
    private readonly Option<string> _maxHeaders = Text("--max-header-bytes", "TOLLGATE_MAX_HEADER_BYTES", "32768",
        "How large the headers of a request may be together, 1024 to 1048576; more are 431.");
    private readonly Option<string> _maxAddresses = Text("--max-addresses", "TOLLGATE_MAX_ADDRESSES", "200000",
        "How many client addresses limits by ip count each for itself, 1 to 100000000; about 300 bytes each.");
    private readonly Option<string> _data;

    /// <param name="defaultData">The data folder when none is named.</param>
    /// <param name="dataVariable">The environment variable that names it; null: none does.</param>
    public RunOptions(string defaultData, string? dataVariable) =>
        _data = Text("--data", dataVariable, defaultData, "The folder of the database and the journal.");

    public void AddTo(Command command)
    {
        command.Options.Add(_data);
        command.Options.Add(_database);
        command.Options.Add(_redis);
        command.Options.Add(_staleFor);
        command.Options.Add(_leaveDelay);
        command.Options.Add(_proxy);
        command.Options.Add(_tls);
        command.Options.Add(_trusted);
        command.Options.Add(_admin);
        command.Options.Add(_testClock);
        command.Options.Add(_durability);
        command.Options.Add(_keepCalls);
        command.Options.Add(_keepBytes);
        command.Options.Add(_journalBytes);
        command.Options.Add(_maxAddresses);
        command.Options.Add(_collectionWindow);
        command.Options.Add(_latePeriods);
        command.Options.Add(_maxTarget);
        command.Options.Add(_maxHeaders);
    }

    /// <exception cref="UsageException">An option that cannot be read, by name.</exception>
    public TollgateOptions Read(ParseResult parsed)
    {
        var proxies = Proxies(parsed.GetValue(_proxy)!);
        return new()
        {
            Data = Folder(parsed.GetValue(_data)!),
            Database = Server(parsed.GetValue(_database)!),
            Redis = parsed.GetValue(_redis) is { Length: > 0 } redis ? redis : null,
            StaleFor = TimeSpan.FromSeconds(Whole("--stale-for", parsed.GetValue(_staleFor)!, 5, 86_400)),
            LeaveDelay = TimeSpan.FromSeconds(Whole("--leave-delay", parsed.GetValue(_leaveDelay)!, 0, 300)),
            Proxy = proxies[0],
            MoreProxies = proxies[1..],
            Tls = parsed.GetValue(_tls)!.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
            TrustedProxies = Trusted(parsed.GetValue(_trusted)!),
            Admin = Address("--admin", parsed.GetValue(_admin)!),
            AdminToken = Environment.GetEnvironmentVariable("TOLLGATE_ADMIN_TOKEN") is { Length: > 0 } token ? token : null,
            TestClock = Clock(parsed.GetValue(_testClock)!),
            MaxTargetBytes = (int)Whole("--max-target-bytes", parsed.GetValue(_maxTarget)!, 256, 65_536),
            MaxHeaderBytes = (int)Whole("--max-header-bytes", parsed.GetValue(_maxHeaders)!, 1_024, 1 << 20),
            MaxAddresses = (int)Whole("--max-addresses", parsed.GetValue(_maxAddresses)!, 1, 100_000_000),
            CollectionWindow = TimeSpan.FromMinutes(Whole("--collection-window", parsed.GetValue(_collectionWindow)!, 0, 44_640)),
            LatePeriods = (int)Whole("--late-periods", parsed.GetValue(_latePeriods)!, 0, 12),
            Durability = DurabilityOf(parsed.GetValue(_durability)!),
            JournalBytes = parsed.GetValue(_journalBytes) is { Length: > 0 } journal
                ? Whole("--journal-bytes", journal, 64 * 1024, long.MaxValue / 16) : null,
            Archive = new ArchiveOptions
            {
                KeepMonths = (int)Whole("--keep-calls", parsed.GetValue(_keepCalls)!, 1, 1_200),
                KeepBytes = parsed.GetValue(_keepBytes) is { Length: > 0 } bytes
                    ? Whole("--keep-calls-bytes", bytes, 1 << 20, long.MaxValue)
                    : null,
            },
        };
    }

    public static Option<string> Text(string name, string? variable, string otherwise, string description) => new(name)
    {
        Description = variable is null ? description : $"{description} [{variable}]",
        DefaultValueFactory = (ArgumentResult _) =>
            (variable is null ? null : Environment.GetEnvironmentVariable(variable)) ?? otherwise,
    };

    public static Option<string> Database() => Text("--database", "TOLLGATE_DATABASE", "",
        "A PostgreSQL instead of the file in the data folder: postgresql://user:password@host/database.");

    private static string Folder(string text) =>
        text.Trim().Length > 0 ? text : throw new UsageException("--data must name a folder.");

    /// <summary>A file is what --data is for: a path here would be a typing error in an address.</summary>
    internal static string? Server(string text) =>
        text.Trim().Length == 0 ? null
        : Storage.Database.IsServer(text) ? text
        : throw new UsageException("--database must be postgresql://user:password@host:5432/database, or " +
            "Host=…;Username=…;Database=….");

    private static Uri[] Proxies(string text) => [.. text.Split(',').Select(t => Listener.TryRead(t, out var uri)
        ? uri
        : throw new UsageException($"--proxy '{t}' must be an address such as http://127.0.0.1:8000, with http, https " +
            "or h2c."))];

    private static IPNetwork[] Trusted(string text)
    {
        var (networks, wrong) = (new List<IPNetwork>(), new List<string>());
        foreach (var item in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (TrustedProxies.TryRead(item, out var network)) networks.Add(network);
            else wrong.Add(item);
        }

        if (wrong.Count > 0)
            throw new UsageException($"--trusted-proxies '{string.Join("', '", wrong)}' must each be {TrustedProxies.Forms}; one of " +
                "everybody would let callers say themselves where they are.");
        return [.. networks];
    }

    private static Uri Address(string option, string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttp && uri.AbsolutePath == "/"
            ? uri
            : throw new UsageException($"{option} '{text}' must be an address such as http://127.0.0.1:8000.");

    private static long Whole(string option, string text, long least, long most) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
            ? number
            : throw new UsageException($"{option} '{text}' must be a whole number from {least} to {most}.");

    private static Durability DurabilityOf(string text) => text switch
    {
        "interval" => Durability.Interval,
        "strict" => Durability.Strict,
        _ => throw new UsageException($"--durability '{text}' must be interval or strict."),
    };

    private static DateTimeOffset? Clock(string text) =>
        text.Length == 0 ? null
        : Micros.TryParse(text, out var micros) ? Micros.ToDateTimeOffset(micros)
        : throw new UsageException($"--test-clock '{text}' must be an RFC 3339 instant: 2026-01-01T00:00:00Z.");
}
