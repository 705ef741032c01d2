using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime;
using NodaTime.Text;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>
/// <c>/v1/test_clock</c>, only under <c>--test-clock</c>: read, set, advance. When a move is answered, the background
/// work of the time that passed is done.
/// </summary>
internal static class TestClockApi
{
    /// <summary>Business time stays between these years, where every calendar is sure of itself.</summary>
    private const int FirstYear = 2000, LastYear = 2200;

    public static void Map(IEndpointRouteBuilder routes, TestClock clock, Func<Task> background)
    {
        routes.MapGet("/v1/test_clock", () => View(clock));
        routes.MapPut("/v1/test_clock", Set);
        routes.MapPost("/v1/test_clock", Set);
        routes.MapPost("/v1/test_clock/advance", async (HttpRequest request) =>
        {
            var fields = await Fields.ReadAsync(request);
            var by = fields.Text("by", required: true, max: 64);
            var period = by is null ? null : Parse(by);
            if (by is not null && period is null)
                fields.Add("bad_value", "must be an ISO 8601 duration above zero such as P1M, P10D or PT90S", "by");
            return fields.Faults() ?? await MoveAsync(clock, Plus(clock.GetUtcNow(), period!), "by", background);
        });

        async Task<IResult> Set(HttpRequest request)
        {
            var fields = await Fields.ReadAsync(request);
            var now = fields.Instant("now", required: true);
            return fields.Faults()
                ?? await MoveAsync(clock, Micros.ToDateTimeOffset(now!.Value), "now", background);
        }
    }

    private static IResult View(TestClock clock) => Answers.Ok(new { now = Micros.ToText(Micros.Now(clock)) });

    private static async Task<IResult> MoveAsync(
        TestClock clock, DateTimeOffset to, string field, Func<Task> background)
    {
        if (to.Year is < FirstYear or > LastYear)
            return Answers.Invalid(
                new Problem("bad_value", $"must leave the clock between {FirstYear} and {LastYear}", field));
        clock.Set(to);
        await background();
        return View(clock);
    }

    private static NodaTime.Period? Parse(string text)
    {
        var parsed = PeriodPattern.NormalizingIso.Parse(text);
        if (!parsed.Success) return null;
        var p = parsed.Value;
        long[] parts = [p.Years, p.Months, p.Weeks, p.Days, p.Hours, p.Minutes, p.Seconds, p.Nanoseconds, p.Milliseconds, p.Ticks];
        return parts.All(n => n >= 0) && parts.Any(n => n > 0) && parts.All(n => n < 100_000_000_000_000) ? p : null;
    }

    /// <summary>Months and days by the UTC calendar. Out of range is answered as the year 9999.</summary>
    private static DateTimeOffset Plus(DateTimeOffset now, NodaTime.Period by)
    {
        try
        {
            return (LocalDateTime.FromDateTime(now.UtcDateTime) + by).InUtc().ToDateTimeOffset();
        }
        catch (Exception e) when (e is OverflowException or ArgumentOutOfRangeException)
        {
            return DateTimeOffset.MaxValue;
        }
    }
}
