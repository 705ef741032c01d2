using System.CommandLine;
using System.Globalization;
using System.Text;
using Tollgate.IntegrationTests;

namespace Tollgate.Bench;

/// <summary>The command line of <c>cluster</c>, and its page.</summary>
internal static class ClusterCommand
{
    public static Command Create()
    {
        var minutes = new Option<double>("--minutes")
        {
            Description = "Minutes of load in all", DefaultValueFactory = _ => 6,
        };
        var keys = new Option<int>("--keys") { Description = "Each of a customer of its own", DefaultValueFactory = _ => 10_000 };
        var connections = new Option<int>("--connections")
        {
            Description = "Open connections of wrk over all nodes", DefaultValueFactory = _ => 64,
        };
        var revocations = new Option<int>("--revocations")
        {
            Description = "Keys that are revoked at one node and called at the other", DefaultValueFactory = _ => 300,
        };
        var every = new Option<bool>("--every-key")
        {
            Description = "Besides call all of the keys, of which the one in the middle then has few calls",
        };
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root",
            DefaultValueFactory = _ => "bench/results",
        };
        var command = new Command("cluster", "Two nodes on one Redis against one that counts alone; changes from one to the other")
        {
            minutes, keys, connections, revocations, every, output,
        };
        command.SetAction((parsed, stop) => RunAsync(parsed.GetValue(minutes), parsed.GetValue(keys),
            parsed.GetValue(connections), parsed.GetValue(revocations), parsed.GetValue(every), parsed.GetValue(output)!, stop));
        return command;
    }

    private static async Task<int> RunAsync(
        double minutes, int keys, int connections, int revocations, bool every, string output, CancellationToken stop)
    {
        if (!Cluster.IsInstalled) throw new BenchException(Cluster.Missing);
        if (Prerequisites.Missing([Target.Upstream]) is { Count: > 0 } missing) throw new BenchException(string.Join('\n', missing));
        if (keys < 2 || connections < 2 || revocations < 1 || minutes <= 0)
            throw new BenchException("--keys and --connections are 2 or more, --revocations 1 or more, --minutes above 0");
        var result = await ClusterBench.RunAsync(minutes, keys, connections, revocations, every, stop);
        var text = await PageAsync(result, keys, stop);
        var file = await ResultPage.WriteAsync(output, "cluster", Math.Round(result.Minutes, 1), text, CancellationToken.None);
        Console.WriteLine($"{text}\n{file}");
        return result.Turns.All(t => t.Wrong == 0) ? 0 : 1;
    }

    private static async Task<string> PageAsync(ClusterResult result, int all, CancellationToken stop)
    {
        var machine = await Machine.DescribeAsync(stop);
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var text = new StringBuilder().AppendLine(CultureInfo.InvariantCulture, $"""
            # Two nodes on one Redis, {today}

            `dotnet dev.cs cluster --minutes {result.Minutes:0.#} --keys {all} --connections {result.Connections}`
            on {machine.Cores} × {machine.Cpu}, {machine.System}, {machine.Dotnet}, revision {machine.Revision}. Nodes, Redis,
            PostgreSQL, nginx as the upstream, wrk and whatever else ran share the cores. Each key has a customer of its own, two
            limits and a quota that blocks; the k-th of N keys is called in proportion to k^−{Zipf.Exponent}. Medians of the turns.

            | | one node alone | two, each alone | two, one Redis | to one | goal |
            |---|---:|---:|---:|---:|---|
            """);
        foreach (var of in result.Turns.GroupBy(t => t.Load.Keys).OrderBy(g => g.Key))
        {
            ClusterTurn[][] by = [.. Enum.GetValues<ClusterKind>().Select(k => of.Where(t => t.Load.Kind == k).ToArray())];
            text.AppendLine(CultureInfo.InvariantCulture, $"| **{of.Key} keys** | | | | | |");
            Row("calls a second", t => t.PerSecond, "N0");
            Row("calls a minute of the key in the middle", t => t.Median, "N0", of.Key == result.Turns.Min(t => t.Load.Keys)
                ? "60 or more" : "");
            Row("CPU of the nodes for each call, µs", t => t.CpuOfNodes, "N1", "1.1 at most");
            Row("of that by threads behind the calls, µs", t => t.CpuBehind, "N1");
            Row("CPU of Redis for each call, µs", t => t.CpuOfRedis, "N1");
            Row("CPU of PostgreSQL for each call, µs", t => t.CpuOfPostgres, "N1");
            Row("p99, ms, with all of wrk's connections busy", t => t.P99Ms, "N1");
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| calls that wait for no network | all | all | {Median(by[^1], t => 1 - t.Waits / t.Answers):P2} | | 95 % or more |");
            Row("questions to Redis for each call", t => t.Questions / t.Answers, "N3");

            void Row(string what, Func<ClusterTurn, double> value, string format, string goal = "")
            {
                var values = Array.ConvertAll(by, turns => Median(turns, value));
                var cells = string.Join(" | ", values.Select(v => v.ToString(format, CultureInfo.InvariantCulture)));
                text.AppendLine(CultureInfo.InvariantCulture,
                    $"| {what} | {cells} | {(values[0] > 0 ? values[^1] / values[0] : (double?)null):N2} | {goal} |");
            }
        }

        text.AppendLine(CultureInfo.InvariantCulture, $"""

            The first block calls so few keys that the one in the middle has a call a second; all keys with such a middle would be
            {1 / Zipf.ShareOf(all / 2, all):N0} calls a second, which is more than this machine serves by HTTP (`dotnet dev.cs leases`
            decides them without). A last block, where there is one, calls all keys.
            Answers of another status, and broken connections: {result.Turns.Sum(t => t.Wrong)}.

            From sending a revocation to one node until the other has refused the key for the first time, {result.RevokedMs.Length}
            keys, with calls on both nodes beside it: median {At(0.5):N0} ms, p99 {At(0.99):N0} ms, longest {result.RevokedMs[^1]:N0} ms
            (goal: p99 within 1,000 ms).
            """);
        return text.ToString();

        double At(double part) => result.RevokedMs[Math.Min(result.RevokedMs.Length - 1, (int)(part * result.RevokedMs.Length))];
    }

    private static double Median(ClusterTurn[] turns, Func<ClusterTurn, double> value)
    {
        var sorted = turns.Select(value).Order().ToArray();
        return sorted.Length == 0 ? 0 : sorted[sorted.Length / 2];
    }
}
