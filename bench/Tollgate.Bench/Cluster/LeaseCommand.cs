using System.CommandLine;
using System.Globalization;
using Tollgate.Tests.Support;

namespace Tollgate.Bench;

/// <summary>
/// The command line of <c>leases</c>, and its page: the decision of limits and quotas on two nodes in one process over a real
/// Redis, without HTTP and journal, so that all keys can be called at the rate that the goal names.
/// </summary>
internal static class LeaseCommand
{
    private const int Nodes = 2, WarmUp = 15;

    public static Command Create()
    {
        var minutes = new Option<double>("--minutes")
        {
            Description = "Of two nodes, and as many of one that counts alone", DefaultValueFactory = _ => 1.5,
        };
        var keys = new Option<int>("--keys") { Description = "Each of a subscription of its own", DefaultValueFactory = _ => 10_000 };
        var median = new Option<double>("--median")
        {
            Description = "Calls a minute of the key in the middle", DefaultValueFactory = _ => 60,
        };
        var headroom = new Option<double>("--headroom")
        {
            Description = "Limits are at least so many times of what their key calls, and less than twice that",
            DefaultValueFactory = _ => 2,
        };
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root", DefaultValueFactory = _ => "bench/results",
        };
        var command = new Command("leases", "Decisions of two nodes over one Redis at a given rate, without HTTP: how many wait")
        {
            minutes, keys, median, headroom, output,
        };
        command.SetAction((parsed, stop) => RunAsync(parsed.GetValue(minutes), parsed.GetValue(keys), parsed.GetValue(median),
            parsed.GetValue(headroom), parsed.GetValue(output)!, stop));
        return command;
    }

    private static async Task<int> RunAsync(
        double minutes, int keys, double median, double headroom, string output, CancellationToken stop)
    {
        if (!RedisServer.IsInstalled) throw new BenchException("Redis is not installed: dotnet dev.cs install");
        if (keys < 2 || median <= 0 || headroom < 1 || minutes <= 0)
            throw new BenchException("--keys is 2 or more, --headroom 1 or more, --median and --minutes above 0");
        var load = new LeaseLoad(keys, median, headroom);
        using var redis = RedisServer.Start();
        var seconds = (int)Math.Max(5, minutes * 60);
        var alone = await MeasureAsync(null, load, 1, seconds, stop);
        var shared = await MeasureAsync(redis, load, Nodes, seconds, stop);
        var machine = await Machine.DescribeAsync(stop);
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var (calls, waited) = (shared.Turns.Sum(t => t.Calls), shared.Turns.Sum(t => t.Waited));
        double[] waits = [.. shared.Turns.SelectMany(t => t.WaitsMs).Order()];
        var text = string.Create(CultureInfo.InvariantCulture, $"""
            # Leases of two nodes on one Redis, {today}

            `dotnet dev.cs leases --minutes {minutes:0.##} --keys {keys} --median {median:0.#} --headroom {headroom:0.#}`
            on {machine.Cores} × {machine.Cpu}, {machine.System}, {machine.Dotnet}, revision {machine.Revision}. The decision of limits
            and quotas (two limits and a quota that blocks for each key) with its leases over a real Redis, in one process, without
            HTTP and journal; Redis shares the cores. The k-th of all keys is called in proportion to k^−{Zipf.Exponent}; its limits
            are {headroom:0.#} to {2 * headroom:0.#} times of what it calls. Calls come at their rate, whoever waits.

            | | one node alone | two nodes, one Redis | goal |
            |---|---:|---:|---|
            | calls a second | {alone.PerSecond:N0} | {shared.PerSecond:N0} | |
            | calls a minute of the key in the middle | {median:N0} | {median:N0} | 60 or more |
            | **calls that wait for no network** | all | **{1 - ((double)waited / calls):P2}** | 95 % or more |
            | of those in the worst second, a minute's first | | {1 - (shared.Turns.Sum(t => t.MostInASecond) / shared.PerSecond):P2} | |
            | who waits: median, p99, longest, ms | | {At(0.5):N1}, {At(0.99):N1}, {At(1):N1} | |
            | refused | {alone.Turns.Sum(t => t.Refused)} | {shared.Turns.Sum(t => t.Refused)} | |
            | questions to Redis for each call | | {shared.Questions / calls:N4} | |
            | CPU of a decision with its part of leases, µs | {alone.Cpu:N2} | {shared.Cpu:N2} | |
            | CPU of Redis for each call, µs | | {shared.CpuOfRedis:N2} | |
            | behind the rate at the worst moment, ms | {alone.Turns.Max(t => t.LatestMs):N0} | {shared.Turns.Max(t => t.LatestMs):N0} | |
            """);
        var file = await ResultPage.WriteAsync(output, "leases", minutes, text + "\n", CancellationToken.None);
        Console.WriteLine($"{text}\n{file}");
        return 0;

        double At(double part) => waits.Length == 0 ? 0 : waits[Math.Min(waits.Length - 1, (int)(part * waits.Length))];
    }

    private static async Task<Measured> MeasureAsync(RedisServer? redis, LeaseLoad load, int count, int seconds, CancellationToken stop)
    {
        var nodes = new List<LeaseNode>();
        try
        {
            for (var i = 0; i < count; i++) nodes.Add(await LeaseNode.StartAsync(redis?.Address, load, 1 + i));
            await AllAsync(WarmUp);
            var (cpu, ofRedis, questions) = (Environment.CpuUsage.TotalTime, CpuOf(redis), nodes.Sum(n => n.Questions));
            var turns = await AllAsync(seconds);
            var calls = turns.Sum(t => t.Calls);
            return new Measured(turns, calls / (double)seconds, (Environment.CpuUsage.TotalTime - cpu).TotalMicroseconds / calls,
                (CpuOf(redis) - ofRedis).TotalMicroseconds / calls, nodes.Sum(n => n.Questions) - questions);
        }
        finally
        {
            foreach (var node in nodes) await node.DisposeAsync();
        }

        async Task<LeaseTurn[]> AllAsync(int length) =>
            await Task.WhenAll(nodes.Select(n => Task.Run(() => n.RunAsync(load.PerSecond / count, length, stop), stop)));
    }

    private static TimeSpan CpuOf(RedisServer? redis) => redis is null ? TimeSpan.Zero : ProcessTree.Cpu(redis.Id);

    private sealed record Measured(LeaseTurn[] Turns, double PerSecond, double Cpu, double CpuOfRedis, double Questions);
}
