using NodaTime;

namespace Tollgate.Catalog;

/// <summary>
/// Instants as the journal and the database keep them: whole microseconds since 1970 UTC. What is finer is cut off,
/// towards the past, everywhere alike.
/// </summary>
public static class Micros
{
    public const long PerSecond = 1_000_000;

    /// <summary>24 hours, which a local day is not always.</summary>
    public const long PerDay = 86_400 * PerSecond;

    private const int FirstYear = 1999, LastYear = 2200;

    // what an offset makes of the last and the first hours lies in the years beside
    private static readonly long First = Of(Instant.FromUtc(2000, 1, 1, 0, 0));
    private static readonly long End = Of(Instant.FromUtc(2200, 1, 1, 0, 0));

    public static long Now(TimeProvider clock) => Of(clock.GetUtcNow());

    public static long Of(DateTimeOffset at) => OfTicks(at.UtcTicks - DateTime.UnixEpoch.Ticks);

    public static long Of(Instant at) => OfTicks(at.ToUnixTimeTicks());

    public static Instant ToInstant(long micros) => Instant.FromUnixTimeTicks(checked(micros * 10));

    public static DateTimeOffset ToDateTimeOffset(long micros) =>
        new(DateTime.UnixEpoch.Ticks + checked(micros * 10), TimeSpan.Zero);

    /// <summary>RFC 3339 in UTC, as the APIs write instants; fractions only where there are any.</summary>
    public static string ToText(long micros) =>
        NodaTime.Text.InstantPattern.ExtendedIso.Format(ToInstant(micros));

    /// <summary>Reads RFC 3339 with any offset, from 2000 until 2200: outside, something else was meant.</summary>
    public static bool TryParse(string text, out long micros)
    {
        micros = 0;
        var parsed = NodaTime.Text.OffsetDateTimePattern.Rfc3339.Parse(text);
        if (!parsed.Success || parsed.Value.Year is < FirstYear or > LastYear) return false;
        micros = Of(parsed.Value.ToInstant());
        return micros >= First && micros < End;
    }

    // division rounds towards zero, which before 1970 is the future
    private static long OfTicks(long ticks) => (ticks - (((ticks % 10) + 10) % 10)) / 10;
}
