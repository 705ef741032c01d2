using NodaTime;

namespace Tollgate.Catalog;

/// <summary>
/// Instants as the journal and the database keep them: whole microseconds since 1970 UTC. What is finer is cut off,
/// towards the past, everywhere alike.
/// </summary>
public static class Micros
{
    public const long PerSecond = 1_000_000;

    public static long Now(TimeProvider clock) => Of(clock.GetUtcNow());

    public static long Of(DateTimeOffset at) => OfTicks(at.UtcTicks - DateTime.UnixEpoch.Ticks);

    public static long Of(Instant at) => OfTicks(at.ToUnixTimeTicks());

    public static Instant ToInstant(long micros) => Instant.FromUnixTimeTicks(checked(micros * 10));

    public static DateTimeOffset ToDateTimeOffset(long micros) =>
        new(DateTime.UnixEpoch.Ticks + checked(micros * 10), TimeSpan.Zero);

    /// <summary>RFC 3339 in UTC, as the APIs write instants; fractions only where there are any.</summary>
    public static string ToText(long micros) =>
        NodaTime.Text.InstantPattern.ExtendedIso.Format(ToInstant(micros));

    /// <summary>Reads RFC 3339 with any offset.</summary>
    public static bool TryParse(string text, out long micros)
    {
        var parsed = NodaTime.Text.OffsetDateTimePattern.Rfc3339.Parse(text);
        micros = parsed.Success ? Of(parsed.Value.ToInstant()) : 0;
        return parsed.Success;
    }

    // division rounds towards zero, which before 1970 is the future
    private static long OfTicks(long ticks) => (ticks - (((ticks % 10) + 10) % 10)) / 10;
}
