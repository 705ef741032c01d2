using NodaTime;

namespace Tollgate.Catalog;

/// <summary>
/// The windows that a fixed limit counts in. Second to day divide the UTC day; month and year follow the UTC
/// calendar, with the true length of each.
/// </summary>
public enum WindowUnit : byte { Second, Minute, Hour, Day, Month, Year }

/// <summary>Where windows begin and end, in microseconds since 1970 UTC; half-open.</summary>
public static class LimitWindow
{
    private const long Second = 1_000_000;
    private static Window? s_month, s_year;
    private static readonly string[] s_names = ["second", "minute", "hour", "day", "month", "year"];

    public static int UnitCount => s_names.Length;

    public static string NameOf(WindowUnit unit) => s_names[(int)unit];

    public static bool TryParseUnit(ReadOnlySpan<char> text, out WindowUnit unit)
    {
        for (var i = 0; i < s_names.Length; i++)
        {
            if (!text.SequenceEqual(s_names[i])) continue;
            unit = (WindowUnit)i;
            return true;
        }

        unit = default;
        return false;
    }

    /// <summary>Length of a unit that divides the day, microseconds.</summary>
    public static long LengthOf(WindowUnit unit) => unit switch
    {
        WindowUnit.Second => Second,
        WindowUnit.Minute => 60 * Second,
        WindowUnit.Hour => 3_600 * Second,
        WindowUnit.Day => 86_400 * Second,
        _ => throw new ArgumentOutOfRangeException(nameof(unit), unit, "Months and years have no fixed length."),
    };

    /// <summary>The window that holds this instant.</summary>
    public static (long Start, long End) At(WindowUnit unit, long micros) => unit switch
    {
        <= WindowUnit.Day => Fixed(micros, LengthOf(unit)),
        _ => Calendar(unit, micros),
    };

    private static (long Start, long End) Fixed(long micros, long length)
    {
        var start = micros - ((micros % length) + length) % length;
        return (start, start + length);
    }

    // every subject of limits asks for the same ones
    private static (long Start, long End) Calendar(WindowUnit unit, long micros)
    {
        ref var last = ref unit == WindowUnit.Month ? ref s_month : ref s_year;
        if (Volatile.Read(ref last) is { } window && window.Start <= micros && micros < window.End) return (window.Start, window.End);
        window = Compute(unit, micros);
        Volatile.Write(ref last, window);
        return (window.Start, window.End);
    }

    private static Window Compute(WindowUnit unit, long micros)
    {
        var date = Micros.ToInstant(micros).InUtc().Date;
        var first = unit == WindowUnit.Month ? new LocalDate(date.Year, date.Month, 1) : new LocalDate(date.Year, 1, 1);
        var next = unit == WindowUnit.Month ? first.PlusMonths(1) : first.PlusYears(1);
        return new Window(Micros.Of(first.AtStartOfDayInZone(DateTimeZone.Utc).ToInstant()),
            Micros.Of(next.AtStartOfDayInZone(DateTimeZone.Utc).ToInstant()));
    }

    private sealed record Window(long Start, long End);
}
