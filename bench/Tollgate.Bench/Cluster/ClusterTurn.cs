using Tollgate.IntegrationTests;

namespace Tollgate.Bench;

/// <summary>What is called in a turn.</summary>
/// <param name="Name">For the page.</param>
/// <param name="Shared">Two nodes on one Redis; else one node that counts alone.</param>
/// <param name="Keys">How many keys are called.</param>
internal sealed record ClusterLoad(string Name, bool Shared, int Keys);

/// <summary>What one turn of load showed.</summary>
internal sealed record ClusterTurn
{
    public required ClusterLoad Load { get; init; }

    public required double Seconds { get; init; }

    public required long Answers { get; init; }

    /// <summary>Of another status than 2xx, and broken connections.</summary>
    public required long Wrong { get; init; }

    public required double P99Ms { get; init; }

    /// <summary>Of the nodes; microseconds for each answer.</summary>
    public required double CpuOfNodes { get; init; }

    public required double CpuOfRedis { get; init; }

    public required double CpuOfPostgres { get; init; }

    /// <summary>Times that a call waited for Redis; one call may wait more than once.</summary>
    public required double Waits { get; init; }

    public required double Questions { get; init; }

    public double PerSecond => Answers / Seconds;

    /// <summary>Calls a minute of the key in the middle.</summary>
    public double Median => 60 * PerSecond * Zipf.ShareOf(Load.Keys / 2, Load.Keys);

    /// <summary>Lets wrk call each node with its part of the connections.</summary>
    public static async Task<ClusterTurn> RunAsync(
        Cluster cluster, ClusterLoad load, int connections, int seconds, int seed, CancellationToken stop)
    {
        var before = await SeenAsync(cluster);
        var began = TimeProvider.System.GetTimestamp();
        var runs = await Task.WhenAll(cluster.Nodes.Select((node, i) => Wrk.RunZipfAsync(
            connections / cluster.Nodes.Count, seconds, load.Keys, Zipf.Exponent, seed + i, new Uri(node.Proxy, Bench.Load.Path), stop)));
        var took = TimeProvider.System.GetElapsedTime(began).TotalSeconds;
        var after = await SeenAsync(cluster);
        var answers = runs.Sum(r => r.Requests - r.Non2xx);
        return new ClusterTurn
        {
            Load = load,
            Seconds = took,
            Answers = answers,
            Wrong = runs.Sum(r => r.Non2xx + r.SocketErrors),
            P99Ms = runs.Max(r => r.P99Ms),
            CpuOfNodes = (after.Nodes - before.Nodes).TotalMicroseconds / answers,
            CpuOfRedis = (after.Redis - before.Redis).TotalMicroseconds / answers,
            CpuOfPostgres = (after.Postgres - before.Postgres).TotalMicroseconds / answers,
            Waits = after.Waits - before.Waits,
            Questions = after.Questions - before.Questions,
        };
    }

    private static async Task<(TimeSpan Nodes, TimeSpan Redis, TimeSpan Postgres, double Waits, double Questions)> SeenAsync(
        Cluster cluster)
    {
        var (nodes, waits, questions) = (TimeSpan.Zero, 0.0, 0.0);
        foreach (var node in cluster.Nodes)
        {
            nodes += ProcessTree.Cpu(node.Process);
            waits += await node.MetricAsync("tollgate_lease_waits_total");
            questions += await node.MetricAsync("tollgate_lease_questions_total");
        }

        return (nodes, cluster.Redis is null ? TimeSpan.Zero : ProcessTree.Cpu(cluster.Redis.Id),
            ProcessTree.Cpu(cluster.Postgres.Id), waits, questions);
    }
}

/// <summary>How calls spread over keys: the k-th of them is called in proportion to k^−1.1.</summary>
internal static class Zipf
{
    public const double Exponent = 1.1;

    /// <summary>Of all calls, those of one key.</summary>
    public static double ShareOf(int rank, int keys) =>
        Math.Pow(Math.Max(1, rank), -Exponent) / Enumerable.Range(1, keys).Sum(k => Math.Pow(k, -Exponent));

    /// <summary>The most keys of which the one in the middle still has so many calls a second.</summary>
    public static int MostKeys(double callsPerSecond, double median, int atMost)
    {
        var (low, high) = (1, atMost);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (callsPerSecond * ShareOf(middle / 2, middle) >= median) low = middle;
            else high = middle - 1;
        }

        return low;
    }
}
