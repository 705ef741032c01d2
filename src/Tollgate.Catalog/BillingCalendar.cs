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

/// <summary>
/// The billing periods of a subscription: months counted from an anchor date in an IANA zone. Period k is always
/// computed from the anchor, never from the period before, so an anchor on the 31st gives 31 Jan, 28 Feb, 31 Mar
/// (money.md 8). Boundaries are local midnights as instants, whatever DST does.
/// </summary>
public sealed class BillingCalendar(LocalDate anchor, DateTimeZone zone)
{
    public LocalDate Anchor { get; } = anchor;

    public DateTimeZone Zone { get; } = zone;

    /// <summary>Calendar months: anchored on the first of the month in which the subscription starts.</summary>
    public static BillingCalendar CalendarMonths(Instant start, DateTimeZone zone)
    {
        var date = start.InZone(zone).Date;
        return new BillingCalendar(new LocalDate(date.Year, date.Month, 1), zone);
    }

    /// <summary>The zone with this IANA id, or null.</summary>
    public static DateTimeZone? FindZone(string id) => DateTimeZoneProviders.Tzdb.GetZoneOrNull(id);

    /// <summary>Period <paramref name="index"/>; 0 begins at the anchor, those before it are negative.</summary>
    public Period PeriodOf(int index) => new(Boundary(index), Boundary(index + 1));

    /// <summary>The index of the period that holds this instant.</summary>
    public int IndexAt(Instant at)
    {
        var date = at.InZone(Zone).Date;
        var index = NodaTime.Period.Between(Anchor, date, PeriodUnits.Months).Months - 1;
        while (Boundary(index + 1) <= at) index++;
        while (Boundary(index) > at) index--;
        return index;
    }

    /// <summary>How many local calendar days the period touches, the last one exclusive: what proration counts.</summary>
    public int Days(Period period)
    {
        var first = period.Start.InZone(Zone).Date;
        var last = period.End.InZone(Zone).Date;
        return NodaTime.Period.DaysBetween(first, last);
    }

    /// <summary>The first instant that is at or after local midnight: a zone may skip midnight (São Paulo in spring)
    /// or the whole day (Samoa on 30 December 2011).</summary>
    private Instant Boundary(int index)
    {
        var midnight = Zone.MapLocal(Anchor.PlusMonths(index).AtMidnight());
        return midnight.Count == 0 ? midnight.LateInterval.Start : midnight.First().ToInstant();
    }
}
