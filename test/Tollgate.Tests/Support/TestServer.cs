using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Tollgate.Tests.Support;

/// <summary>
/// The whole product in this process: a real node on real ports over a temporary folder, under a test clock that
/// begins on 2026-01-10 at noon.
/// </summary>
internal sealed class TestServer : IAsyncDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 1, 10, 12, 0, 0, TimeSpan.Zero);

    private readonly TempFolder _folder;
    private readonly bool _ownsFolder;
    private readonly TollgateServer _server;
    private readonly HttpClient _callers;

    private TestServer(TempFolder folder, bool ownsFolder, TollgateServer server)
    {
        (_folder, _ownsFolder, _server) = (folder, ownsFolder, server);
        Admin = new HttpClient { BaseAddress = server.AdminAddress };
        _callers = new HttpClient(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false })
        {
            BaseAddress = server.ProxyAddress,
        };
    }

    public HttpClient Admin { get; }

    public TollgateNode Node => _server.Node;

    public IReadOnlyList<Microsoft.AspNetCore.Http.Endpoint> AdminRoutes => _server.AdminRoutes;

    public Uri Proxy => _server.ProxyAddress;

    /// <summary>All addresses for callers, in the order in which they were asked for.</summary>
    public IReadOnlyList<Uri> Proxies => _server.ProxyAddresses;

    /// <param name="yaml">The configuration file; <c>UPSTREAM</c> in it is the upstream's address.</param>
    /// <param name="upstream">What the APIs of the file lead to.</param>
    /// <param name="folder">Given: kept at the end, for a second start.</param>
    /// <param name="clock">Where business time begins.</param>
    /// <param name="change">What else is asked for.</param>
    /// <param name="machine">Machine time; the system's when null.</param>
    public static async Task<TestServer> StartAsync(
        string? yaml = null, TestUpstream? upstream = null, TempFolder? folder = null, DateTimeOffset? clock = null,
        Func<TollgateOptions, TollgateOptions>? change = null, TimeProvider? machine = null)
    {
        var data = folder ?? new TempFolder();
        string? file = null;
        if (yaml is not null)
        {
            file = Path.Combine(data.Path, "tollgate.yaml");
            await File.WriteAllTextAsync(file, yaml.Replace("UPSTREAM", upstream?.Address, StringComparison.Ordinal));
        }

        if (!TestDatabase.OnPostgres) TestDatabase.Migrated(Path.Combine(data.Path, "data", DataFolder.Store));
        var options = new TollgateOptions
        {
            Data = Path.Combine(data.Path, "data"),
            Database = TestDatabase.ServerOf(data.Path),
            ConfigFile = file,
            Proxy = new Uri("http://127.0.0.1:0"),
            Admin = new Uri("http://127.0.0.1:0"),
            TestClock = clock ?? Start,
        };
        var server = await TollgateServer.StartAsync(change?.Invoke(options) ?? options,
            logging => logging.SetMinimumLevel(LogLevel.None), machine);
        return new TestServer(data, folder is null, server);
    }

    /// <summary>A customer, its consumer and a key, all under one name, subscribed to a plan.</summary>
    public async Task<string> SubscribeAsync(string name, string? plan, object? customer = null)
    {
        await PostAsync("/v1/customers", customer ?? new { name });
        await PostAsync("/v1/consumers", new { username = name, customer = name });
        if (plan is not null) await PostAsync("/v1/subscriptions", new { customer = name, plan });
        var made = await PostAsync($"/v1/consumers/{name}/keys", new { });
        return made.GetProperty("key").GetString()!;
    }

    /// <summary>So many calls, one after the other.</summary>
    /// <returns>How many of them were answered below 300.</returns>
    public async Task<int> PassAsync(string path, string key, int calls)
    {
        var passed = 0;
        for (var i = 0; i < calls; i++)
        {
            using var answer = await CallAsync(path, key);
            if (answer.IsSuccessStatusCode) passed++;
        }

        return passed;
    }

    public Task<HttpResponseMessage> CallAsync(string path, string? key, HttpMethod? method = null)
    {
        var request = new HttpRequestMessage(method ?? HttpMethod.Get, path);
        if (key is not null) request.Headers.Add("apikey", key);
        return _callers.SendAsync(request);
    }

    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request) => _callers.SendAsync(request);

    /// <summary>Posts JSON to the admin API; fails the test with the answer when it is not a success.</summary>
    public async Task<JsonElement> PostAsync(string path, object body)
    {
        using var response = await Admin.PostAsJsonAsync(path, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"POST {path}: {(int)response.StatusCode} {text}");
        return JsonDocument.Parse(text).RootElement;
    }

    public async Task<JsonElement> GetAsync(string path)
    {
        using var response = await Admin.GetAsync(path);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"GET {path}: {(int)response.StatusCode} {text}");
        return JsonDocument.Parse(text).RootElement;
    }

    public async Task<string> TextAsync(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/plain"));
        using var response = await Admin.SendAsync(request);
        return await response.Content.ReadAsStringAsync();
    }

    /// <summary>Moves business time; what falls due in between has happened when this returns.</summary>
    public Task AdvanceAsync(string by) => PostAsync("/v1/test_clock/advance", new { by });

    /// <summary>Billable calls in the ledger.</summary>
    public async Task<long> UsageAsync(string query = "") => (await GetAsync("/v1/usage?meter=calls" + query))
        .GetProperty("data").EnumerateArray()
        .Sum(row => long.Parse(row.GetProperty("value").GetString()!));

    public async ValueTask DisposeAsync()
    {
        Admin.Dispose();
        _callers.Dispose();
        await _server.DisposeAsync();
        if (_ownsFolder) _folder.Dispose();
    }
}

/// <summary>A folder for one test, gone afterwards.</summary>
internal sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("tollgate-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

/// <summary>Configuration that several tests use.</summary>
internal static class Yaml
{
    public const string Tiers = """
        version: 1
        currency: USD
        apis:
          sample:
            upstream: UPSTREAM
            operations:
              public-data: GET /v1/public/data
              analytics:   GET /v1/premium/analytics
              advanced:    GET /v1/enterprise/advanced
              quote:       GET /v1/quotes/{symbol}
              order:       POST /v1/orders
        plans:
          free:
            operations: [public-data]
            limits: [100/minute]
          pro:
            operations: [public-data, analytics, quote, order]
            limits: [1000/minute]
          enterprise:
            operations: ["*"]
        """;

    public const string Rates = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations:
              data:    GET /api/v1/data
              premium: GET /api/v1/premium/analytics
        plans:
          metered:
            operations: ["*"]
            prices:
              data:    { model: per_unit, meter: calls, unit_amount: "0.01", where: { operation: data } }
              premium: { model: per_unit, meter: calls, unit_amount: "0.05", where: { operation: premium } }
        """;
}
