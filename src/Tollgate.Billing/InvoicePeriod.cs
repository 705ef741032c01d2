using NodaTime;
using NodaTime.Text;
using Tollgate.Catalog;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>The time that somebody asks invoices of: a month, or from one local day to another.</summary>
public static class InvoicePeriod
{
    /// <summary>Both ends lie between these years, where every calendar is sure of itself.</summary>
    public const int FirstYear = 2000, LastYear = 2200;

    private static readonly YearMonthPattern s_month = YearMonthPattern.Iso;

    /// <summary>Reads <c>2026-01</c>, or <c>2026-01-01..2026-03-01</c> without the last day.</summary>
    public static Result<Period> Read(string text, DateTimeZone zone)
    {
        if (s_month.Parse(text) is { Success: true, Value: var month })
        {
            var first = month.OnDayOfMonth(1);
            return IsSure(first) ? Between(first, first.PlusMonths(1), zone) : TooFar(text);
        }

        var dots = text.IndexOf("..", StringComparison.Ordinal);
        if (dots > 0 && LocalDatePattern.Iso.Parse(text[..dots]) is { Success: true, Value: var from }
            && LocalDatePattern.Iso.Parse(text[(dots + 2)..]) is { Success: true, Value: var to } && from < to)
            return IsSure(from) && IsSure(to) ? Between(from, to, zone) : TooFar(text);
        return new Problem("period_invalid",
            $"'{text}' is not a period. Write a month as 2026-01, or days as 2026-01-01..2026-03-01.", "period");
    }

    private static bool IsSure(LocalDate date) => date.Year is >= FirstYear and <= LastYear;

    private static Problem TooFar(string text) => new("period_invalid",
        $"'{text}' is too far away: a period lies between the years {FirstYear} and {LastYear}.", "period");

    private static Period Between(LocalDate from, LocalDate to, DateTimeZone zone) =>
        new(Midnight(from, zone), Midnight(to, zone));

    private static Instant Midnight(LocalDate date, DateTimeZone zone) =>
        new BillingCalendar(date, zone).PeriodOf(0).Start;
}
