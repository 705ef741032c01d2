using System.CommandLine;
using System.Globalization;
using System.Text;

namespace Tollgate.Bench;

/// <summary>What was seen of the server at one moment.</summary>
internal sealed record SoakSample(int Minute, double RequestsPerSecond, double P99Ms, long ResidentBytes, long DataBytes);

/// <summary>
/// Full load for as long as is asked for: memory and disk are sampled each minute, and at the end the ledger has what
/// the load generator counted and <c>tollgate verify</c> finds nothing.
/// </summary>
internal static class Soak
{
    private const int TurnSeconds = 60;

    public static async Task<int> RunAsync(int minutes, int connections, string output, CancellationToken stop)
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-soak-");
        try
        {
            var port = LocalPorts.Free(1)[0];
            await using var upstream = Peer.StartNginx(Target.Upstream, Path.Combine(folder.FullName, "upstream"),
                new Dictionary<string, int> { ["PORT"] = port, ["UPSTREAM"] = port, ["KEYS"] = 2 });
            await using var rig = await LedgerRig.CreateAsync(Path.Combine(folder.FullName, "rig"), upstream.Address, stop);
            await rig.StartAsync(stop);
            var (samples, runs) = (new List<SoakSample>(), new List<WrkResult>());
            for (var minute = 1; minute <= minutes && !stop.IsCancellationRequested; minute++)
            {
                var seen = await Wrk.RunAsync(connections, TurnSeconds, rig.Key, new Uri(rig.Proxy, LedgerRig.Path), stop);
                runs.Add(seen);
                samples.Add(new SoakSample(minute, seen.RequestsPerSecond, seen.P99Ms,
                    ProcessTree.ResidentOf(rig.ProcessId).Bytes, SizeOf(rig.Data)));
                Console.WriteLine($"minute {minute}: {seen.RequestsPerSecond:N0}/s, p99 {seen.P99Ms:N1} ms, " +
                    $"{samples[^1].ResidentBytes >> 20} MiB resident, {samples[^1].DataBytes >> 20} MiB of data");
            }

            var counted = await rig.CountAsync(stop);
            await rig.StopAsync();
            var (clean, words) = await rig.VerifyAsync(stop);
            var answered = runs.Sum(r => r.Requests - r.Non2xx);
            var atMost = answered + ((long)connections * runs.Count);
            var equal = counted.Quantity >= answered && counted.Quantity <= atMost && runs.TrueForAll(r => r.Non2xx == 0);
            var file = await WriteAsync(samples, connections, output,
                $"the load generator has {answered} answers ({runs.Sum(r => r.Non2xx)} of another status, " +
                $"{runs.Sum(r => r.SocketErrors)} socket errors), the ledger {counted.Quantity} calls, and up to {atMost} are " +
                $"right, since wrk hangs up on the calls under way at the end of each minute: {(equal ? "holds" : "FAILED")}",
                clean, words, stop);
            Console.WriteLine($"ledger {counted.Quantity} for {answered} answers: {(equal ? "holds" : "FAILED")}; " +
                $"verify {(clean ? "clean" : "NOT clean")}; {file}");
            return equal && clean ? 0 : 1;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static long SizeOf(string folder)
    {
        try
        {
            return new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length);
        }
        catch (IOException)
        {
            return 0; // a file went while we looked
        }
    }

    private static async Task<string> WriteAsync(
        List<SoakSample> samples, int connections, string output, string count, bool clean, string words,
        CancellationToken stop)
    {
        var machine = await Machine.DescribeAsync(stop);
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var text = new StringBuilder().AppendLine(CultureInfo.InvariantCulture, $"""
            # Soak, {today}

            `dotnet dev.cs soak --minutes {samples.Count} --connections {connections}` on {machine.Cores} × {machine.Cpu},
            {machine.System}, {machine.Dotnet}, revision {machine.Revision}; nginx, wrk and whatever else ran share the cores.

            Count: {count}. `tollgate verify` at the end: {(clean ? "clean" : "NOT clean")}.

            ```
            {words}
            ```

            | minute | requests/s | p99 ms | resident MiB | data MiB |
            |---:|---:|---:|---:|---:|
            """);
        foreach (var s in samples)
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {s.Minute} | {s.RequestsPerSecond:N0} | {s.P99Ms:N1} | {s.ResidentBytes >> 20} | {s.DataBytes >> 20} |");
        return await ResultPage.WriteAsync(output, "soak", samples.Count, text.ToString(), stop);
    }
}

/// <summary>The command line of <c>soak</c>.</summary>
internal static class SoakCommand
{
    public static Command Create()
    {
        var minutes = new Option<int>("--minutes") { Description = "How long", DefaultValueFactory = _ => 10 };
        var connections = new Option<int>("--connections") { Description = "Open connections of wrk", DefaultValueFactory = _ => 64 };
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root",
            DefaultValueFactory = _ => "bench/results",
        };
        var command = new Command("soak", "Full load for a while; then the ledger must have what the generator counted")
        {
            minutes, connections, output,
        };
        command.SetAction((parsed, stop) => Soak.RunAsync(
            parsed.GetValue(minutes), parsed.GetValue(connections), parsed.GetValue(output)!, stop));
        return command;
    }
}
