using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary>
/// Usage from outside: <c>POST /v1/events</c> with an answer for each event, and <c>POST /api/v1/events</c> as clients of
/// OpenMeter and Lago send and expect it. CloudEvents 1.0 in each of its three forms.
/// </summary>
internal static class EventsApi
{
    /// <summary>Usage goes into the journal, not into the store, and its own identity makes a retry harmless: no transaction, no
    /// entry in the audit log for each, and no answer that is kept.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/events", PostAsync).Needs(AdminScope.Ingest).ChangesNothing();
        routes.MapPost("/api/v1/events", PostQuietlyAsync).Needs(AdminScope.Ingest).ChangesNothing();
        routes.MapPost("/api/v1/events/batch", LagoEvents.PostBatchAsync).Needs(AdminScope.Ingest).ChangesNothing();
        routes.MapPost("/v1/billing/meter_events", StripeEvents.PostAsync).Needs(AdminScope.Ingest).ChangesNothing();
        routes.MapPost("/v2/billing/meter_events", StripeEvents.PostJsonAsync).Needs(AdminScope.Ingest).ChangesNothing();
        routes.MapGet("/v1/events/{source}/{id}", FindAsync);
        routes.MapGet("/v1/unattributed_usage", UnattributedAsync);
    }

    /// <summary>Takes the events, and answers for each.</summary>
    private static async Task<IResult> PostAsync(HttpRequest request, EventIntake intake, EventRoom room)
    {
        using var body = await EventBody.ReadAsync(request, room, IsBinary(request));
        if (body.Fault is { } fault) return fault;
        if (!body.HasHalf && LagoEvents.Is(body.Root)) return await LagoEvents.TakeOneAsync(body.Root, intake);
        if (EventsOf(request, body, out var events) is { } wrong) return wrong;
        if (await intake.TakeAsync(events) is not { } answers) return Full();
        var accepted = answers.Count(a => a.Accepted);
        var items = answers.Select((a, i) => new
        {
            index = i,
            source = a.Source,
            id = a.Id,
            status = a.Accepted ? "accepted" : "rejected",
            reason = a.Reason is { } r ? new { code = r.Code, field = r.Field, detail = r.Detail } : null,
        });
        return Results.Json(new { accepted, rejected = answers.Count - accepted, items }, Answers.Json,
            statusCode: accepted > 0 || answers.Count == 0 ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest);
    }

    /// <summary>As OpenMeter answers: 204 when all is well. Else 400 with what is wrong; what was right counts, and a
    /// retry of it counts nothing.</summary>
    private static async Task<IResult> PostQuietlyAsync(HttpRequest request, EventIntake intake, EventRoom room)
    {
        using var body = await EventBody.ReadAsync(request, room, IsBinary(request));
        if (body.Fault is { } fault) return fault;
        if (!body.HasHalf && LagoEvents.Is(body.Root)) return await LagoEvents.TakeOneAsync(body.Root, intake);
        if (EventsOf(request, body, out var events) is { } wrong) return wrong;
        if (await intake.TakeAsync(events) is not { } answers) return Full();
        var problems = answers.Index().Where(a => !a.Item.Accepted).Select(a => a.Item.Reason! with
        {
            Field = events.Count == 1 ? a.Item.Reason!.Field : $"[{a.Index}].{a.Item.Reason!.Field}",
        }).ToArray();
        return problems.Length == 0 ? Results.NoContent() : Answers.Invalid(problems);
    }

    private static async Task<IResult> FindAsync(
        string source, string id, UsageDrain drain, CallSearch calls, Database database)
    {
        // a source is mostly a URL: its slashes come encoded
        (source, id) = (Uri.UnescapeDataString(source), Uri.UnescapeDataString(id));
        await drain.CatchUpAsync();
        var found = await database.ReadAsync(db => EventStore.FindAsync(db, source, id));
        // what is older than identities are remembered is on record still
        var ours = found is null || found.Record.Journal == calls.Journal;
        var records = ours ? await calls.EventAsync(source, id, found?.Record.Sequence ?? 0) : [];
        if (found is null && records.Count == 0) return Answers.NotFound("event", $"{source}/{id}");
        return Answers.Ok(new
        {
            source,
            id,
            status = found?.Unattributed == true ? "unattributed" : "counted",
            counted_on = found is null ? null : Micros.ToText(found.CountedOn)[..10],
            record = (found?.Record ?? records[0].Id).ToString(),
            duplicates = found?.Duplicates ?? records.Count(r => !r.Billable),
            missing_journals = ours ? [] : (string[])[$"{found!.Record.Journal:x8}"],
            records = await EventRecords.ViewAsync(database, records),
        });
    }

    private static async Task<IResult> UnattributedAsync(HttpRequest request, UsageDrain drain, Database database)
    {
        if (Paging.TryRead(request, out var paging) is { } fault) return fault;
        await drain.CatchUpAsync();
        var rows = await database.ReadAsync(db => EventStore.UnattributedAsync(db, paging.After, paging.Rows));
        return Answers.Page(rows, paging.Limit, r => new
        {
            subject = r.Subject,
            meter = r.Meter,
            events = r.Events,
            first_at = Micros.ToText(r.FirstAt),
            last_at = Micros.ToText(r.LastAt),
        }, r => r.Key);
    }

    /// <summary>The events of a request: a body that is one or several, or headers with the data as the body.</summary>
    private static IResult? EventsOf(HttpRequest request, EventBody body, out IReadOnlyList<IncomingEvent> events)
    {
        events = [];
        var headers = request.Headers;
        if (body.Root.ValueKind == System.Text.Json.JsonValueKind.Array && TooMany(body.Root.GetArrayLength()) is { } tooMany)
            return tooMany;
        events = IsBinary(request)
            ?
            [
                new IncomingEvent
                {
                    Id = Header("ce-id"),
                    Source = Header("ce-source"),
                    Type = Header("ce-type"),
                    Subject = Header("ce-subject"),
                    Time = Header("ce-time"),
                    Data = body.Root,
                    Fault = Header("ce-specversion") != "1.0"
                        ? new Problem("bad_value", "must be \"1.0\": events are read as CloudEvents 1.0", "ce-specversion")
                        : body.HasHalf ? new Problem("bad_value", EventReader.NoTexts, "data") : null,
                },
            ]
            : EventReader.Read(body.Root);
        return null;

        // percent-encoded, as the HTTP binding of CloudEvents says
        string? Header(string name) => headers[name] is [{ } text] ? Uri.UnescapeDataString(text) : null;
    }

    private static bool IsBinary(HttpRequest request) => request.Headers.ContainsKey("ce-specversion");

    internal static IResult? TooMany(int count) => count <= EventIntake.MostEvents ? null : Answers.Invalid(
        new Problem("too_many", $"These are {count} events; one request has at most {EventIntake.MostEvents}."));

    internal static IResult Full() => Later("The usage journal has no room now. Send the same events again later.");

    internal static IResult Later(string why) => new LaterAnswer(
        Answers.Refused(StatusCodes.Status503ServiceUnavailable, [new Problem("metering_unavailable", why)]));

    /// <summary>An answer that says when to ask again: a segment is prepared in less than a second.</summary>
    private sealed class LaterAnswer(IResult answer) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.Headers.RetryAfter = "1";
            return answer.ExecuteAsync(httpContext);
        }
    }
}
