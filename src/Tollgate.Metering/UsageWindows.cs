using NodaTime;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>How long the windows are that usage is shown in.</summary>
public enum UsageWindow : byte { Hour, Day, Month }

/// <summary>
/// Windows of local time: hours, days and months as a clock on the wall there shows them. A day on which clocks change
/// has 23 or 25 hours; the hour that comes twice is two windows.
/// </summary>
public sealed class UsageWindows(UsageWindow length, DateTimeZone zone)
{
    /// <summary>The window that holds this instant, microseconds UTC, half-open.</summary>
    public (long Start, long End) At(long micros)
    {
        var at = Micros.ToInstant(micros);
        var date = at.InZone(zone).Date;
        return length switch
        {
            UsageWindow.Hour => Hour(at),
            UsageWindow.Day => (Midnight(date), Midnight(date.PlusDays(1))),
            _ => (Midnight(new LocalDate(date.Year, date.Month, 1)),
                Midnight(new LocalDate(date.Year, date.Month, 1).PlusMonths(1))),
        };
    }

    /// <summary>An hour that a change of clocks cuts ends there (Lord Howe Island moves by half an hour).</summary>
    private (long Start, long End) Hour(Instant at)
    {
        var steady = zone.GetZoneInterval(at);
        var shift = Micros.PerSecond * steady.WallOffset.Seconds;
        var (start, end) = Catalog.LimitWindow.At(WindowUnit.Hour, Micros.Of(at) + shift);
        return (
            steady.HasStart ? Math.Max(start - shift, Micros.Of(steady.Start)) : start - shift,
            steady.HasEnd ? Math.Min(end - shift, Micros.Of(steady.End)) : end - shift);
    }

    /// <summary>The first instant at or after this midnight; a zone may skip it, even the whole day.</summary>
    private long Midnight(LocalDate date)
    {
        var midnight = zone.MapLocal(date.AtMidnight());
        return Micros.Of(midnight.Count == 0 ? midnight.LateInterval.Start : midnight.First().ToInstant());
    }
}
