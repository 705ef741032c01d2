using System.CommandLine;
using System.CommandLine.Parsing;
using Tollgate.Catalog;

namespace Tollgate.Server;

/// <summary>The options that <c>run</c> and <c>demo</c> share; each is also an environment variable.</summary>
internal sealed class RunOptions
{
    private readonly Option<string> _proxy = Text("--proxy", "TOLLGATE_PROXY", "http://127.0.0.1:8000",
        "Where callers come in; port 0 picks a free one.");
    private readonly Option<string> _admin = Text("--admin", "TOLLGATE_ADMIN", "http://127.0.0.1:8001",
        "Where the admin API listens.");
    private readonly Option<string> _testClock = Text("--test-clock", "TOLLGATE_TEST_CLOCK", "",
        "Start business time here (RFC 3339) and let it stand still until /v1/test_clock moves it.");
    private readonly Option<string> _data;

    public RunOptions(string defaultData) =>
        _data = Text("--data", "TOLLGATE_DATA", defaultData, "The folder of the database and the journal.");

    public void AddTo(Command command)
    {
        command.Options.Add(_data);
        command.Options.Add(_proxy);
        command.Options.Add(_admin);
        command.Options.Add(_testClock);
    }

    /// <exception cref="StartupException">An option that cannot be read, by name.</exception>
    public TollgateOptions Read(ParseResult parsed) => new()
    {
        Data = parsed.GetValue(_data)!,
        Proxy = Address("--proxy", parsed.GetValue(_proxy)!),
        Admin = Address("--admin", parsed.GetValue(_admin)!),
        AdminToken = Environment.GetEnvironmentVariable("TOLLGATE_ADMIN_TOKEN") is { Length: > 0 } token ? token : null,
        TestClock = Clock(parsed.GetValue(_testClock)!),
    };

    public static Option<string> Text(string name, string variable, string otherwise, string description) => new(name)
    {
        Description = $"{description} [{variable}]",
        DefaultValueFactory = (ArgumentResult _) => Environment.GetEnvironmentVariable(variable) ?? otherwise,
    };

    private static Uri Address(string option, string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttp && uri.AbsolutePath == "/"
            ? uri
            : throw new StartupException($"{option} '{text}' must be an address such as http://127.0.0.1:8000.");

    private static DateTimeOffset? Clock(string text) =>
        text.Length == 0 ? null
        : Micros.TryParse(text, out var micros) ? Micros.ToDateTimeOffset(micros)
        : throw new StartupException($"--test-clock '{text}' must be an RFC 3339 instant: 2026-01-01T00:00:00Z.");
}
