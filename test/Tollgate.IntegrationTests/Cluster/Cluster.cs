using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.IntegrationTests;

/// <summary>Several built servers on one PostgreSQL and one Redis, each a process with a folder of its own, and with links
/// of its own to both where a test wants to break them.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly string[] _more;

    private Cluster(string[] more) => _more = more;

    public const string Missing = "PostgreSQL and Redis are not installed: dotnet dev.cs install";

    public static bool IsInstalled => PostgresServer.IsInstalled && RedisServer.IsInstalled;

    public PostgresServer Postgres { get; private set; } = null!;

    public RedisServer Redis { get; private set; } = null!;

    public Upstream Upstream { get; private set; } = null!;

    public List<Member> Nodes { get; } = [];

    public string Folder => _folder.Path;

    /// <param name="yaml">The file that all nodes have; <c>UPSTREAM</c> in it is the upstream's address.</param>
    /// <param name="nodes">How many.</param>
    /// <param name="links">Whether they reach the engines by links that can be broken.</param>
    /// <param name="redis">False: each counts alone.</param>
    /// <param name="ofRedis">Options of Redis.</param>
    /// <param name="more">Further options of each node.</param>
    public static async Task<Cluster> StartAsync(
        string yaml, int nodes = 3, bool links = false, bool redis = true, string[]? ofRedis = null, params string[] more)
    {
        var cluster = new Cluster(more);
        try
        {
            cluster.Upstream = await Upstream.StartAsync();
            cluster.Postgres = PostgresServer.StartNew();
            if (redis) cluster.Redis = RedisServer.Start(ofRedis ?? []);
            await File.WriteAllTextAsync(
                cluster.Config, yaml.Replace("UPSTREAM", cluster.Upstream.Address, StringComparison.Ordinal));
            var database = cluster.Postgres.NewName();
            for (var i = 0; i < nodes; i++) cluster.Nodes.Add(new Member(cluster, i, database, links));
            await cluster.Nodes[0].StartAsync();
            foreach (var node in cluster.Nodes.Skip(1)) node.TakeKeyOf(cluster.Nodes[0]);
            await Task.WhenAll(cluster.Nodes.Skip(1).Select(n => n.StartAsync()));
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    private string Config => _folder.Of("tollgate.yaml");

    /// <summary>A customer with a key that every node knows.</summary>
    public async Task<string> SubscribeAsync(string name, string plan)
    {
        var first = Nodes[0];
        await first.PostAsync("/v1/customers", new { name });
        await first.PostAsync("/v1/consumers", new { username = name, customer = name });
        await first.PostAsync("/v1/subscriptions", new { customer = name, plan });
        var key = (await first.PostAsync($"/v1/consumers/{name}/keys", new { })).GetProperty("key").GetString()!;
        await EverywhereAsync(node => node.KnowsAsync(key));
        return key;
    }

    /// <summary>Waits until something is so on every node that runs.</summary>
    public async Task EverywhereAsync(Func<Member, Task<bool>> isSo)
    {
        foreach (var node in Nodes.Where(n => n.IsUp)) await Until.SoAsync(() => isSo(node));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in Nodes) await node.DisposeAsync();
        if (Upstream is not null) await Upstream.DisposeAsync();
        Redis?.Dispose();
        Postgres?.Dispose();
        _folder.Dispose();
    }

    /// <summary>One of the servers: it keeps its folder and its ports over restarts.</summary>
    internal sealed class Member : IAsyncDisposable
    {
        private readonly Cluster _cluster;
        private readonly string _database;
        private readonly (int Proxy, int Admin) _ports = (Ports.Free(), Ports.Free());
        private readonly HttpClient _callers;
        private readonly HttpClient _admin;
        private ServerProcess? _process;

        public Member(Cluster cluster, int number, string database, bool links)
        {
            (_cluster, Number, _database) = (cluster, number, database);
            ToPostgres = links ? new Link(cluster.Postgres.Port) : null;
            ToRedis = links && cluster.Redis is not null ? new Link(cluster.Redis.Port) : null;
            var handler = new SocketsHttpHandler { PooledConnectionIdleTimeout = TimeSpan.FromSeconds(10) };
            _callers = new HttpClient(handler) { BaseAddress = Proxy, Timeout = TimeSpan.FromSeconds(40) };
            _admin = new HttpClient { BaseAddress = Admin, Timeout = TimeSpan.FromSeconds(40) };
        }

        public int Number { get; }

        public Link? ToPostgres { get; }

        public Link? ToRedis { get; }

        public Uri Proxy => new($"http://127.0.0.1:{_ports.Proxy}");

        public Uri Admin => new($"http://127.0.0.1:{_ports.Admin}");

        public string Data => _cluster._folder.Of($"node{Number}");

        public bool IsUp => _process is not null;

        public int Process => _process!.Id;

        public string Output
        {
            get
            {
                // what it says comes while we look
                lock (_process!.Output) return _process.Output.ToString();
            }
        }

        public string Database => $"Host=127.0.0.1;Port={ToPostgres?.Port ?? _cluster.Postgres.Port};Username=postgres;" +
            $"Database={_database};Maximum Pool Size=10;Timeout=3";

        public void TakeKeyOf(Member first)
        {
            Directory.CreateDirectory(Data);
            File.Copy(Path.Combine(first.Data, "install.key"), Path.Combine(Data, "install.key"));
        }

        public async Task StartAsync(bool ready = true)
        {
            string[] redis = _cluster.Redis is null ? []
                : ["--redis", $"redis://127.0.0.1:{ToRedis?.Port ?? _cluster.Redis.Port}"];
            _process = await ServerProcess.StartOnAsync(Data, ready, _ports.Proxy, _ports.Admin,
                ["--config", _cluster.Config, "--database", Database, .. redis, .. _cluster._more]);
        }

        public async Task KillAsync()
        {
            await _process!.KillAsync();
            Forget();
        }

        public async Task<int> StopAsync()
        {
            var code = await _process!.StopAsync();
            Forget();
            return code;
        }

        public Task SignalAsync(string name) => Tool.RunAsync("kill", [name, $"{Process}"]);

        public async Task<HttpResponseMessage> CallAsync(string key, string path = "/api/v1/data")
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Add("apikey", key);
            return await _callers.SendAsync(request);
        }

        public async Task<int> StatusAsync(string key, string path = "/api/v1/data")
        {
            using var answer = await CallAsync(key, path);
            return (int)answer.StatusCode;
        }

        /// <summary>Whether a call with a key would be decided by a plan, without making one.</summary>
        public async Task<bool> KnowsAsync(string key)
        {
            using var answer = await _admin.PostAsJsonAsync("/v1/explain", new { path = "/api/v1/data", key });
            var text = await answer.Content.ReadAsStringAsync();
            return answer.IsSuccessStatusCode && !text.Contains("key_unknown", StringComparison.Ordinal)
                && !text.Contains("no_plan", StringComparison.Ordinal);
        }

        public async Task<string> TextAsync(string path)
        {
            using var answer = await _admin.GetAsync(path);
            return await answer.Content.ReadAsStringAsync();
        }

        public async Task<JsonElement> GetAsync(string path) => JsonDocument.Parse(await TextAsync(path)).RootElement;

        public async Task<JsonElement> PostAsync(string path, object body)
        {
            var (status, text) = await TryPostAsync(path, body);
            if (status >= 300) throw new InvalidOperationException($"POST {path}: {text}");
            return JsonDocument.Parse(text).RootElement;
        }

        public async Task<(int Status, string Text)> TryPostAsync(string path, object body)
        {
            using var answer = await _admin.PostAsJsonAsync(path, body);
            return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
        }

        public async Task DeleteAsync(string path)
        {
            using var answer = await _admin.DeleteAsync(path);
            answer.EnsureSuccessStatusCode();
        }

        public async Task<int> ReadyAsync()
        {
            using var answer = await _admin.GetAsync("/readyz");
            return (int)answer.StatusCode;
        }

        /// <summary>The sum of a metric over its labels.</summary>
        public async Task<double> MetricAsync(string name) => (await TextAsync("/metrics")).Split('\n')
            .Where(l => l.StartsWith(name + " ", StringComparison.Ordinal) || l.StartsWith(name + "{", StringComparison.Ordinal))
            .Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));

        public async ValueTask DisposeAsync()
        {
            _process?.Dispose();
            _callers.Dispose();
            _admin.Dispose();
            if (ToPostgres is not null) await ToPostgres.DisposeAsync();
            if (ToRedis is not null) await ToRedis.DisposeAsync();
        }

        private void Forget()
        {
            _process!.Dispose();
            _process = null;
        }
    }
}

/// <summary>Waits for what takes a moment.</summary>
internal static class Until
{
    /// <summary>Asks again until it is so; fails after a quarter of a minute, or when it has asked so often.</summary>
    public static async Task SoAsync(Func<Task<bool>> isSo, string? otherwise = null, int most = 750)
    {
        for (var tries = 0; tries < most; tries++)
        {
            try
            {
                if (await isSo()) return;
            }
            catch (HttpRequestException)
            {
                // not there yet
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }

        throw new InvalidOperationException(otherwise ?? "It did not come to be so.");
    }
}
