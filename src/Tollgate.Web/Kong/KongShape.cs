using System.Globalization;
using System.Text.Json.Nodes;

namespace Tollgate.Web.Kong;

/// <summary>
/// What fields a reader asks for, as Kong's schemas tell it. It is written down while an empty thing is read, so that a schema
/// says what is taken and nothing else. A field that only a value is refused of has none.
/// </summary>
internal sealed class KongShape
{
    private readonly List<string> _names = [];
    private readonly Dictionary<string, JsonObject> _fields = new(StringComparer.Ordinal);
    private readonly Dictionary<string, KongShape> _records = new(StringComparer.Ordinal);

    public void Text(string name, bool required, int most)
    {
        var field = Add(name, "string");
        field["len_max"] = most;
        if (required) field["required"] = true;
    }

    public void OneOf(string name, IEnumerable<string> values)
    {
        Add(name, "string")["one_of"] = KongEntity.List([.. values]);
        _fields[name].Remove("len_max");
    }

    public void Integer(string name, long least, long most) => Add(name, "integer")["between"] = new JsonArray(least, most);

    /// <returns>Null.</returns>
    public bool? Flag(string name)
    {
        Add(name, "boolean");
        return null;
    }

    public void List(string name, string elements) => Add(name, "array")["elements"] = new JsonObject { ["type"] = elements };

    public KongShape Record(string name)
    {
        Add(name, "record");
        return _records[name] = new KongShape();
    }

    public void Map(string name)
    {
        var field = Add(name, "map");
        _records.Remove(name);
        field["keys"] = new JsonObject { ["type"] = "string" };
        field["values"] = new JsonObject { ["type"] = "array", ["elements"] = new JsonObject { ["type"] = "string" } };
    }

    public void Reference(string name) => Add(name, "foreign")["reference"] = name + "s";

    /// <summary>A field that says what is so anyway; with no such value it is no field.</summary>
    public void Only(string name, string?[] honoured)
    {
        if (honoured.Length == 0) return;
        if (name == "protocols")
        {
            Add(name, "set")["elements"] = new JsonObject { ["type"] = "string", ["one_of"] = KongEntity.List(honoured!) };
            return;
        }

        var values = honoured.Select(Value).ToArray();
        var field = Add(name, values[0].GetValueKind() switch
        {
            System.Text.Json.JsonValueKind.Number => "integer",
            System.Text.Json.JsonValueKind.String => "string",
            _ => "boolean",
        });
        if (values.Length == 1) field["eq"] = values[0];
        else field["one_of"] = new JsonArray([.. values]);
    }

    /// <param name="read">What was read, and refused for what it lacks.</param>
    /// <param name="defaults">What is stored when nothing is said.</param>
    /// <param name="names">Those that are told; null for all, in the order in which they are read.</param>
    public JsonArray ToFields(JsonObject? read, JsonObject? defaults, IEnumerable<string>? names = null)
    {
        var told = new JsonArray();
        foreach (var name in (names ?? _names).Where(_fields.ContainsKey))
        {
            var field = (JsonObject)_fields[name].DeepClone();
            if (_records.TryGetValue(name, out var record))
                field["fields"] = record.ToFields(read?[name] as JsonObject, defaults?[name] as JsonObject);
            if (read?[name] is JsonValue fault && fault.ToString().StartsWith("required field missing", StringComparison.Ordinal))
                field["required"] = true;
            else if (!_records.ContainsKey(name) && defaults?[name] is { } value) field["default"] = value.DeepClone();
            told.Add(new JsonObject { [name] = field });
        }

        return told;
    }

    private JsonObject Add(string name, string type)
    {
        if (!_fields.TryGetValue(name, out var field))
        {
            _names.Add(name);
            _fields.Add(name, field = []);
        }

        field["type"] = type;
        return field;
    }

    private static JsonNode Value(string? text) => text switch
    {
        "true" => JsonValue.Create(true),
        "false" => JsonValue.Create(false),
        _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) =>
            JsonValue.Create(number),
        _ => JsonValue.Create(text)!,
    };
}
