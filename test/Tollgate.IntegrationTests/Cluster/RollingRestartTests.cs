using System.Diagnostics;
using Tollgate.Tests.Support;

namespace Tollgate.IntegrationTests;

/// <summary>A HAProxy in front of three nodes, with the file that deploy/ has for it; each node restarts in turn.</summary>
public sealed class RollingRestartTests
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data } }
        plans:
          free: { operations: [data], limits: [1000000/day] }
        """;

    public static bool IsInstalled => Cluster.IsInstalled && File.Exists("/usr/sbin/haproxy");

    [Fact(Skip = "PostgreSQL, Redis and HAProxy are not installed: dotnet dev.cs install", SkipUnless = nameof(IsInstalled))]
    public async Task No_call_fails_while_each_node_in_turn_is_stopped_and_started()
    {
        await using var cluster = await Cluster.StartAsync(Plans, more: ["--leave-delay", "2"]);
        var key = await cluster.SubscribeAsync("fred", "free");
        using var balancer = await Balancer.StartAsync(cluster);
        using var client = new HttpClient { BaseAddress = balancer.Address };
        client.DefaultRequestHeaders.Add("apikey", key);
        await Until.SoAsync(async () => (await client.GetAsync("/api/v1/data")).IsSuccessStatusCode);
        var before = await UsageAsync(cluster);
        using var stop = new CancellationTokenSource();
        var answered = 0;
        var load = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                using var answer = await client.GetAsync("/api/v1/data");
                Assert.Equal(200, (int)answer.StatusCode);
                Interlocked.Increment(ref answered);
                await Task.Delay(TimeSpan.FromMilliseconds(2), TimeProvider.System);
            }
        })).ToArray();
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal(0, await node.StopAsync());
            await node.StartAsync();
            // as many health checks as HAProxy wants to see before it sends calls here again
            var calls = Volatile.Read(ref answered);
            await Until.SoAsync(() => Task.FromResult(Volatile.Read(ref answered) > calls + 50 || load.Any(l => l.IsFaulted)));
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);
        await Until.SoAsync(async () => await UsageAsync(cluster) == before + answered);
    }

    private static Task<long> UsageAsync(Cluster cluster) => Setup.UsageAsync(cluster.Nodes[0].Admin);

    private sealed class Balancer : IDisposable
    {
        private readonly Process _process;

        private Balancer(Process process, int port) => (_process, Address) = (process, new Uri($"http://127.0.0.1:{port}"));

        public Uri Address { get; }

        public static async Task<Balancer> StartAsync(Cluster cluster)
        {
            var port = Ports.Free();
            var text = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "deploy/haproxy.cfg"));
            text = text.Replace(":8080", $":{port}", StringComparison.Ordinal);
            for (var i = 0; i < cluster.Nodes.Count; i++)
                text = text.Replace($"10.0.0.{i + 1}:8000", $"127.0.0.1:{cluster.Nodes[i].Proxy.Port}", StringComparison.Ordinal)
                    .Replace($"10.0.0.{i + 1} port 8001", $"127.0.0.1 port {cluster.Nodes[i].Admin.Port}", StringComparison.Ordinal);
            var file = Path.Combine(cluster.Folder, "haproxy.cfg");
            await File.WriteAllTextAsync(file, text);
            var process = Process.Start(new ProcessStartInfo("/usr/sbin/haproxy", ["-db", "-f", file])
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            })!;
            _ = process.StandardError.ReadToEndAsync();
            _ = process.StandardOutput.ReadToEndAsync();
            return new Balancer(process, port);
        }

        public void Dispose()
        {
            if (!_process.HasExited) _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }
    }
}
