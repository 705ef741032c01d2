using System.Runtime.InteropServices;
using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>
/// Reads CloudEvents 1.0 in JSON (structured and batch). What is wrong with the shape of one event is its own fault;
/// only what is no JSON at all spoils the whole text.
/// </summary>
public static class EventReader
{
    /// <summary>What is said of half a surrogate pair, and of a field that two readers would read differently.</summary>
    public const string NoTexts = "must hold Unicode texts only, and half of a surrogate pair is none", IsTwice = "stands there twice";

    private static readonly string[] s_fields = ["id", "source", "type", "subject", "time", "specversion", "data", "data_base64"];

    /// <summary>Reads one event, or the events of an array.</summary>
    public static List<IncomingEvent> Read(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Array) return [ReadOne(root)];
        var events = new List<IncomingEvent>(root.GetArrayLength());
        foreach (var item in root.EnumerateArray()) events.Add(ReadOne(item));
        return events;
    }

    private static IncomingEvent ReadOne(JsonElement item)
    {
        if (item.ValueKind != JsonValueKind.Object)
            return new IncomingEvent { Fault = new Problem("wrong_type", "An event must be a JSON object.") };
        if (Utf16Texts.HasHalf(JsonMarshal.GetRawUtf8Value(item)))
            return new IncomingEvent { Fault = new Problem("bad_value", NoTexts, Utf16Texts.FieldWithHalf(item)) };
        if (Utf16Texts.Twice(item, s_fields) is { } twice)
            return new IncomingEvent { Fault = new Problem("bad_value", IsTwice, twice) };
        return ReadFields(item);
    }

    private static IncomingEvent ReadFields(JsonElement item)
    {
        var e = default(IncomingEvent);
        string? version = null;
        Problem? fault = null;
        foreach (var field in item.EnumerateObject())
        {
            if (field.NameEquals("id"u8)) e = e with { Id = Text(field, ref fault) };
            else if (field.NameEquals("source"u8)) e = e with { Source = Text(field, ref fault) };
            else if (field.NameEquals("type"u8)) e = e with { Type = Text(field, ref fault) };
            else if (field.NameEquals("subject"u8)) e = e with { Subject = Text(field, ref fault) };
            else if (field.NameEquals("time"u8)) e = e with { Time = Text(field, ref fault) };
            else if (field.NameEquals("specversion"u8)) version = Text(field, ref fault);
            else if (field.NameEquals("data"u8)) e = e with { Data = field.Value };
            else if (field.NameEquals("data_base64"u8)) e = e with { Data = Packed(field, ref fault) };
        }

        if (e.Data.ValueKind != JsonValueKind.Undefined && item.TryGetProperty("data_base64"u8, out _)
            && item.TryGetProperty("data"u8, out _))
            fault ??= new Problem("bad_value", "must not stand beside data", "data_base64");
        if (version != "1.0")
            fault ??= new Problem("bad_value", "must be \"1.0\": events are read as CloudEvents 1.0", "specversion");
        return fault is null ? e : e with { Fault = fault };
    }

    private static string? Text(JsonProperty field, ref Problem? fault)
    {
        if (field.Value.ValueKind == JsonValueKind.String) return field.Value.GetString();
        if (field.Value.ValueKind != JsonValueKind.Null)
            fault ??= new Problem("wrong_type", "must be a text", field.Name);
        return null;
    }

    private static JsonElement Packed(JsonProperty field, ref Problem? fault)
    {
        try
        {
            if (field.Value.TryGetBytesFromBase64(out var bytes))
            {
                using var document = JsonDocument.Parse(bytes);
                return document.RootElement.Clone();
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // said below
        }

        fault ??= new Problem("bad_value", "must be base64 of a JSON text", field.Name);
        return default;
    }
}
