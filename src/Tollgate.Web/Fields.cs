using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;

namespace Tollgate.Web;

/// <summary>
/// The JSON object of a request, read field by field: what is missing, of the wrong type, unknown or twice there is
/// collected, so that the caller hears of every fault in one answer.
/// </summary>
public sealed class Fields
{
    /// <summary>Bytes of a body, at most.</summary>
    public const int MaxBody = 1 << 20;

    private const string NotUnicode = "has a text that is not Unicode";

    private readonly Dictionary<string, JsonElement> _fields = new(StringComparer.Ordinal);
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly List<Problem> _problems = [];
    private Problem? _unreadable;

    private Fields() { }

    /// <summary>Reads the body. A body that is not a JSON object is a fault like any other; an empty one has no
    /// fields.</summary>
    public static async Task<Fields> ReadAsync(HttpRequest request)
    {
        var fields = new Fields();
        using var body = new MemoryStream();
        var buffer = new byte[8_192];
        int read;
        while ((read = await request.Body.ReadAsync(buffer)) > 0)
        {
            if (body.Length + read > MaxBody)
            {
                fields._unreadable = new Problem("body_too_large", $"A body may have {MaxBody} bytes.");
                return fields;
            }

            body.Write(buffer, 0, read);
        }

        if (body.Length > 0) fields.Parse(body.GetBuffer().AsMemory(0, (int)body.Length));
        return fields;
    }

    public string? Text(string name, bool required = false, int max = 256)
    {
        if (Take(name, required) is not { } value) return null;
        if (value.ValueKind != JsonValueKind.String)
            return Fault<string>("wrong_type", "must be a text", name);
        if (!IsUnicode(value)) return Fault<string>("bad_value", NotUnicode, name);
        var text = value.GetString()!;
        if (text.Length == 0 || text.Length > max)
            return Fault<string>("bad_value", $"must have 1 to {max} characters", name);
        if (string.IsNullOrWhiteSpace(text)) return Fault<string>("bad_value", "must not be spaces alone", name);
        return text.Any(char.IsControl) ? Fault<string>("bad_value", "must not contain control characters", name) : text;
    }

    public int? Whole(string name, int min, int max)
    {
        if (Take(name, false) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var n) && n >= min && n <= max) return n;
        Add("bad_value", $"must be a whole number from {min} to {max}", name);
        return null;
    }

    public bool? Flag(string name)
    {
        if (Take(name, false) is not { } value) return null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean();
        Add("wrong_type", "must be true or false", name);
        return null;
    }

    /// <summary>An RFC 3339 instant, as microseconds.</summary>
    public long? Instant(string name, bool required = false)
    {
        if (Text(name, required, 64) is not { } text) return null;
        if (Micros.TryParse(text, out var micros)) return micros;
        Add("bad_value", "must be an RFC 3339 instant from 2000 until before 2200, such as 2026-01-31T00:00:00Z", name);
        return null;
    }

    /// <summary>Whatever stands there, for a reader of its own; every text in it is Unicode.</summary>
    public JsonElement? Raw(string name, bool required = false)
    {
        if (Take(name, required) is not { } value) return null;
        if (IsUnicode(value)) return value;
        Add("bad_value", NotUnicode, name);
        return null;
    }

    /// <summary>The fields of an object that stands in a field; none when it is left out. What is wrong with it is said by
    /// <see cref="Close"/>.</summary>
    public Fields Inner(string name)
    {
        var inner = new Fields();
        if (Raw(name) is not { } value) return inner;
        if (value.ValueKind != JsonValueKind.Object)
        {
            Add("wrong_type", "must be an object", name);
            return inner;
        }

        foreach (var property in value.EnumerateObject())
            if (!inner._fields.TryAdd(property.Name, property.Value))
                Add("duplicate_name", "stands there twice", $"{name}.{property.Name}");
        return inner;
    }

    /// <summary>Takes over what was found in an inner object.</summary>
    public void Close(string name, Fields inner)
    {
        _ = inner.Faults();
        AddAll(inner._problems.Select(p => p with { Field = $"{name}.{p.Field}" }));
    }

    /// <summary>Whether a field stands there with a value, right or wrong.</summary>
    public bool Has(string name) =>
        _fields.TryGetValue(name, out var value) && value.ValueKind != JsonValueKind.Null;

    public void Add(string code, string detail, string? field) => _problems.Add(new Problem(code, detail, field));

    public void AddAll(IEnumerable<Problem> problems) => _problems.AddRange(problems);

    /// <summary>All faults; call it after every field was read. Null when there are none.</summary>
    public IResult? Faults() => Problems() is not { Count: > 0 } problems ? null
        : Answers.Refused(_unreadable?.Code == "body_too_large" ? StatusCodes.Status413PayloadTooLarge
            : StatusCodes.Status400BadRequest, problems);

    /// <summary>The same, for whoever knows of more. Of a body that could not be read only that is said: what is missing in it
    /// is not the fault.</summary>
    public IReadOnlyList<Problem> Problems()
    {
        if (_unreadable is not null) return [_unreadable];
        foreach (var name in _fields.Keys.Where(n => !_known.Contains(n)))
            Add("unknown_field", $"is not a field here; known are {string.Join(", ", _known)}", name);
        return _problems;
    }

    private void Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 32 });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                _unreadable = new Problem("wrong_type", "The body must be a JSON object.");
                return;
            }

            foreach (var property in document.RootElement.EnumerateObject())
                if (!_fields.TryAdd(property.Name, property.Value.Clone()))
                    Add("duplicate_name", "stands there twice", property.Name);
        }
        catch (JsonException e)
        {
            // the place stands beside, counted from 1 as everywhere
            var place = new Place("body", (int)(e.LineNumber ?? 0) + 1, (int)(e.BytePositionInLine ?? 0) + 1);
            var why = e.Message.Split(" LineNumber:")[0];
            _unreadable = new Problem("json_syntax",
                $"The body is not JSON, at line {place.Line}, byte {place.Column}: {why}", Place: place);
        }
        catch (InvalidOperationException e)
        {
            _unreadable = new Problem("json_syntax", $"The body is not JSON: {e.Message}");
        }
    }

    private JsonElement? Take(string name, bool required)
    {
        _known.Add(name);
        if (_fields.TryGetValue(name, out var value) && value.ValueKind != JsonValueKind.Null) return value;
        if (required) Add("missing_field", "is required", name);
        return null;
    }

    /// <summary>JSON can be in order and yet hold half of a surrogate pair, or bytes that are no UTF-8; the reader
    /// tells only when the text is taken.</summary>
    private static bool IsUnicode(JsonElement value)
    {
        try
        {
            return value.ValueKind switch
            {
                JsonValueKind.String => value.GetString() is not null,
                JsonValueKind.Array => value.EnumerateArray().All(IsUnicode),
                JsonValueKind.Object => value.EnumerateObject().All(p => p.Name is not null && IsUnicode(p.Value)),
                _ => true,
            };
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private T? Fault<T>(string code, string detail, string field) where T : class
    {
        Add(code, detail, field);
        return null;
    }
}
