using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;

namespace Tollgate.Web;

/// <summary>How <c>/v1</c> answers: JSON in snake_case, lists by cursor, faults as problem+json with all of them.</summary>
public static class Answers
{
    /// <summary>How many faults one answer tells: an answer must not be larger than what it answers.</summary>
    public const int MaxFaults = 50;

    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
        // answers are JSON to programs, never text in a page: quotes and umlauts may stand as they are
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static IResult Ok(object value) => Results.Json(value, Json);

    public static IResult Created(string location, object value)
    {
        var answer = Results.Json(value, Json, statusCode: StatusCodes.Status201Created);
        return new WithLocation(answer, location);
    }

    /// <summary>A page of a list: one row more than was asked for means that there is a next page.</summary>
    public static IResult Page<TRow>(IReadOnlyList<TRow> rows, int limit, Func<TRow, object> view, Func<TRow, long> key)
    {
        var page = rows.Take(limit).ToArray();
        var next = rows.Count > limit ? key(page[^1]).ToString() : null;
        return Ok(new { data = page.Select(view), next_cursor = next });
    }

    /// <summary>Every fault at once, up to <see cref="MaxFaults"/>; the first gives the answer its code.</summary>
    public static IResult Refused(int status, IReadOnlyList<Problem> problems)
    {
        var told = problems.Take(MaxFaults).Select(p => p with { Field = p.Field is null ? null : Shorten(p.Field) })
            .ToList();
        if (problems.Count > MaxFaults)
            told.Add(new Problem("more_faults", $"{problems.Count - MaxFaults} more faults are not told."));
        return Results.Json(
            new
            {
                type = "/problems/" + told[0].Code,
                title = told[0].Code.Replace('_', ' '),
                status,
                detail = string.Join(" ", told.Select(p => p.Field is null ? p.Detail : $"{p.Field}: {p.Detail}")),
                code = told[0].Code,
                errors = told.Select(p => new
                {
                    code = p.Code,
                    field = p.Field,
                    detail = p.Detail,
                    line = p.Place?.Line,
                    column = p.Place?.Column,
                }),
            },
            Json, "application/problem+json", status);
    }

    public static IResult Invalid(params IReadOnlyList<Problem> problems) =>
        Refused(StatusCodes.Status400BadRequest, problems);

    public static IResult NotFound(string what, string name) => Refused(StatusCodes.Status404NotFound,
        [new Problem("not_found", $"There is no {what} '{Shorten(name)}'.")]);

    public static IResult Conflict(string code, string detail, string? field = null) =>
        Refused(StatusCodes.Status409Conflict, [new Problem(code, detail, field)]);

    /// <summary>A caller's text inside a message. The cut never leaves half of a surrogate pair.</summary>
    private static string Shorten(string name) => name.Length <= 80 ? name
        : name[..(char.IsHighSurrogate(name[79]) ? 79 : 80)] + "…";

    private sealed class WithLocation(IResult answer, string location) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.Headers.Location = location;
            return answer.ExecuteAsync(httpContext);
        }
    }
}
