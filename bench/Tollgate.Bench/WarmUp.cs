namespace Tollgate.Bench;

/// <summary>How a target was made ready to be measured.</summary>
/// <param name="Seconds">Under load.</param>
/// <param name="Compiled">Methods that its JIT still compiled in the last piece of them; null where there is no JIT.</param>
internal sealed record WarmUp(Target Target, int Seconds, double? Compiled)
{
    private const int Piece = 5;
    private const int MostSeconds = 90;

    // a method now and then is always new: a timer that fires for the first time
    private const int Few = 20;

    /// <summary>Puts the target under load until its JIT has next to nothing left to compile.</summary>
    /// <param name="peer">What is warmed up.</param>
    /// <param name="load">For so many seconds; what it is told is kept.</param>
    /// <param name="runs">Gets what the load generator saw.</param>
    /// <param name="stop">Ends it.</param>
    public static async Task<WarmUp> RunAsync(
        Peer peer, Func<int, Task<WrkResult>> load, List<WrkResult> runs, CancellationToken stop)
    {
        var least = peer.Target.WarmUpSeconds;
        if (!peer.Target.IsDotnet)
        {
            runs.Add(await load(least));
            return new WarmUp(peer.Target, least, null);
        }

        for (var seconds = Piece; ; seconds += Piece)
        {
            var (activity, seen) = await RuntimeActivity.UnderAsync(peer.ProcessId, () => load(Piece), stop);
            runs.Add(seen);
            if (seconds >= least && (activity.Compiled <= Few || seconds >= MostSeconds))
                return new WarmUp(peer.Target, seconds, activity.Compiled);
        }
    }
}
