namespace Tollgate.Bench;

/// <summary>
/// Whether Tollgate counted what the load generator saw: every answered call, and at most one more for each
/// connection of each run, since wrk hangs up on the calls that are under way when its time is over.
/// </summary>
internal sealed record CountCheck
{
    /// <summary>As on the command line.</summary>
    public required string Target { get; init; }

    /// <summary>2xx answers in warm-up and rounds, and the one call before them.</summary>
    public required long Answered { get; init; }

    /// <summary>The most that can be right.</summary>
    public required long AtMost { get; init; }

    /// <summary>Null when the server could not be asked.</summary>
    public required decimal? Counted { get; init; }

    public required string Reason { get; init; }

    public bool Holds => Counted >= Answered && Counted <= AtMost;

    public string Sentence => Counted is null
        ? $"count check of {Target} FAILED: {Reason}; {Answered} calls were answered"
        : $"count check of {Target} {(Holds ? "holds" : "FAILED")}: it counted {Counted} calls, "
            + $"the load generator has {Answered} answers, and up to {AtMost} are right "
            + "(calls under way when a run ends are counted but not seen)";

    public static async Task<CountCheck> TakeAsync(
        Target target, TollgatePeer tollgate, int connections, IReadOnlyList<WrkResult> runs, CancellationToken stop)
    {
        const int firstCall = 1;
        var answered = firstCall + runs.Sum(run => run.Requests - run.Non2xx);
        var (counted, reason) = await tollgate.CountedCallsAsync(answered, stop);
        return new CountCheck
        {
            Target = target.Name,
            Answered = answered,
            AtMost = answered + ((long)connections * runs.Count),
            Counted = counted,
            Reason = reason,
        };
    }
}
