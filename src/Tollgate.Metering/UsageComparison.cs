using NodaTime;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>The stretch of time before another, to compare with.</summary>
public static class UsageComparison
{
    /// <summary>The same question about the time before: as many whole months where it asks for whole months of its zone,
    /// as many days where it asks for whole days, else just as long. Both ends must be given.</summary>
    public static UsageQuery Before(UsageQuery query)
    {
        var zone = DateTimeZoneProviders.Tzdb[query.Timezone];
        var (from, to) = (Micros.ToInstant(query.From!.Value), Micros.ToInstant(query.To!.Value));
        var (first, last) = (from.InZone(zone).LocalDateTime, to.InZone(zone).LocalDateTime);
        if (first.TimeOfDay != LocalTime.Midnight || last.TimeOfDay != LocalTime.Midnight)
            return query with { From = query.From - (query.To - query.From), To = query.From };
        var months = NodaTime.Period.Between(first.Date, last.Date, PeriodUnits.Months).Months;
        var start = first.Day == 1 && last.Day == 1 && months > 0
            ? first.Date.PlusMonths(-months)
            : first.Date.PlusDays(-NodaTime.Period.DaysBetween(first.Date, last.Date));
        return query with { From = Micros.Of(zone.AtStartOfDay(start).ToInstant()), To = query.From };
    }
}
