using System.Runtime.InteropServices;

namespace Tollgate.Bench;

/// <summary>One turn of one target.</summary>
/// <param name="Gate">User and system time that the target's processes used in it, but for <paramref name="Behind"/>.</param>
/// <param name="Behind">What threads for work behind the calls used, until they were done with it; see
/// <see cref="ProcessTree"/>.</param>
/// <param name="Changes">Keys that came or went meanwhile.</param>
internal sealed record Turn(Target Target, int Round, WrkResult Seen, TimeSpan Gate, TimeSpan Behind, long Changes)
{
    /// <summary>Over the answers given.</summary>
    public double GateMicroseconds => Gate.TotalMicroseconds / Math.Max(1, Seen.Requests);

    /// <inheritdoc cref="Behind"/>
    public double BehindMicroseconds => Behind.TotalMicroseconds / Math.Max(1, Seen.Requests);
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
        var allRuns = options.Targets.ToDictionary(target => target, _ => new List<WrkResult>());
        var warmUps = new List<WarmUp>();
        foreach (var peer in stand.Measured)
        {
            await using var changes = await ChangesAsync(stand, peer, options, stop);
            warmUps.Add(await WarmUp.RunAsync(
                peer, seconds => Wrk.RunAsync(options.LoadOf(peer.Target, seconds), peer.Address, stop), allRuns[peer.Target], stop));
            var warm = warmUps[^1];
            Console.WriteLine($"warm-up  {warm.Target.Name,-19} {warm.Seconds} s, {warm.Compiled:F0} methods compiled in the last 5 s");
        }

        var before = await JournalsAsync(stand, stop);
        var turns = new List<Turn>();
        for (var round = 1; round <= options.Rounds; round++)
            for (var i = 0; i < stand.Measured.Count; i++)
            {
                // Each round begins with another target: none always follows the same neighbour's garbage.
                var peer = stand.Measured[(i + round - 1) % stand.Measured.Count];
                await stand.AwaitQuietAsync(stop);
                var turn = await TakeTurnAsync(stand, peer, round, options, stop);
                turns.Add(turn);
                allRuns[peer.Target].Add(turn.Seen);
                Console.WriteLine(
                    $"round {round}  {peer.Target.Name,-19} {turn.Seen.RequestsPerSecond,9:F0} req/s  "
                    + $"p50 {turn.Seen.P50Ms,6:F2} ms  p99 {turn.Seen.P99Ms,6:F2} ms  "
                    + $"{turn.GateMicroseconds,6:F1} us CPU/req, {turn.BehindMicroseconds,5:F1} behind calls");
            }

        var resident = stand.Measured
            .ToDictionary(peer => peer.Target, peer => ProcessTree.ResidentOf(peer.ProcessId));
        var journals = (await JournalsAsync(stand, stop)).ToDictionary(j => j.Key, j => j.Value.Since(before[j.Key]));
        var allocated = new Dictionary<Target, (double Gate, double Behind)>();
        foreach (var peer in stand.Measured.Where(p => p.Target.IsDotnet))
        {
            var load = options.LoadOf(peer.Target, options.Full ? 10 : 3);
            var (activity, seen) = await RuntimeActivity.UnderAsync(
                peer.ProcessId, () => Wrk.RunAsync(load, peer.Address, stop), stop);
            var calls = Math.Max(1, seen.Requests);
            allocated[peer.Target] = ((activity.AllocatedBytes - activity.BehindCalls) / calls, activity.BehindCalls / calls);
            allRuns[peer.Target].Add(seen);
        }

        var counts = new Dictionary<Target, CountCheck>();
        foreach (var (target, tollgate) in stand.Tollgates)
            counts[target] = await CountCheck.TakeAsync(target, tollgate, options.Connections, allRuns[target], stop);
        var report = new Report(options, machine with { FileSystem = stand.FileSystem })
        {
            Turns = turns,
            WarmUps = warmUps,
            Resident = resident,
            AllocatedBytes = allocated,
            ColdStarts = stand.Tollgates.ToDictionary(t => t.Key, t => t.Value.ColdStart),
            Journals = journals,
            Counts = counts,
        };
        report.Print();
        report.Write(TimeProvider.System);
        return report.IsClean;
    }

    private static async Task<Turn> TakeTurnAsync(
        Stand stand, Peer peer, int round, EndToEndOptions options, CancellationToken stop)
    {
        var (total, behind) = Used(peer);
        WrkResult seen;
        (TimeSpan Total, TimeSpan Behind) after;
        long changed = 0;
        await using (var changes = await ChangesAsync(stand, peer, options, stop))
        {
            seen = await Wrk.RunAsync(options.LoadOf(peer.Target, options.Seconds), peer.Address, stop);
            after = Used(peer);
            changed = changes?.Done ?? 0;
        }

        // what the calls left to be done is part of what they cost
        if (peer.Target.IsTollgate) await stand.AwaitQuietAsync(stop);
        return new Turn(peer.Target, round, seen, after.Total - total - (after.Behind - behind), Used(peer).Behind - behind, changed);

        static (TimeSpan Total, TimeSpan Behind) Used(Peer peer) =>
            (ProcessTree.Cpu(peer.ProcessId), ProcessTree.CpuBehindCalls(peer.ProcessId));
    }

    private static async Task<KeyChanges?> ChangesAsync(Stand stand, Peer peer, EndToEndOptions options, CancellationToken stop) =>
        options.Changes > 0 && stand.Tollgates.TryGetValue(peer.Target, out var tollgate)
            ? await KeyChanges.BeginAsync(stand.Client, tollgate.Admin, options.Changes, stop) : null;

    private static async Task<Dictionary<Target, JournalSeen>> JournalsAsync(Stand stand, CancellationToken stop)
    {
        var seen = new Dictionary<Target, JournalSeen>();
        foreach (var (target, tollgate) in stand.Tollgates)
            seen[target] = await JournalSeen.OfAsync(tollgate, stand.Client, stop);
        return seen;
    }
}
