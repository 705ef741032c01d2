using System.Globalization;
using System.Net;
using System.Text.Json;

namespace Tollgate.Bench;

/// <summary>
/// Tollgate as it ships: the Release build of the server, a data folder of its own on the disk, set up through the
/// Kong-shaped admin API with the same plan, gate and limits that the other peers have.
/// </summary>
internal sealed class TollgatePeer(Peer peer, Uri admin, HttpClient client)
{
    private const string Server = "src/Tollgate.Server/bin/Release/net10.0/Tollgate.Server.dll";
    private const int CallsAtOnce = 8;
    private static readonly TimeSpan PatienceForUsage = TimeSpan.FromSeconds(10);

    public Peer Peer { get; } = peer;

    public static async Task<TollgatePeer> StartAsync(string folder, HttpClient client, CancellationToken stop)
    {
        await BuildIfMissingAsync(stop);
        Directory.CreateDirectory(folder);
        var ports = LocalPorts.Free(2);
        var (proxy, admin) = (LocalPorts.At(ports[0]), LocalPorts.At(ports[1]));
        string[] arguments =
        [
            Repository.Path(Server), "run",
            "--config", Repository.Path("bench/peers/tollgate.yaml"),
            "--data", Path.Combine(folder, "data"),
            "--proxy", Text(proxy),
            "--admin", Text(admin),
        ];
        var process = ChildProcess.Start("dotnet", arguments, folder);
        return new TollgatePeer(new Peer(Target.Tollgate, proxy, process), admin, client);
    }

    /// <summary>Waits until the server is ready, then makes the service, the plan and a consumer for each key.</summary>
    public async Task SetUpAsync(Uri upstream, int keys, CancellationToken stop)
    {
        var ready = new Uri(admin, "/readyz");
        await Peer.AwaitOkAsync(client, () => new HttpRequestMessage(HttpMethod.Get, ready), stop);

        await PostAsync("/services", [("name", "bench"), ("url", Text(upstream))], stop);
        await PostAsync("/services/bench/routes", [("name", "v1"), ("paths[]", "/v1"), ("strip_path", "false")], stop);
        await PostAsync("/services/bench/plugins", [("name", "key-auth")], stop);
        await PostAsync("/consumer_groups", [("name", "pro")], stop);
        await PostAsync("/consumer_groups/pro/plugins",
        [
            ("name", "rate-limiting"), ("config.policy", "local"),
            ("config.minute", "100000000"), ("config.hour", "1000000000"),
        ], stop);
        await PostAsync("/services/bench/plugins",
        [
            ("name", "endpoint_gating"),
            ("config.endpoint_map.pro[]", "/v1/public/data"), ("config.endpoint_map.pro[]", Load.Path),
        ], stop);

        var limits = new ParallelOptions { MaxDegreeOfParallelism = CallsAtOnce, CancellationToken = stop };
        await Parallel.ForEachAsync(Enumerable.Range(1, keys), limits, async (i, token) =>
        {
            var consumer = $"consumer_{2 * i}";
            await PostAsync("/consumers", [("username", consumer)], token);
            await PostAsync($"/consumers/{consumer}/consumer_groups", [("group", "pro")], token);
            await PostAsync($"/consumers/{consumer}/key-auth", [("key", $"key_{2 * i}")], token);
        });
    }

    /// <summary>
    /// What it will bill, over all consumers. Counting may lag behind the answers by a moment, so this waits for
    /// <paramref name="atLeast"/>, but not for long. Null, with the reason, when it cannot be asked.
    /// </summary>
    public async Task<(decimal? Calls, string Reason)> CountedCallsAsync(long atLeast, CancellationToken stop)
    {
        var question = new Uri(admin, "/v1/usage?meter=calls&group_by=consumer");
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

    private async Task PostAsync(string path, (string Name, string Value)[] fields, CancellationToken stop)
    {
        var pairs = fields.Select(field => KeyValuePair.Create(field.Name, field.Value));
        using var form = new FormUrlEncodedContent(pairs);
        using var answer = await client.PostAsync(new Uri(admin, path), form, stop);
        if (!answer.IsSuccessStatusCode)
            throw new BenchException(
                $"tollgate: POST {path} answered {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(stop)}");
    }

    private static string Text(Uri address) => address.GetLeftPart(UriPartial.Authority);
}
