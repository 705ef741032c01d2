using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Tollgate.Bench;

/// <summary>What the ledger says of all that was ever called.</summary>
/// <param name="Quantity">Billable calls.</param>
/// <param name="Admitted">Calls that were let in, whatever became of them.</param>
internal readonly record struct LedgerCount(long Quantity, long Admitted);

/// <summary>
/// The built server over a data folder that outlives it, in front of an upstream in this process. One consumer with
/// one limit so high that it refuses nobody, and so long that what it has left tells of every call ever let in.
/// </summary>
internal sealed class LedgerRig : IAsyncDisposable
{
    /// <summary>Calls a year.</summary>
    public const long Limit = 1_000_000_000;

    public const string Path = "/v1/data";

    private const string Server = "src/Tollgate.Server/bin/Release/net10.0/Tollgate.Server.dll";
    private const string KeyFile = "bench.key";
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);
    private static readonly JsonSerializerOptions s_snake = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly string _folder;
    private readonly WebApplication? _upstream;
    private readonly Uri _upstreamAddress;
    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromMinutes(2) };
    private ChildProcess? _server;

    private LedgerRig(string folder, WebApplication? upstream, Uri upstreamAddress) =>
        (_folder, _upstream, _upstreamAddress) = (folder, upstream, upstreamAddress);

    public Uri Proxy { get; private set; } = LocalPorts.At(0);

    public Uri Admin { get; private set; } = LocalPorts.At(0);

    public string Key { get; private set; } = "";

    public int ProcessId => _server!.Id;

    public string Data => System.IO.Path.Combine(_folder, "data");

    /// <summary>A PostgreSQL; null: the file in the data folder.</summary>
    public string? Database { get; init; }

    /// <summary>What calls are answered by, unless <paramref name="upstream"/> names another.</summary>
    public static async Task<LedgerRig> CreateAsync(
        string folder, Uri? upstream, CancellationToken stop, string? database = null)
    {
        Directory.CreateDirectory(folder);
        if (!File.Exists(Repository.Path(Server)))
            throw new BenchException($"{Server} is not built: dotnet build src/Tollgate.Server -c Release");
        if (upstream is not null) return new LedgerRig(folder, null, upstream) { Database = database };
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.Run(context => context.Response.WriteAsync("{\"rows\":[1,2,3]}", stop));
        await app.StartAsync(stop);
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return new LedgerRig(folder, app, new Uri(address)) { Database = database };
    }

    /// <summary>Starts the server without waiting for it.</summary>
    public void Spawn()
    {
        var config = System.IO.Path.Combine(_folder, "tollgate.yaml");
        File.WriteAllText(config, $$"""
            version: 1
            currency: USD
            apis:
              shop:
                upstream: {{Text(_upstreamAddress)}}
                operations: { data: GET {{Path}} }
            plans:
              metered: { operations: [data], limits: [{{Limit}}/year] }
            meters:
              storage: { aggregation: sum, event: storage.used, value: $.gigabytes, scale: 3, dimensions: { region: $.region } }
            """);
        var ports = LocalPorts.Free(2);
        (Proxy, Admin) = (LocalPorts.At(ports[0]), LocalPorts.At(ports[1]));
        _server = ChildProcess.Start("dotnet",
        [
            Repository.Path(Server), "run", "--config", config, "--data", Data, "--proxy", Text(Proxy), "--admin", Text(Admin),
            .. Database is null ? (string[])[] : ["--database", Database],
        ], _folder);
    }

    /// <summary>Starts the server, waits until it is ready, and makes the consumer at the first time.</summary>
    public async Task StartAsync(CancellationToken stop)
    {
        Spawn();
        var began = TimeProvider.System.GetTimestamp();
        while (!await IsReadyAsync(stop))
        {
            if (_server!.HasExited || TimeProvider.System.GetElapsedTime(began) > s_patience)
                throw new BenchException($"tollgate is not ready: {_server.Epitaph}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, stop);
        }

        var keyFile = System.IO.Path.Combine(_folder, KeyFile);
        if (!File.Exists(keyFile))
        {
            await PostAsync("/v1/customers", new { name = "fred" }, stop);
            await PostAsync("/v1/consumers", new { username = "fred", customer = "fred" }, stop);
            await PostAsync("/v1/subscriptions", new { customer = "fred", plan = "metered" }, stop);
            var key = await PostAsync("/v1/consumers/fred/keys", new { }, stop);
            await File.WriteAllTextAsync(keyFile, key.GetProperty("key").GetString(), stop);
        }

        Key = await File.ReadAllTextAsync(keyFile, stop);
    }

    public Task KillAsync() => _server!.KillAsync();

    /// <summary>SIGTERM; the server ends by itself.</summary>
    public async Task StopAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        _server = null;
    }

    public async Task<LedgerCount> CountAsync(CancellationToken stop)
    {
        using var usage = JsonDocument.Parse(await _client.GetStringAsync(new Uri(Admin, "/v1/usage?meter=calls"), stop));
        var rows = usage.RootElement.GetProperty("data").EnumerateArray().ToArray();
        return new LedgerCount(
            rows.Sum(r => long.Parse(r.GetProperty("value").GetString()!, CultureInfo.InvariantCulture)),
            rows.Sum(r => r.GetProperty("admitted").GetInt64()));
    }

    /// <summary>One call; how many the limit says that it has let in, with this one.</summary>
    public async Task<(long LetIn, string RequestId)> ProbeAsync(CancellationToken stop)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Proxy, Path));
        request.Headers.Add(Load.KeyHeader, Key);
        using var answer = await _client.SendAsync(request, stop);
        if (answer.StatusCode != HttpStatusCode.OK) throw new BenchException($"the probe was answered {answer.StatusCode}");
        var left = long.Parse(answer.Headers.GetValues("X-RateLimit-Remaining-Year").Single(), CultureInfo.InvariantCulture);
        return (Limit - left, answer.Headers.GetValues("X-Request-Id").Single());
    }

    /// <summary>Proves journal, sums and archive of the stopped server's folder; its words, and whether all is well.
    /// </summary>
    public async Task<(bool Clean, string Words)> VerifyAsync(CancellationToken stop)
    {
        var (exitCode, output) = await ChildProcess.RunAsync(
            "dotnet", [Repository.Path(Server), "verify", "--data", Data], stop);
        return (exitCode == 0, output.Trim());
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _client.Dispose();
        if (_upstream is not null) await _upstream.DisposeAsync();
    }

    private async Task<bool> IsReadyAsync(CancellationToken stop)
    {
        // whoever else may have taken the port in the meantime need not answer at all
        using var soon = CancellationTokenSource.CreateLinkedTokenSource(stop);
        soon.CancelAfter(TimeSpan.FromSeconds(5));
        try
        {
            using var answer = await _client.GetAsync(new Uri(Admin, "/readyz"), soon.Token);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception e) when (e is HttpRequestException || !stop.IsCancellationRequested)
        {
            return false;
        }
    }

    public async Task<JsonElement> PostAsync(string path, object body, CancellationToken stop)
    {
        using var answer = await _client.PostAsJsonAsync(new Uri(Admin, path), body, s_snake, stop);
        var text = await answer.Content.ReadAsStringAsync(stop);
        if (!answer.IsSuccessStatusCode) throw new BenchException($"POST {path} answered {answer.StatusCode}: {text}");
        return JsonDocument.Parse(text).RootElement;
    }

    private static string Text(Uri address) => address.GetLeftPart(UriPartial.Authority);
}
