using System.Collections.Concurrent;
using NodaTime;

namespace Tollgate.Catalog;

/// <summary>A stretch of time, half-open: an instant at the end belongs to the next one.</summary>
public readonly record struct Period(Instant Start, Instant End)
{
    public bool Contains(Instant at) => at >= Start && at < End;

    /// <summary>What both have in common; empty (start = end) when nothing.</summary>
    public Period Intersect(Period other)
    {
        var start = Instant.Max(Start, other.Start);
        return new Period(start, Instant.Max(start, Instant.Min(End, other.End)));
    }

    public bool IsEmpty => Start >= End;
}

/// <summary>A billing period by its index, as the journal and the store keep instants: microseconds UTC, half-open.</summary>
public sealed record PeriodStamp(int Index, long Start, long End)
{
    public bool Holds(long at) => Start <= at && at < End;
}

/// <summary>How long a billing period is: local days, weeks, months, quarters or years.</summary>
public enum Interval : byte { Day, Week, Month, Quarter, Year }

/// <summary>How intervals are written in files, in the API and in the store.</summary>
public static class Intervals
{
    /// <summary>For messages.</summary>
    public const string Names = "day, week, month, quarter or year";

    public static string ToText(this Interval interval) => interval switch
    {
        Interval.Day => "day",
        Interval.Week => "week",
        Interval.Month => "month",
        Interval.Quarter => "quarter",
        Interval.Year => "year",
        _ => throw new ArgumentOutOfRangeException(nameof(interval), interval, Names),
    };

    /// <summary>The interval with this name, or null.</summary>
    public static Interval? Find(string? name) => name switch
    {
        "day" => Interval.Day,
        "week" => Interval.Week,
        "month" => Interval.Month,
        "quarter" => Interval.Quarter,
        "year" => Interval.Year,
        _ => null,
    };
}

/// <summary>
/// The billing periods of a subscription: intervals counted from an anchor date in an IANA zone. Period k is always
/// computed from the anchor, never from the period before, so an anchor on the 31st gives 31 Jan, 28 Feb, 31 Mar, and
/// one on 29 February is the 28th in other years (money.md 8). Boundaries are local midnights as instants, whatever
/// DST does.
/// </summary>
public sealed class BillingCalendar(LocalDate anchor, DateTimeZone zone, Interval interval = Interval.Month)
{
    /// <summary>Different calendars that are kept: there are as many as days on which subscriptions began.</summary>
    private const int MostShared = 4_096;

    private static readonly ConcurrentDictionary<(LocalDate, string, Interval), BillingCalendar> s_shared = new();

    private volatile PeriodStamp? _last;

    public LocalDate Anchor { get; } = anchor;

    public DateTimeZone Zone { get; } = zone;

    public Interval Interval { get; } = interval;

    /// <summary>Calendar months: anchored on the first of the month in which the subscription starts.</summary>
    public static BillingCalendar CalendarMonths(Instant start, DateTimeZone zone) =>
        Aligned(start, zone, Interval.Month);

    /// <summary>Calendar billing: periods begin on the first of the month, of the quarter or of the year, or on a Monday
    /// (ISO 8601).</summary>
    public static BillingCalendar Aligned(Instant start, DateTimeZone zone, Interval interval)
    {
        var date = start.InZone(zone).Date;
        return new BillingCalendar(interval switch
        {
            Interval.Day => date,
            Interval.Week => date.PlusDays(1 - (int)date.DayOfWeek),
            Interval.Month => new LocalDate(date.Year, date.Month, 1),
            Interval.Quarter => new LocalDate(date.Year, date.Month - ((date.Month - 1) % 3), 1),
            Interval.Year => new LocalDate(date.Year, 1, 1),
            _ => throw new ArgumentOutOfRangeException(nameof(interval), interval, Intervals.Names),
        }, zone, interval);
    }

    /// <summary>Anniversary billing: periods begin on the local day on which the subscription starts.</summary>
    public static BillingCalendar Anniversary(Instant start, DateTimeZone zone, Interval interval) =>
        new(start.InZone(zone).Date, zone, interval);

    /// <summary>The one that all subscriptions with the same periods share, so that these are computed once and not a million
    /// times.</summary>
    public static BillingCalendar Of(LocalDate anchor, string timezone, Interval interval)
    {
        if (s_shared.TryGetValue((anchor, timezone, interval), out var shared)) return shared;
        // who has one keeps it
        if (s_shared.Count >= MostShared) s_shared.Clear();
        return s_shared.GetOrAdd((anchor, timezone, interval), static of =>
            new BillingCalendar(of.Item1, DateTimeZoneProviders.Tzdb[of.Item2], of.Item3));
    }

    /// <summary>The zone with this IANA id, or null.</summary>
    public static DateTimeZone? FindZone(string id) => DateTimeZoneProviders.Tzdb.GetZoneOrNull(id);

    /// <summary>The period that holds an instant. The last one is remembered: nearly all that is asked about is now.</summary>
    /// <param name="at">Microseconds UTC.</param>
    public PeriodStamp At(long at)
    {
        if (_last is { } last && last.Holds(at)) return last;
        var index = IndexAt(Micros.ToInstant(at));
        var period = PeriodOf(index);
        return _last = new PeriodStamp(index, Micros.Of(period.Start), Micros.Of(period.End));
    }

    /// <summary>Period <paramref name="index"/>; 0 begins at the anchor, those before it are negative.</summary>
    public Period PeriodOf(int index) => new(Boundary(index), Boundary(index + 1));

    /// <summary>The index of the period that holds this instant.</summary>
    public int IndexAt(Instant at)
    {
        var date = at.InZone(Zone).Date;
        // no later than it, whatever is rounded towards the anchor: clamped days of short months and skipped ones are put right
        var index = Interval switch
        {
            Interval.Day => NodaTime.Period.DaysBetween(Anchor, date),
            Interval.Week => NodaTime.Period.DaysBetween(Anchor, date) / 7,
            _ => NodaTime.Period.Between(Anchor, date, PeriodUnits.Months).Months / Months,
        } - 1;
        while (Boundary(index + 1) <= at) index++;
        return index;
    }

    /// <summary>How many local calendar days the period touches, the last one exclusive: what proration counts.</summary>
    public int Days(Period period)
    {
        var first = period.Start.InZone(Zone).Date;
        var last = period.End.InZone(Zone).Date;
        return NodaTime.Period.DaysBetween(first, last);
    }

    private int Months => Interval switch { Interval.Month => 1, Interval.Quarter => 3, _ => 12 };

    /// <summary>The first instant that is at or after local midnight: a zone may skip midnight (São Paulo in spring)
    /// or the whole day (Samoa on 30 December 2011).</summary>
    private Instant Boundary(int index)
    {
        var date = Interval switch
        {
            Interval.Day => Anchor.PlusDays(index),
            Interval.Week => Anchor.PlusWeeks(index),
            _ => Anchor.PlusMonths(index * Months),
        };
        var midnight = Zone.MapLocal(date.AtMidnight());
        return midnight.Count == 0 ? midnight.LateInterval.Start : midnight.First().ToInstant();
    }
}
