using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>A target that is not counted any more.</summary>
/// <param name="Target">Job and instance, or the labels of a series that has none.</param>
/// <param name="At">Microseconds UTC.</param>
/// <param name="Why">For whoever runs it.</param>
public sealed record ParkedTarget(string Target, long At, string Why)
{
    /// <summary>When it was released: what was scraped until then does not count. 0: it is parked.</summary>
    public long ReleasedAt { get; init; }
}

/// <summary>
/// What is scraped under one job and instance: one process after another. Where it says when its process started
/// (<c>process_start_time_seconds</c>), restarts are known and not guessed, and two processes at once are found out.
/// </summary>
internal sealed class ScrapeTarget(string name)
{
    /// <summary>The same process tells its start a little differently when the clock of its machine is set.</summary>
    public const long SameStart = 5 * Micros.PerSecond;

    /// <summary>How far the clocks of the process and of Prometheus may be apart.</summary>
    private const long Skew = 300 * Micros.PerSecond;

    public string Name => name;

    /// <summary>When a counter of it was seen first; <see cref="long.MaxValue"/>: not yet.</summary>
    public long First { get; set; } = long.MaxValue;

    /// <summary>When its process started, as it says; 0: it does not say.</summary>
    public long Start { get; private set; }

    /// <summary>The last scrape that told the start.</summary>
    public long StartSeenAt { get; private set; }

    /// <summary>The first scrape of a process that followed another one; 0: no restart was seen.</summary>
    public long RestartedAt { get; private set; }

    public ParkedTarget? Parked { get; private set; }

    /// <summary>What was scraped until then is not looked at.</summary>
    public long From { get; private set; }

    public void Park(long at, string why) => Parked ??= new ParkedTarget(name, at, why);

    /// <summary>Takes up what was written down of it.</summary>
    public void Know(ParkedTarget known)
    {
        if (known.ReleasedAt > 0) From = known.ReleasedAt;
        else Parked = known;
    }

    /// <summary>A scrape said when the process started.</summary>
    public void Saw(long start, long at)
    {
        if (at <= StartSeenAt || at <= From) return;
        if (Start == 0)
        {
            (Start, StartSeenAt) = (start, at);
        }
        else if (Math.Abs(start - Start) <= SameStart)
        {
            StartSeenAt = at;
        }
        else if (start < Start)
        {
            Park(at, $"process_start_time_seconds went back from {Micros.ToText(Start)} to {Micros.ToText(start)}: two " +
                "processes answer behind one target.");
        }
        else if (start + Skew < StartSeenAt)
        {
            Park(at, $"A process that started at {Micros.ToText(start)} answers where another one answered at " +
                $"{Micros.ToText(StartSeenAt)} still: two processes answer behind one target.");
        }
        else
        {
            (Start, StartSeenAt, RestartedAt) = (start, at, at);
        }
    }
}
