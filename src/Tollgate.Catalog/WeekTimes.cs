using System.Globalization;
using System.Text;
using NodaTime;

namespace Tollgate.Catalog;

/// <summary>
/// Times of the local week, by the quarter of an hour, as <c>mon-fri 08:00-18:00</c>. What the clock on the wall shows
/// decides: an hour that is there twice in autumn counts twice, one that is skipped in spring never. Usage is kept by
/// quarters of an hour, and every zone's offset is a multiple of one.
/// </summary>
public sealed class WeekTimes : IEquatable<WeekTimes>
{
    private const int OfDay = 96, OfWeek = 7 * OfDay;

    private static readonly string[] s_days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    private readonly bool[] _quarters;

    private WeekTimes(bool[] quarters) => _quarters = quarters;

    /// <summary>Reads spans as <c>mon-fri 08:00-18:00</c>, <c>sat,sun 00:00-24:00</c> or <c>22:00-06:00</c> (every day,
    /// past midnight into the next).</summary>
    /// <returns>Null, with what is wrong with each of them.</returns>
    public static WeekTimes? Parse(IReadOnlyList<string> spans, out IReadOnlyList<(int At, string Wrong)> faults)
    {
        var quarters = new bool[OfWeek];
        var wrong = new List<(int, string)>();
        for (var i = 0; i < spans.Count; i++)
            if (Add(quarters, spans[i]) is { } fault) wrong.Add((i, fault));
        faults = wrong;
        return wrong.Count == 0 ? new WeekTimes(quarters) : null;
    }

    public bool Holds(long at, DateTimeZone zone)
    {
        var local = Micros.ToInstant(at).InZone(zone).LocalDateTime;
        return _quarters[(((int)local.DayOfWeek - 1) * OfDay) + (local.Hour * 4) + (local.Minute / 15)];
    }

    public bool IsWholeWeek => Array.TrueForAll(_quarters, q => q);

    /// <summary>The spans, in one form for equal times.</summary>
    public IReadOnlyList<string> Spans()
    {
        var days = Enumerable.Range(0, 7).Select(OfOneDay).ToArray();
        var spans = new List<string>();
        foreach (var span in days.SelectMany(d => d).Distinct().Order())
        {
            var on = Enumerable.Range(0, 7).Where(d => days[d].Contains(span)).ToArray();
            spans.Add($"{Days(on)}{Time(span.From)}-{Time(span.To)}");
        }

        return spans;
    }

    public override string ToString() => string.Join(", ", Spans());

    public bool Equals(WeekTimes? other) => other is not null && _quarters.AsSpan().SequenceEqual(other._quarters);

    public override bool Equals(object? obj) => Equals(obj as WeekTimes);

    public override int GetHashCode() => Array.FindAll(_quarters, q => q).Length;

    private List<(int From, int To)> OfOneDay(int day)
    {
        var spans = new List<(int, int)>();
        for (var from = 0; from < OfDay; from++)
        {
            if (!_quarters[day * OfDay + from]) continue;
            var to = from;
            while (to < OfDay && _quarters[day * OfDay + to]) to++;
            spans.Add((from, to));
            from = to;
        }

        return spans;
    }

    private static string? Add(bool[] quarters, string span)
    {
        var words = span.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length is 0 or > 2) return "days and a time are needed";
        var days = words.Length == 1 ? [0, 1, 2, 3, 4, 5, 6] : DaysOf(words[0]);
        if (days is null) return $"'{words[0]}' names no days: mon, tue, wed, thu, fri, sat, sun, as mon-fri or sat,sun";
        var times = words[^1].Split('-');
        if (times.Length != 2 || TimeOf(times[0]) is not { } from || TimeOf(times[1]) is not { } to || from == OfDay)
            return $"'{words[^1]}' is no time: two quarters of an hour, as 08:00-18:00 or 22:00-06:00";
        if (from == to) return $"'{words[^1]}' is empty: for the whole day write 00:00-24:00";
        // past midnight: into the next day, and from Sunday into Monday
        if (to < from) to += OfDay;
        foreach (var day in days)
            for (var q = from; q < to; q++) quarters[(day * OfDay + q) % OfWeek] = true;
        return null;
    }

    private static List<int>? DaysOf(string text)
    {
        var days = new List<int>();
        foreach (var part in text.Split(','))
        {
            var ends = part.Split('-');
            var (first, last) = (Array.IndexOf(s_days, ends[0]), Array.IndexOf(s_days, ends[^1]));
            if (ends.Length > 2 || first < 0 || last < 0) return null;
            for (var day = first; ; day = (day + 1) % 7)
            {
                days.Add(day);
                if (day == last) break;
            }
        }

        return days;
    }

    /// <summary>Quarters since midnight; 24:00 is the end of the day.</summary>
    private static int? TimeOf(string text)
    {
        if (text.Length != 5 || text[2] != ':' || !int.TryParse(text[..2], NumberStyles.None, CultureInfo.InvariantCulture, out var hour)
            || !int.TryParse(text[3..], NumberStyles.None, CultureInfo.InvariantCulture, out var minute))
            return null;
        return hour <= 24 && minute is 0 or 15 or 30 or 45 && hour * 4 + minute / 15 is <= OfDay and var quarters ? quarters : null;
    }

    private static string Days(int[] on)
    {
        if (on.Length == 7) return "";
        var text = new StringBuilder();
        for (var i = 0; i < on.Length; i++)
        {
            var last = i;
            while (last + 1 < on.Length && on[last + 1] == on[last] + 1) last++;
            if (text.Length > 0) text.Append(',');
            text.Append(s_days[on[i]]);
            if (last > i) text.Append('-').Append(s_days[on[last]]);
            i = last;
        }

        return text.Append(' ').ToString();
    }

    private static string Time(int quarters) => $"{quarters / 4:00}:{quarters % 4 * 15:00}";
}
