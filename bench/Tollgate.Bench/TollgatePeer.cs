using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Bench;

/// <summary>
/// Tollgate as it ships: the Release build of the server, a data folder of its own on the disk, and a plan with two limits and
/// a monthly quota, so high that no call is refused.
/// </summary>
internal sealed class TollgatePeer(Peer peer, Uri admin, string folder, HttpClient client, TimeSpan start)
{
    private const string Server = "src/Tollgate.Server/bin/Release/net10.0/Tollgate.Server.dll";
    private const int KeysOfConsumer = 10;
    private static readonly TimeSpan PatienceForUsage = TimeSpan.FromSeconds(30);

    public Peer Peer { get; } = peer;

    public Uri Admin { get; } = admin;

    /// <summary>Its data folder.</summary>
    public string Data { get; } = Path.Combine(folder, "data");

    /// <summary>From the start of the process over all its keys until it says that it is ready.</summary>
    public TimeSpan ColdStart { get; } = start;

    /// <summary>Starts it once for the plan, puts the keys into its store, and starts it over them.</summary>
    public static async Task<TollgatePeer> StartAsync(
        Target target, string folder, Uri upstream, (int Keys, int Operations) shape, HttpClient client, CancellationToken stop)
    {
        await BuildIfMissingAsync(stop);
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, "tollgate.yaml"), ConfigOf(upstream, shape.Operations), stop);
        var first = Spawn(target, folder);
        await using (first.Peer) await AwaitAsync(first, client, stop);
        var data = Path.Combine(folder, "data");
        await using (var database = Database.Open(Path.Combine(data, DataFolder.Store)))
        {
            var plan = await new ConfigStore(database, TimeProvider.System).FindAsync(ConfigKind.Plan, "pro");
            await ManyKeys.WriteAsync(database, ApiKeys.Open(Path.Combine(data, DataFolder.InstallKey)), shape.Keys,
                Math.Min(shape.Keys, KeysOfConsumer), Publication.PlanIdOf(plan!), TimeProvider.System);
        }

        var began = TimeProvider.System.GetTimestamp();
        var second = Spawn(target, folder);
        await AwaitAsync(second, client, stop);
        return new TollgatePeer(second.Peer, second.Admin, folder, client, TimeProvider.System.GetElapsedTime(began));
    }

    private static Task AwaitAsync((Peer Peer, Uri Admin) server, HttpClient client, CancellationToken stop)
    {
        var ready = new Uri(server.Admin, "/readyz");
        return server.Peer.AwaitOkAsync(client, () => new HttpRequestMessage(HttpMethod.Get, ready), stop);
    }

    private static (Peer Peer, Uri Admin) Spawn(Target target, string folder)
    {
        var ports = LocalPorts.Free(2);
        var (proxy, admin) = (LocalPorts.At(ports[0]), LocalPorts.At(ports[1]));
        string[] arguments =
        [
            Repository.Path(Server), "run",
            "--config", Path.Combine(folder, "tollgate.yaml"),
            "--data", Path.Combine(folder, "data"),
            "--proxy", Text(proxy),
            "--admin", Text(admin),
        ];
        return (new Peer(target, proxy, ChildProcess.Start("dotnet", arguments, folder)), admin);
    }

    private static string ConfigOf(Uri upstream, int operations)
    {
        var text = new StringBuilder($$"""
            version: 1
            currency: USD
            plans:
              pro:
                operations: ["*"]
                limits: [100_000_000/minute, 1_000_000_000/hour]
                quotas: [{ meter: calls, allowance: 10_000_000_000, per: month }]
            apis:
              bench:
                upstream: {{Text(upstream)}}
                operations:
                  analytics: GET {{Load.Path}}

            """);
        for (var i = 1; i < operations; i++) text.Append($"      o{i}: GET /v1/other/{i}/{{id}}\n");
        return text.ToString();
    }

    /// <summary>
    /// What it will bill, over all consumers. Counting may lag behind the answers by a moment, so this waits for
    /// <paramref name="atLeast"/>, but not for long. Null, with the reason, when it cannot be asked.
    /// </summary>
    public async Task<(decimal? Calls, string Reason)> CountedCallsAsync(long atLeast, CancellationToken stop)
    {
        var question = new Uri(Admin, "/v1/usage?meter=calls&group_by=consumer");
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var (status, text) = await AskAsync(question, stop);
            if (status != HttpStatusCode.OK)
                return (null, $"this server cannot tell its usage, GET {question.PathAndQuery} gave {status} {text}");
            if (TotalOf(text) is not { } calls)
                return (null, $"GET {question.PathAndQuery} answered something else than usage: {text}");
            if (calls >= atLeast || TimeProvider.System.GetElapsedTime(began) > PatienceForUsage)
                return (calls, "");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, stop);
        }
    }

    private async Task<(HttpStatusCode? Status, string Text)> AskAsync(Uri question, CancellationToken stop)
    {
        try
        {
            using var answer = await client.GetAsync(question, stop);
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync(stop));
        }
        catch (HttpRequestException e)
        {
            return (null, e.Message);
        }
    }

    internal static decimal? TotalOf(string usage)
    {
        try
        {
            using var json = JsonDocument.Parse(usage);
            return json.RootElement.GetProperty("data").EnumerateArray().Sum(Value);
        }
        catch (Exception e)
            when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }

        static decimal Value(JsonElement group) =>
            group.GetProperty("value") is { ValueKind: JsonValueKind.String } text
                ? decimal.Parse(text.GetString()!, CultureInfo.InvariantCulture)
                : group.GetProperty("value").GetDecimal();
    }

    private static async Task BuildIfMissingAsync(CancellationToken stop)
    {
        if (File.Exists(Repository.Path(Server))) return;
        Console.WriteLine("building the server (Release)");
        string[] arguments = ["build", Repository.Path("src/Tollgate.Server"), "-c", "Release"];
        var (exitCode, output) = await ChildProcess.RunAsync("dotnet", arguments, stop);
        if (exitCode != 0) throw new BenchException($"the server does not build:\n{output}");
    }

    private static string Text(Uri address) => address.GetLeftPart(UriPartial.Authority);
}
