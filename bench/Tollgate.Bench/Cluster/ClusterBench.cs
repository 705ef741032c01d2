using Tollgate.Config;
using Tollgate.IntegrationTests;
using Tollgate.Storage;

namespace Tollgate.Bench;

/// <summary>All that a run found.</summary>
internal sealed record ClusterResult(
    IReadOnlyList<ClusterTurn> Turns, double[] RevokedMs, double Minutes, int Connections);

/// <summary>
/// One node that counts alone, two that each do, and two on one Redis, in turns under the same load: what limits that nodes
/// share cost a call, how many calls wait for them, and how soon what one node changes is so on the other.
/// </summary>
internal static class ClusterBench
{
    private const int Warmup = 60, Rounds = 3, Busy = 16;

    private static string PlansFor(Uri upstream) => $$"""
        version: 1
        currency: USD
        plans:
          pro:
            operations: ["*"]
            limits: [100_000_000/minute, 1_000_000_000/hour]
            quotas: [{ meter: calls, allowance: 10_000_000_000, per: month, overage: block }]
        apis:
          bench: { upstream: {{upstream.GetLeftPart(UriPartial.Authority)}}, operations: { analytics: GET {{Load.Path}} } }
        """;

    public static async Task<ClusterResult> RunAsync(
        double minutes, int keys, int connections, int revocations, bool everyKey, CancellationToken stop)
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-cluster-");
        try
        {
            var port = LocalPorts.Free(1)[0];
            await using var upstream = Peer.StartNginx(Target.Upstream, Path.Combine(folder.FullName, "upstream"),
                new Dictionary<string, int> { ["PORT"] = port, ["UPSTREAM"] = port, ["KEYS"] = 2 });
            await using var alone = await StartAsync(upstream.Address, 1, keys, redis: false, stop);
            await using var apart = await StartAsync(upstream.Address, 2, keys, redis: false, stop);
            await using var shared = await StartAsync(upstream.Address, 2, keys, redis: true, stop);
            Console.WriteLine($"one node, two that count alone, and two on one Redis, each with {keys} keys");
            var kinds = Enum.GetValues<ClusterKind>();
            var possible = 0.0;
            foreach (var kind in kinds) possible = (await RunAsync(new ClusterLoad(kind, keys), Warmup)).PerSecond;
            var busy = Zipf.MostKeys(possible * 0.8, 1, keys);
            var loads = kinds.Select(k => new ClusterLoad(k, busy)).ToArray();
            if (busy < keys && everyKey) loads = [.. loads, .. kinds.Select(k => new ClusterLoad(k, keys))];
            var seconds = (int)Math.Max(5, minutes * 60 / (Rounds * loads.Length));
            var turns = new List<ClusterTurn>();
            for (var round = 0; round < Rounds; round++)
                for (var i = 0; i < loads.Length; i++)
                {
                    var turn = await RunAsync(loads[(i + round) % loads.Length], seconds);
                    turns.Add(turn);
                    Console.WriteLine($"round {round + 1}, {turn.Load.Kind}, {turn.Load.Keys} keys: " +
                        $"{turn.PerSecond:N0}/s, {turn.CpuOfNodes:N1} µs ({turn.CpuBehind:N1} behind), " +
                        $"{turn.Waits / turn.Answers:P2} waits, " +
                        $"{turn.Questions / turn.Answers:N3} questions a call");
                }

            Console.WriteLine($"{revocations} revocations");
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var beside = LoadBesideAsync(shared, busy, ended.Token);
            var revoked = await Revocations.MeasureAsync(shared, revocations, stop);
            await ended.CancelAsync();
            await beside;
            return new ClusterResult(turns, revoked, seconds * turns.Count / 60.0, connections);

            Task<ClusterTurn> RunAsync(ClusterLoad load, int seconds) => ClusterTurn.RunAsync(
                load.Kind switch { ClusterKind.One => alone, ClusterKind.Apart => apart, _ => shared }, load, connections, seconds,
                Random.Shared.Next(1_000_000), stop);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Starts it for the plan, puts the keys into its store, and starts it over them.</summary>
    private static async Task<Cluster> StartAsync(Uri upstream, int nodes, int keys, bool redis, CancellationToken stop)
    {
        var cluster = await Cluster.StartAsync(PlansFor(upstream), nodes, redis: redis);
        try
        {
            var first = cluster.Nodes[0];
            await first.PostAsync("/v1/customers", new { name = Revocations.Consumer });
            await first.PostAsync("/v1/consumers", new { username = Revocations.Consumer, customer = Revocations.Consumer });
            await first.PostAsync("/v1/subscriptions", new { customer = Revocations.Consumer, plan = "pro" });
            foreach (var node in cluster.Nodes) await node.StopAsync();
            await using (var database = Database.Open(first.Database))
            {
                var plan = await new ConfigStore(database, TimeProvider.System).FindAsync(ConfigKind.Plan, "pro");
                await ManyKeys.WriteAsync(database, ApiKeys.Open(Path.Combine(first.Data, DataFolder.InstallKey)), keys, 1,
                    Publication.PlanIdOf(plan!), TimeProvider.System);
            }

            stop.ThrowIfCancellationRequested();
            await Task.WhenAll(cluster.Nodes.Select(n => n.StartAsync()));
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    private static async Task LoadBesideAsync(Cluster cluster, int keys, CancellationToken stop)
    {
        try
        {
            var load = new ClusterLoad(ClusterKind.Shared, keys);
            while (true) await ClusterTurn.RunAsync(cluster, load, Busy, 5, 1, stop);
        }
        catch (OperationCanceledException)
        {
            // the end
        }
    }
}
