using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Web.V1;

/// <summary>
/// Events as Lago's clients send them: <c>{"event": {…}}</c>, or <c>{"events": […]}</c> to <c>/api/v1/events/batch</c>.
/// The code is the type, the subscription the subject, the properties the data; an event is told apart by its
/// transaction and its subscription.
/// </summary>
internal static class LagoEvents
{
    private static readonly string[] s_fields =
        ["transaction_id", "external_subscription_id", "external_customer_id", "code", "timestamp", "properties"];

    /// <param name="root">Without halves of surrogate pairs.</param>
    public static bool Is(JsonElement root) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty("event"u8, out var inner)
        && inner.ValueKind == JsonValueKind.Object && !root.TryGetProperty("specversion"u8, out _);

    public static async Task<IResult> TakeOneAsync(JsonElement root, EventIntake intake)
    {
        var item = root.GetProperty("event"u8);
        if (await intake.TakeAsync([Read(item)]) is not { } answers) return EventsApi.Full();
        return answers[0].Reason is { } reason
            ? Refused(new Dictionary<string, string[]> { [NameOf(reason)] = [reason.Code] })
            : Results.Json(new { @event = item.Clone() });
    }

    public static async Task<IResult> PostBatchAsync(HttpRequest request, EventIntake intake, EventRoom room)
    {
        using var body = await EventBody.ReadAsync(request, room);
        if (body.Fault is { } fault) return fault;
        if (FieldOf(body, "events"u8) is not { ValueKind: JsonValueKind.Array } list)
            return Refused(new Dictionary<string, string[]> { ["events"] = ["value_is_mandatory"] });
        if (EventsApi.TooMany(list.GetArrayLength()) is { } tooMany) return tooMany;
        if (await intake.TakeAsync(list.EnumerateArray().Select(Read).ToArray()) is not { } answers) return EventsApi.Full();

        // Lago refuses the batch when one of it is wrong; here what is right counts, and its retry counts nothing
        var wrong = answers.Index().Where(a => !a.Item.Accepted).ToDictionary(
            a => a.Index.ToString(CultureInfo.InvariantCulture),
            a => new Dictionary<string, string[]> { [NameOf(a.Item.Reason!)] = [a.Item.Reason!.Code] });
        return wrong.Count > 0 ? Refused(wrong) : Results.Json(new { events = list.Clone() });
    }

    private static JsonElement? FieldOf(EventBody body, ReadOnlySpan<byte> name)
    {
        if (body.Root.ValueKind != JsonValueKind.Object) return null;
        try
        {
            return body.Root.TryGetProperty(name, out var field) ? field : null;
        }
        catch (InvalidOperationException)
        {
            // another field's name is no text
            return null;
        }
    }

    private static IncomingEvent Read(JsonElement item)
    {
        if (item.ValueKind != JsonValueKind.Object)
            return new IncomingEvent { Fault = new Problem("wrong_type", "must be an object", "event") };
        if (Utf16Texts.HasHalf(JsonMarshal.GetRawUtf8Value(item)))
            return new IncomingEvent
            {
                Fault = new Problem("invalid_value", EventReader.NoTexts, Utf16Texts.FieldWithHalf(item) ?? "event"),
            };
        if (Utf16Texts.Twice(item, s_fields) is { } twice)
            return new IncomingEvent { Fault = new Problem("value_is_duplicated", EventReader.IsTwice, twice) };
        var subject = Text(item, "external_subscription_id") ?? Text(item, "external_customer_id");
        var e = new IncomingEvent
        {
            Id = Text(item, "transaction_id"),
            Source = subject is null ? null : $"lago/{subject}",
            Type = Text(item, "code"),
            Subject = subject,
            Data = item.TryGetProperty("properties"u8, out var properties) ? properties : default,
        };
        if (!item.TryGetProperty("timestamp"u8, out var time) || time.ValueKind == JsonValueKind.Null) return e;
        return Seconds(time, out var at) ? e with { At = at }
            : time.ValueKind == JsonValueKind.String ? e with { Time = time.GetString() }
            : e with { Fault = new Problem("invalid_format", "must be seconds since 1970 or an instant", "timestamp") };
    }

    /// <summary>Seconds since 1970, with decimals, digit by digit; a text of them too.</summary>
    internal static bool Seconds(JsonElement time, out long micros)
    {
        var text = time.ValueKind switch
        {
            JsonValueKind.Number => time.GetRawText(),
            JsonValueKind.String => time.GetString(),
            _ => null,
        };
        micros = 0;
        if (!decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds)
            || seconds > 7_258_118_400m)
            return false;
        micros = (long)decimal.Floor(seconds * Micros.PerSecond);
        return true;
    }

    private static string? Text(JsonElement item, string name) =>
        !item.TryGetProperty(name, out var value) ? null
        : value.ValueKind switch
        {
            JsonValueKind.String => value.GetString(),
            JsonValueKind.Number => value.GetRawText(),
            _ => null,
        };

    private static string NameOf(Problem reason) => reason.Field switch
    {
        "id" => "transaction_id",
        "subject" or "source" => "external_subscription_id",
        "type" => "code",
        "time" => "timestamp",
        { } field when field.StartsWith("data", StringComparison.Ordinal) => "properties" + field[4..],
        { } field => field,
        null => "event",
    };

    private static IResult Refused(object details) => Results.Json(
        new { status = 422, error = "Unprocessable Entity", code = "validation_errors", error_details = details },
        statusCode: StatusCodes.Status422UnprocessableEntity);
}
