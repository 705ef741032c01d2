using Tollgate.IntegrationTests;

namespace Tollgate.Bench;

/// <summary>Who is called.</summary>
internal enum ClusterKind
{
    /// <summary>One node that counts alone.</summary>
    One,

    /// <summary>Two on one PostgreSQL that each count alone: what a second process costs that shares nothing.</summary>
    Apart,

    /// <summary>Two on one PostgreSQL and one Redis.</summary>
    Shared,
}

/// <summary>What is called in a turn.</summary>
/// <param name="Kind">Who is called.</param>
/// <param name="Keys">How many keys are called.</param>
internal sealed record ClusterLoad(ClusterKind Kind, int Keys);

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

    /// <summary>Of that, what threads behind the calls used: draining, the admin port.</summary>
    public required double CpuBehind { get; init; }

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
            CpuBehind = (after.Behind - before.Behind).TotalMicroseconds / answers,
            CpuOfRedis = (after.Redis - before.Redis).TotalMicroseconds / answers,
            CpuOfPostgres = (after.Postgres - before.Postgres).TotalMicroseconds / answers,
            Waits = after.Waits - before.Waits,
            Questions = after.Questions - before.Questions,
        };
    }

    private sealed record Seen
    {
        public TimeSpan Nodes { get; set; }

        public TimeSpan Behind { get; set; }

        public TimeSpan Redis { get; init; }

        public TimeSpan Postgres { get; init; }

        public double Waits { get; set; }

        public double Questions { get; set; }
    }

    private static async Task<Seen> SeenAsync(Cluster cluster)
    {
        var seen = new Seen
        {
            Redis = cluster.Redis is null ? TimeSpan.Zero : ProcessTree.Cpu(cluster.Redis.Id),
            Postgres = ProcessTree.Cpu(cluster.Postgres.Id),
        };
        foreach (var node in cluster.Nodes)
        {
            seen.Nodes += ProcessTree.Cpu(node.Process);
            seen.Behind += ProcessTree.CpuBehindCalls(node.Process);
            seen.Waits += await node.MetricAsync("tollgate_lease_waits_total");
            seen.Questions += await node.MetricAsync("tollgate_lease_questions_total");
        }

        return seen;
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
