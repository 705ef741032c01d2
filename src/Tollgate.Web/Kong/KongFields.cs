using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Tollgate.Web.Kong;

/// <summary>
/// The fields of a request, read one by one under the type that they should have. Whatever is wrong is noted in
/// <see cref="Faults"/>, and reading goes on, so that the caller hears of all faults at once. A field that nobody
/// read is unknown.
/// </summary>
/// <param name="isForm">Texts stand for numbers, truth values and lists; an empty one is no value.</param>
internal sealed class KongFields(JsonObject given, bool isForm)
{
    private readonly Dictionary<string, KongFields?> _known = new(StringComparer.Ordinal);

    /// <summary>In the shape of the request.</summary>
    public JsonObject Faults { get; } = [];

    /// <summary>What a PUT or a PATCH is about, as it is read back, or at least its id; null: there is nothing yet.</summary>
    public JsonObject? Stored { get; set; }

    /// <summary>Set: what is read is written down here.</summary>
    public KongShape? Shape { get; init; }

    public bool IsForm => isForm;

    public IEnumerable<string> Names => given.Select(f => f.Key);

    /// <summary>The refusal of everything that is wrong, or null; call it when all fields were read.</summary>
    public KongAnswer? Refusal
    {
        get
        {
            Close();
            return Faults.Count == 0 ? null : KongAnswer.SchemaViolation(Faults);
        }
    }

    public bool Has(string name) => Take(name) is not null;

    /// <summary>What is stored, with these fields over it: records are merged, and what is null or empty is left out.</summary>
    /// <param name="stored">As it is read back.</param>
    /// <param name="whole">Records that are not merged.</param>
    public KongFields Over(JsonObject stored, params string[] whole)
    {
        var merged = (JsonObject)stored.DeepClone();
        foreach (var name in whole.Where(given.ContainsKey)) merged.Remove(name);
        Merge(merged, given);
        return new KongFields(merged, isForm);
    }

    /// <summary>Whether a field was sent, perhaps as null.</summary>
    public bool Sends(params string[] path)
    {
        JsonNode? node = given;
        foreach (var name in path)
            if (node is not JsonObject record || !record.TryGetPropertyValue(name, out node)) return false;
        return true;
    }

    /// <summary>Leaves out a field that only says what is so anyway.</summary>
    public void Drop(string name, JsonNode? so)
    {
        if (given.TryGetPropertyValue(name, out var said) && JsonNode.DeepEquals(said, so)) given.Remove(name);
    }

    /// <summary>The path says the name already: the body leaves it out, or says the same.</summary>
    public void NamedBy(string field, string name)
    {
        if (Take(field) is not { } said) given[field] = name;
        else if (TextOf(said) != name) Note(field, $"the path says '{KongText.Shown(name)}': leave it out, or say the same");
    }

    /// <summary>The id that a thing shall have that is new; null when none is said, or none that can be.</summary>
    public string? GivenId() => TextOf(given["id"]) is { } text && Guid.TryParseExact(text, "D", out var id) ? id.ToString() : null;

    /// <summary>Ids and instants. They may be sent as they are, so that what was read can be sent back; when it was changed last is
    /// nobody's to say.</summary>
    public void GivenByServer(params string[] names)
    {
        foreach (var name in names)
        {
            if (Stored is not null && name == "updated_at") Skip(name);
            else if (Stored?[name] is { } so && (TextOf(so) ?? so.ToJsonString()) is var told)
                Only(name, $"it is {told} and stays that", told);
            else None("ids and instants are given by the server", name);
        }
    }

    private static void Merge(JsonObject into, JsonObject from)
    {
        foreach (var (name, value) in from)
        {
            if (value is JsonObject record && into[name] is JsonObject stored) Merge(stored, record);
            else into[name] = value?.DeepClone();
        }
    }

    /// <summary>A text without control characters, or null when there is none.</summary>
    public string? Text(string name, bool required = false, int most = 1024)
    {
        Shape?.Text(name, required, most);
        var text = Take(name) switch
        {
            null when required => Fail<string>(name, "required field missing"),
            null => null,
            JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
            _ => Fail<string>(name, "expected a string"),
        };
        if (text is null || Faults.ContainsKey(name)) return null;
        if (text.Length == 0) return Fail<string>(name, "length must be at least 1");
        if (text.Length > most) return Fail<string>(name, $"length must be at most {most}");
        return KongText.IsPrintable(text) ? text : Fail<string>(name, "expected printable characters only");
    }

    /// <summary>A text of several lines, or null when there is none.</summary>
    public string? Lines(string name, int most) => Take(name) switch
    {
        null when Shape is not null => null,
        null => Fail<string>(name, "required field missing"),
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>() is var text && text.Length <= most
            ? text : Fail<string>(name, $"length must be at most {most}"),
        _ => Fail<string>(name, "expected a string"),
    };

    /// <summary>Kong's names: letters, digits, '.', '-', '_', '~'.</summary>
    public string? Name(bool required = false)
    {
        var name = Text("name", required, 128);
        return name is null || KongText.IsName(name) ? name : Fail<string>("name",
            $"invalid value '{KongText.Shown(name)}': the only accepted ascii characters are alphanumerics " +
            "or ., -, _, and ~");
    }

    public string? OneOf(string name, params string[] values)
    {
        var text = Text(name);
        Shape?.OneOf(name, values);
        return text is null || values.Contains(text)
            ? text
            : Fail<string>(name, $"expected one of: {string.Join(", ", values)}");
    }

    public long? Integer(string name, long least, long most)
    {
        Shape?.Integer(name, least, most);
        if (Take(name) is not { } node) return null;
        long number = 0;
        var read = node.GetValueKind() switch
        {
            JsonValueKind.Number => decimal.TryParse(node.ToJsonString(), NumberStyles.Float,
                CultureInfo.InvariantCulture, out var exact) && TryInteger(exact, out number),
            JsonValueKind.String when isForm => long.TryParse(node.GetValue<string>(), NumberStyles.AllowLeadingSign,
                CultureInfo.InvariantCulture, out number),
            _ => false,
        };
        if (!read) return Note(name, "expected an integer");
        return number >= least && number <= most ? number : Note(name, $"value should be between {least} and {most}");
    }

    /// <summary>A list of whole numbers; of a form also one text, cut at commas.</summary>
    public IReadOnlyList<long>? Integers(string name, long least, long most)
    {
        Shape?.List(name, "integer");
        if (Take(name) is not { } node) return null;
        JsonNode?[]? items = node is JsonArray list ? [.. list] : isForm && TextOf(node) is { } text
            ? text.Split(',', StringSplitOptions.TrimEntries).Select(t => (JsonNode?)t).ToArray() : null;
        if (items is null) return Fail<IReadOnlyList<long>>(name, "expected an array");
        if (items.Length is 0 or > 16) return Fail<IReadOnlyList<long>>(name, "length must be 1 to 16");
        var numbers = new List<long>();
        foreach (var item in items)
        {
            var one = new KongFields(new JsonObject { ["item"] = item?.DeepClone() }, isForm);
            if (one.Integer("item", least, most) is not { } number)
                return Fail<IReadOnlyList<long>>(name, one.Faults["item"]?.GetValue<string>() ?? "expected an integer");
            numbers.Add(number);
        }

        return numbers;
    }

    public bool? Flag(string name) => Take(name) switch
    {
        null => Shape?.Flag(name),
        { } node when node.GetValueKind() is JsonValueKind.True or JsonValueKind.False => node.GetValue<bool>(),
        { } node when isForm && TextOf(node) is "true" or "false" => TextOf(node) == "true",
        _ => Fail<object>(name, "expected a boolean") is true,
    };

    /// <summary>A list of different texts; of a form also one text, cut at commas.</summary>
    /// <param name="check">Says what is wrong with an item, or null.</param>
    public IReadOnlyList<string>? Texts(string name, Func<string, string?>? check = null, int most = 256)
    {
        Shape?.List(name, "string");
        if (Take(name) is not { } node) return null;
        if (isForm && TextOf(node) is { } single)
            node = KongEntity.List(single.Split(',', StringSplitOptions.TrimEntries))!;
        if (node is not JsonArray list) return Fail<IReadOnlyList<string>>(name, "expected an array");
        if (list.Count > most) return Fail<IReadOnlyList<string>>(name, $"length must be at most {most}");
        var faults = list.Select(item => FaultOf(item, check)).ToArray();
        if (Array.TrueForAll(faults, f => f is null))
            return list.Select(i => i!.GetValue<string>()).Distinct().ToArray();
        var last = Array.FindLastIndex(faults, f => f is not null);
        Faults[name] = new JsonArray([.. faults.Take(last + 1).Select(f => f is null ? null : JsonValue.Create(f))]);
        return null;
    }

    public IReadOnlyList<string>? Tags() => Texts("tags", most: 64);

    /// <summary>A record of its own; empty when it is missing.</summary>
    public KongFields Record(string name)
    {
        var node = Take(name);
        if (node is not null and not JsonObject) Fail<object>(name, "expected a record");
        var record = new KongFields(node as JsonObject ?? [], isForm) { Shape = Shape?.Record(name) };
        _known[name] = record;
        return record;
    }

    /// <summary>A record whose names are the caller's; in a form, a dot in such a name is part of it.</summary>
    public KongFields Map(string name)
    {
        var record = Record(name);
        Shape?.Map(name);
        if (!isForm) return record;
        var flat = new JsonObject(record.Flat(""));
        var map = new KongFields(flat, isForm);
        _known[name] = map;
        return map;
    }

    /// <summary>What a field refers to, by its id or its name; null when it is missing or wrong.</summary>
    public KongReference? Reference(string name, string by = "name")
    {
        Shape?.Reference(name);
        if (Take(name) is null) return null;
        var record = Record(name);
        if (Faults.ContainsKey(name)) return null;
        var id = record.Text("id");
        var named = record.Text(by, most: 256);
        if (id is not null && !Guid.TryParseExact(id, "D", out _)) record.Note("id", "expected a valid UUID");
        if (record.Faults.Count > 0) return null;
        if (id is null == named is null) return Fail<KongReference>(name, $"expected one of: id, {by}");
        return new KongReference(name, id is null ? by : "id", id ?? named!);
    }

    /// <summary>A field that Kong has and we do not: only the values that say what is so anyway are let through.
    /// </summary>
    public void Only(string name, string says, params string?[] honoured)
    {
        Shape?.Only(name, honoured);
        if (Take(name) is not { } node) return;
        var items = node as JsonArray ?? (IEnumerable<JsonNode?>)[node];
        if (!items.Select(i => TextOf(i) ?? i?.ToJsonString()).All(honoured.Contains))
            Note(name, "not supported: " + says);
    }

    /// <summary>Fields of Kong that nothing here stands for.</summary>
    public void None(string says, params string[] names)
    {
        foreach (var name in names) Only(name, says);
    }

    /// <summary>Marks a field as known without looking at it.</summary>
    public void Skip(string name) => Take(name);

    /// <summary>Notes a fault; the first one of a field stays.</summary>
    public long? Note(string name, string fault)
    {
        _known.TryAdd(name, null);
        Faults.TryAdd(name, JsonValue.Create(fault));
        return null;
    }

    private void Close()
    {
        foreach (var name in Names.Where(n => !_known.ContainsKey(n)).ToArray())
            Faults.TryAdd(KongText.Shown(name), JsonValue.Create("unknown field"));
        foreach (var (name, record) in _known)
        {
            record?.Close();
            if (record?.Faults.Count > 0) Faults.TryAdd(name, record.Faults.DeepClone());
        }
    }

    private JsonNode? Take(string name)
    {
        _known.TryAdd(name, null);
        var node = given[name];
        return isForm && TextOf(node) is "" ? null : node;
    }

    private T? Fail<T>(string name, string fault) where T : class
    {
        Note(name, fault);
        return null;
    }

    private IEnumerable<KeyValuePair<string, JsonNode?>> Flat(string prefix) => given.SelectMany(f =>
        f.Value is JsonObject inner
            ? new KongFields(inner, isForm).Flat($"{prefix}{f.Key}.")
            : [KeyValuePair.Create(prefix + f.Key, f.Value?.DeepClone())]);

    private static string? FaultOf(JsonNode? item, Func<string, string?>? check) => TextOf(item) switch
    {
        null => "expected a string",
        "" => "length must be at least 1",
        { Length: > 1024 } => "length must be at most 1024",
        var text when !KongText.IsPrintable(text) => "expected printable characters only",
        var text => check?.Invoke(text),
    };

    private static string? TextOf(JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    private static bool TryInteger(decimal exact, out long number)
    {
        var whole = decimal.IsInteger(exact) && exact is >= long.MinValue and <= long.MaxValue;
        number = whole ? decimal.ToInt64(exact) : 0;
        return whole;
    }
}

/// <summary>A reference to another object, by its id or its name.</summary>
internal sealed record KongReference(string Field, string By, string Value)
{
    public KongAnswer NotFound(string kind) =>
        KongAnswer.NoSuch(Field, new JsonObject { [By] = KongText.Shown(Value) }, kind);
}
