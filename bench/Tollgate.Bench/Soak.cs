using System.CommandLine;
using System.Globalization;
using System.Text;

namespace Tollgate.Bench;

/// <summary>What was seen of the server at one moment.</summary>
internal sealed record SoakSample(int Minute, double RequestsPerSecond, double P99Ms, Resident Resident, long DataBytes);

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
                    ProcessTree.ResidentOf(rig.ProcessId), SizeOf(rig.Data)));
                Console.WriteLine($"minute {minute}: {seen.RequestsPerSecond:N0}/s, p99 {seen.P99Ms:N1} ms, " +
                    $"{samples[^1].Resident.Bytes >> 20} MiB resident, {samples[^1].Resident.Own >> 20} of them its own, " +
                    $"{samples[^1].DataBytes >> 20} MiB of data");
            }

            var counted = await rig.CountAsync(stop);
            await rig.StopAsync();
            var (clean, words) = await rig.VerifyAsync(stop);
            var answered = runs.Sum(r => r.Requests - r.Non2xx);
            var atMost = answered + ((long)connections * runs.Count);
            var equal = counted.Quantity >= answered && counted.Quantity <= atMost && runs.TrueForAll(r => r.Non2xx == 0);
            var memory = Memory.Of(samples);
            var file = await WriteAsync(samples, connections, memory, output,
                $"the load generator has {answered} answers ({runs.Sum(r => r.Non2xx)} of another status, " +
                $"{runs.Sum(r => r.SocketErrors)} socket errors), the ledger {counted.Quantity} calls, and up to {atMost} are " +
                $"right, since wrk hangs up on the calls under way at the end of each minute: {(equal ? "holds" : "FAILED")}",
                clean, words, stop);
            Console.WriteLine($"ledger {counted.Quantity} for {answered} answers: {(equal ? "holds" : "FAILED")}; " +
                $"verify {(clean ? "clean" : "NOT clean")}; {memory.Sentence}; {file}");
            return equal && clean && !memory.Grows ? 0 : 1;
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
        List<SoakSample> samples, int connections, Memory memory, string output, string count, bool clean, string words,
        CancellationToken stop)
    {
        var machine = await Machine.DescribeAsync(stop);
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var text = new StringBuilder().AppendLine(CultureInfo.InvariantCulture, $"""
            # Soak, {today}

            `dotnet dev.cs soak --minutes {samples.Count} --connections {connections}` on {machine.Cores} × {machine.Cpu},
            {machine.System}, {machine.Dotnet}, revision {machine.Revision}; nginx, wrk and whatever else ran share the cores.

            Count: {count}. `tollgate verify` at the end: {(clean ? "clean" : "NOT clean")}.

            Memory: {memory.Sentence}.

            ```
            {words}
            ```

            | minute | requests/s | p99 ms | resident MiB | of it own | data MiB |
            |---:|---:|---:|---:|---:|---:|
            """);
        foreach (var s in samples)
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {s.Minute} | {s.RequestsPerSecond:N0} | {s.P99Ms:N1} | {s.Resident.Bytes >> 20} " +
                $"| {s.Resident.Own >> 20} | {s.DataBytes >> 20} |");
        return await ResultPage.WriteAsync(output, "soak", samples.Count, text.ToString(), stop);
    }
}

/// <summary>Whether memory grew: its median of the second half against that of the first, the first two minutes left out, in
/// which tables fill and code is compiled.</summary>
internal sealed record Memory(bool Grows, string Sentence)
{
    private const int WarmUp = 2, Least = 4;

    // what the collector's moments and the drain's batches make of it from one minute to the next
    private const long Slack = 24L << 20;

    public static Memory Of(IReadOnlyList<SoakSample> samples)
    {
        var settled = samples.Skip(WarmUp).ToArray();
        if (settled.Length < Least) return new Memory(false, $"too few minutes to say whether it grows ({WarmUp + Least} are needed)");
        var (own, all) = (Halves(settled, s => s.Resident.Own), Halves(settled, s => s.Resident.Bytes));
        var grows = IsMore(own) || IsMore(all);
        return new Memory(grows, $"resident {all.First >> 20} MiB, then {all.Second >> 20} MiB (medians of the halves after minute " +
            $"{WarmUp}), of it own {own.First >> 20} and {own.Second >> 20}: {(grows ? "GROWS" : "flat")}");
    }

    private static bool IsMore((long First, long Second) halves) => halves.Second > halves.First + (halves.First / 10) + Slack;

    private static (long First, long Second) Halves(SoakSample[] samples, Func<SoakSample, long> of)
    {
        var half = samples.Length / 2;
        return (Median(samples[..half]), Median(samples[half..]));

        long Median(SoakSample[] some) => some.Select(of).Order().ElementAt(some.Length / 2);
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
