using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime;
using NodaTime.Text;
using Tollgate.Catalog;
using Tollgate.Storage;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary>
/// <c>/v1/test_clock</c>, only under <c>--test-clock</c>: read, set, advance. When a move is answered, the background
/// work of the time that passed is done.
/// </summary>
internal static class TestClockApi
{
    /// <summary>Business time stays between these years, where every calendar is sure of itself.</summary>
    private const int FirstYear = 2000, LastYear = 2200;

    private static readonly long s_first = Micros.Of(Instant.FromUtc(FirstYear, 1, 1, 0, 0));
    private static readonly long s_end = Micros.Of(Instant.FromUtc(LastYear + 1, 1, 1, 0, 0));

    public static void Map(IEndpointRouteBuilder routes, TestClock clock, Func<Task> background)
    {
        // a move and its work are one step: whoever is answered finds both done
        var turn = new SemaphoreSlim(1, 1);
        routes.MapGet("/v1/test_clock", () => View(clock));
        routes.MapPut("/v1/test_clock", Set).InOwnTransactions();
        routes.MapPost("/v1/test_clock", Set).InOwnTransactions();
        routes.MapPost("/v1/test_clock/advance", async (HttpRequest request) =>
        {
            var fields = await Fields.ReadAsync(request);
            var by = fields.Text("by", required: true, max: 64);
            var period = by is null ? null : Parse(by);
            if (by is not null && period is null)
                fields.Add("bad_value", "must be an ISO 8601 duration above zero such as P1M, P10D or PT90S", "by");
            return fields.Faults() ?? await MoveAsync(() => Plus(clock.GetUtcNow(), period!), "by");
        }).InOwnTransactions();

        async Task<IResult> Set(HttpRequest request)
        {
            var fields = await Fields.ReadAsync(request);
            var now = fields.Instant("now", required: true);
            return fields.Faults() ?? await MoveAsync(() => now!.Value, "now");
        }

        async Task<IResult> MoveAsync(Func<long?> to, string field)
        {
            await turn.WaitAsync();
            try
            {
                // checked before the conversion: RFC 3339 has years that a DateTimeOffset has not
                if (to() is not { } micros || micros < s_first || micros >= s_end)
                    return Answers.Invalid(
                        new Problem("bad_value", $"must leave the clock between {FirstYear} and {LastYear}", field));
                clock.Set(Micros.ToDateTimeOffset(micros));
                await background();
                return View(clock);
            }
            finally
            {
                turn.Release();
            }
        }
    }

    private static IResult View(TestClock clock) => Answers.Ok(new { now = Micros.ToText(Micros.Now(clock)) });

    private static NodaTime.Period? Parse(string text)
    {
        var parsed = PeriodPattern.NormalizingIso.Parse(text);
        if (!parsed.Success) return null;
        var p = parsed.Value;
        long[] parts = [p.Years, p.Months, p.Weeks, p.Days, p.Hours, p.Minutes, p.Seconds, p.Nanoseconds, p.Milliseconds, p.Ticks];
        return parts.All(n => n >= 0) && parts.Any(n => n > 0) && parts.All(n => n < 100_000_000_000_000) ? p : null;
    }

    /// <summary>Months and days by the UTC calendar; null when the calendar ends before.</summary>
    private static long? Plus(DateTimeOffset now, NodaTime.Period by)
    {
        try
        {
            return Micros.Of((LocalDateTime.FromDateTime(now.UtcDateTime) + by).InUtc().ToInstant());
        }
        catch (Exception e) when (e is OverflowException or ArgumentOutOfRangeException)
        {
            return null;
        }
    }
}
