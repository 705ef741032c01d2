using System.Runtime.InteropServices;

namespace Tollgate.Bench;

internal sealed record EndToEndOptions
{
    public required Load Load { get; init; }
    public required int Rounds { get; init; }
    public required string Output { get; init; }
    public required IReadOnlyList<Target> Targets { get; init; }

    /// <summary>How many operations Tollgate has; one of them is called.</summary>
    public int Operations { get; init; } = 1;

    /// <summary>Keys of Tollgate that come or go each second while it is under load.</summary>
    public int Changes { get; init; }

    /// <summary>The command that repeats this run, from the repository's root.</summary>
    public string Command =>
        $"dotnet run -c Release --project bench/Tollgate.Bench -- e2e --seconds {Load.Seconds} --rounds {Rounds} "
        + $"--connections {Load.Connections} --keys {Load.Keys} --operations {Operations} --changes {Changes} "
        + $"--targets {string.Join(',', Targets.Select(t => t.Name))}";
}

/// <summary>One turn of one target.</summary>
/// <param name="Cpu">User and system time of the target's own processes.</param>
/// <param name="BehindCalls">Of that, what threads for work behind the calls have used; see <see cref="ProcessTree"/>.</param>
/// <param name="Changes">Keys that came or went meanwhile.</param>
internal sealed record Turn(Target Target, int Round, WrkResult Seen, TimeSpan Cpu, TimeSpan BehindCalls, long Changes)
{
    /// <summary>All of it, over the answers given.</summary>
    public double CpuMicrosecondsPerRequest => Cpu.TotalMicroseconds / Math.Max(1, Seen.Requests);

    /// <inheritdoc cref="BehindCalls"/>
    public double BehindMicrosecondsPerRequest => BehindCalls.TotalMicroseconds / Math.Max(1, Seen.Requests);
}

/// <summary>
/// The end-to-end bench: every target warmed up first, then in turns, so that what else the machine does in the
/// meantime hits all of them alike.
/// </summary>
internal static class EndToEnd
{
    public static async Task<int> RunAsync(EndToEndOptions options, CancellationToken stop)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            stopping.Cancel();
        });
        try
        {
            var missing = Prerequisites.Missing(options.Targets);
            if (missing.Count > 0) throw new BenchException(string.Join('\n', missing));
            return await MeasureAsync(options, stopping.Token) ? 0 : 1;
        }
        catch (Exception e) when (e is BenchException or HttpRequestException)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 1;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("stopped; nothing was written");
            return 1;
        }
    }

    private static async Task<bool> MeasureAsync(EndToEndOptions options, CancellationToken stop)
    {
        var machine = await Machine.DescribeAsync(stop);
        await using var stand = await Stand.StartAsync(options, stop);

        var allRuns = new List<(Target Target, WrkResult Seen)>();
        foreach (var peer in stand.Measured)
        {
            Console.WriteLine($"warm-up  {peer.Target.Name,-9} {peer.Target.WarmUpSeconds} s");
            var warmUp = options.Load with { Seconds = peer.Target.WarmUpSeconds };
            allRuns.Add((peer.Target, await Wrk.RunAsync(warmUp, peer.Address, stop)));
        }

        var turns = new List<Turn>();
        for (var round = 1; round <= options.Rounds; round++)
            for (var i = 0; i < stand.Measured.Count; i++)
            {
                // Each round begins with another target: none always follows the same neighbour's garbage.
                var peer = stand.Measured[(i + round - 1) % stand.Measured.Count];
                var turn = await TakeTurnAsync(stand, peer, round, options, stop);
                turns.Add(turn);
                allRuns.Add((peer.Target, turn.Seen));
                Console.WriteLine(
                    $"round {round}  {peer.Target.Name,-9} {turn.Seen.RequestsPerSecond,9:F0} req/s  "
                    + $"p50 {turn.Seen.P50Ms,6:F2} ms  p99 {turn.Seen.P99Ms,6:F2} ms  "
                    + $"{turn.CpuMicrosecondsPerRequest,6:F1} us CPU/req, {turn.BehindMicrosecondsPerRequest,5:F1} of them behind calls");
            }

        var resident = stand.Measured
            .ToDictionary(peer => peer.Target, peer => ProcessTree.ResidentBytes(peer.ProcessId));
        var allocated = new Dictionary<Target, double>();
        foreach (var peer in stand.Measured.Where(p => p.Target == Target.Yarp || p.Target == Target.Tollgate))
        {
            var (bytes, seen) = await Allocations.PerRequestAsync(peer, options.Load with { Seconds = 3 }, stop);
            allocated[peer.Target] = bytes;
            allRuns.Add((peer.Target, seen));
        }

        var count = stand.Tollgate is { } tollgate
            ? await CountCheck.TakeAsync(tollgate, options.Load, [.. TollgateRuns(allRuns)], stop)
            : null;
        var report = new Report(options, machine with { FileSystem = stand.FileSystem })
        {
            Turns = turns,
            ResidentBytes = resident,
            AllocatedBytes = allocated,
            ColdStart = stand.Tollgate?.ColdStart,
            Count = count,
        };
        report.Print();
        report.Write(TimeProvider.System);
        return report.IsClean;
    }

    private static async Task<Turn> TakeTurnAsync(
        Stand stand, Peer peer, int round, EndToEndOptions options, CancellationToken stop)
    {
        await using var changes = options.Changes > 0 && peer.Target == Target.Tollgate
            ? await KeyChanges.BeginAsync(stand.Client, stand.Tollgate!.Admin, options.Changes, stop) : null;
        var (before, behind) = (ProcessTree.Cpu(peer.ProcessId), ProcessTree.CpuBehindCalls(peer.ProcessId));
        var seen = await Wrk.RunAsync(options.Load, peer.Address, stop);
        return new Turn(peer.Target, round, seen, ProcessTree.Cpu(peer.ProcessId) - before,
            ProcessTree.CpuBehindCalls(peer.ProcessId) - behind, changes?.Done ?? 0);
    }

    private static IEnumerable<WrkResult> TollgateRuns(IEnumerable<(Target Target, WrkResult Seen)> runs) =>
        runs.Where(run => run.Target == Target.Tollgate).Select(run => run.Seen);
}
