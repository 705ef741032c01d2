using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Tollgate.Config.File;

/// <summary>A configuration file as another text of the same meaning, and where two documents differ.</summary>
public static class ConfigText
{
    /// <summary>Fields of one object that are told, at most.</summary>
    public const int MostDifferences = 100;

    private static readonly JsonWriterOptions s_json =
        new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The same document as JSON; comments are lost, numbers stay as they were written where JSON can say them.
    /// </summary>
    /// <exception cref="InvalidDataException">The text is no document; a text that was applied is one.</exception>
    public static string ToJson(string text, string fileName)
    {
        var findings = new Findings();
        var root = YamlTree.Read(text, fileName, findings)
            ?? throw new InvalidDataException(string.Join("; ", findings.InOrder()));
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, s_json)) Write(json, root);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    internal static string ToJson(Node node)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer)) Write(json, node);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Paths of the fields in which two JSON documents differ, as <c>operations.quote</c>.</summary>
    public static IReadOnlyList<string> Differences(string before, string after)
    {
        using var was = JsonDocument.Parse(before);
        using var now = JsonDocument.Parse(after);
        var paths = new List<string>();
        Compare(was.RootElement, now.RootElement, "", paths);
        return paths;
    }

    private static void Compare(JsonElement? before, JsonElement? after, string path, List<string> paths)
    {
        if (paths.Count >= MostDifferences) return;
        if (before is { ValueKind: JsonValueKind.Object } was && after is { ValueKind: JsonValueKind.Object } now)
        {
            var names = was.EnumerateObject().Concat(now.EnumerateObject()).Select(p => p.Name).Distinct().ToArray();
            foreach (var name in names)
                Compare(Of(was, name), Of(now, name), path.Length == 0 ? name : $"{path}.{name}", paths);
        }
        else if (before?.GetRawText() != after?.GetRawText())
        {
            paths.Add(path);
        }

        static JsonElement? Of(JsonElement map, string name) => map.TryGetProperty(name, out var value) ? value : null;
    }

    private static void Write(Utf8JsonWriter json, Node node)
    {
        switch (node)
        {
            case MapNode map:
                json.WriteStartObject();
                foreach (var field in map.Fields)
                {
                    json.WritePropertyName(field.Name);
                    Write(json, field.Value);
                }

                json.WriteEndObject();
                break;
            case ListNode list:
                json.WriteStartArray();
                foreach (var item in list.Items) Write(json, item);
                json.WriteEndArray();
                break;
            case ScalarNode scalar:
                Write(json, scalar);
                break;
            default:
                throw new InvalidDataException($"A document has no {node.Described}.");
        }
    }

    private static void Write(Utf8JsonWriter json, ScalarNode scalar)
    {
        if (scalar.Kind == ScalarKind.Null) json.WriteNullValue();
        else if (scalar.Kind == ScalarKind.Boolean) json.WriteBooleanValue(scalar.Text is "true" or "True" or "TRUE");
        else if (scalar.Kind == ScalarKind.Number && IsJsonNumber(scalar.Text)) json.WriteRawValue(scalar.Text);
        else json.WriteStringValue(scalar.Text);
    }

    /// <summary>1_000 and 0x10 are numbers to YAML alone; as texts they are read here as they were.</summary>
    private static bool IsJsonNumber(string text)
    {
        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
            return reader.Read() && reader.TokenType == JsonTokenType.Number && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
