using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Web.V1;

/// <summary>
/// Meter events as Stripe's clients send them, as a form (v1) or as JSON (v2). The event's name is the type, the payload's
/// <c>stripe_customer_id</c> the subject, the payload the data. An event without an identifier is told apart by the request's
/// <c>Idempotency-Key</c>, which Stripe's clients send; without that too it gets one, and a retry is another event.
/// </summary>
internal static class StripeEvents
{
    private const string Customer = "stripe_customer_id";

    private static readonly string[] s_fields = ["event_name", "identifier", "timestamp", "payload"];

    public static async Task<IResult> PostAsync(HttpRequest request, EventIntake intake, EventRoom room, TimeProvider clock)
    {
        if (request.ContentType?.StartsWith("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase) != true)
            return Refused("Send the event as a form: application/x-www-form-urlencoded.", "event_name");
        using var body = await EventBody.ReadBytesAsync(request, room);
        if (body.Fault is { } fault) return fault;
        if (!body.TryTake(8L * body.Bytes.Length)) return body.Fault!;
        if (!Utf8.IsValid(body.Bytes))
            return Refused($"The form is not UTF-8: at byte {Utf16Texts.FirstInvalid(body.Bytes)}.", "event_name");
        Dictionary<string, StringValues> form;
        try
        {
            using var reader = new FormReader(Encoding.UTF8.GetString(body.Bytes));
            form = reader.ReadForm();
        }
        catch (InvalidDataException e)
        {
            return Refused(e.Message, "event_name");
        }

        if (form.FirstOrDefault(f => f.Value.Count > 1).Key is { } twice)
            return Refused($"{twice} {EventReader.IsTwice}", twice);
        var payload = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in form)
            if (name.StartsWith("payload[", StringComparison.Ordinal) && name[^1] == ']') payload[name[8..^1]] = value.ToString();
        using var data = JsonSerializer.SerializeToDocument(payload);
        return await TakeAsync((intake, clock, 1), data.RootElement, One("event_name"), One("identifier") ?? KeyOf(request),
            One("timestamp"));

        string? One(string name) => form.TryGetValue(name, out var value) ? value.ToString() : null;
    }

    public static async Task<IResult> PostJsonAsync(HttpRequest request, EventIntake intake, EventRoom room, TimeProvider clock)
    {
        using var body = await EventBody.ReadAsync(request, room);
        if (body.Fault is { } fault) return fault;
        if (body.HasHalf)
        {
            var field = Utf16Texts.FieldWithHalf(body.Root) ?? "event_name";
            return Refused($"{field} {EventReader.NoTexts}", field);
        }

        if (Utf16Texts.Twice(body.Root, s_fields) is { } twice) return Refused($"{twice} {EventReader.IsTwice}", twice);
        if (body.Root.ValueKind != JsonValueKind.Object) return Refused("The body must be an object.", "event_name");
        var payload = body.Root.TryGetProperty("payload"u8, out var p) ? p : default;
        return await TakeAsync((intake, clock, 2), payload, One("event_name"), One("identifier") ?? KeyOf(request),
            One("timestamp"));

        string? One(string name) => body.Root.TryGetProperty(name, out var v) && v.ValueKind == JsonValueKind.String ? v.GetString()
            : v.ValueKind == JsonValueKind.Number ? v.GetRawText() : null;
    }

    private static string? KeyOf(HttpRequest request) => request.Headers["Idempotency-Key"] is [{ Length: > 0 } key] ? key : null;

    private static async Task<IResult> TakeAsync(
        (EventIntake Intake, TimeProvider Clock, int Version) by, JsonElement payload, string? type, string? identifier, string? time)
    {
        var (intake, clock, version) = by;
        var subject = payload.ValueKind == JsonValueKind.Object && payload.TryGetProperty(Customer, out var s)
            && s.ValueKind == JsonValueKind.String ? s.GetString() : null;
        var id = identifier ?? Guid.CreateVersion7(clock.GetUtcNow()).ToString();
        var e = new IncomingEvent { Id = id, Source = "stripe", Type = type, Subject = subject, Data = payload };
        if (decimal.TryParse(time, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds < 7_258_118_400m)
            e = e with { At = (long)seconds * Micros.PerSecond };
        else e = e with { Time = time };
        if (await intake.TakeAsync([e]) is not { } answers) return EventsApi.Full();
        if (answers[0].Reason is { } reason) return Refused(reason.Detail, NameOf(reason.Field));
        var now = Micros.Now(clock);
        return Results.Json(new
        {
            @object = version == 1 ? "billing.meter_event" : "v2.billing.meter_event",
            created = Instant(now),
            event_name = type,
            identifier = id,
            livemode = true,
            payload = payload.Clone(),
            timestamp = Instant(e.At ?? (Micros.TryParse(time ?? "", out var at) ? at : now)),
        });

        // seconds in the first version, texts in the second
        object Instant(long micros) => version == 1 ? micros / Micros.PerSecond : Micros.ToText(micros);
    }

    private static string NameOf(string? field) => field switch
    {
        "id" => "identifier",
        "type" => "event_name",
        "subject" => $"payload[{Customer}]",
        "time" => "timestamp",
        { } path when path.StartsWith("data.", StringComparison.Ordinal) => $"payload[{path[5..]}]",
        _ => "payload",
    };

    private static IResult Refused(string message, string parameter) => Results.Json(
        new { error = new { type = "invalid_request_error", message, param = parameter } },
        statusCode: StatusCodes.Status400BadRequest);
}
