using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>Reads JSON, as it comes with a request, into the same nodes as a file; they have no places.</summary>
public static class JsonTree
{
    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = YamlTree.MaxDepth };

    /// <summary>Refuses text that is not JSON (<c>json_syntax</c>) and names that stand twice in one object.</summary>
    public static Result<Node> Read(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text, s_options);
            return Read(document.RootElement);
        }
        catch (JsonException e)
        {
            return new Problem(Code.JsonSyntax, $"This is not JSON, at line {e.LineNumber + 1}, byte " +
                $"{e.BytePositionInLine + 1}: {Quote.Shorten(e.Message)}");
        }
    }

    public static Result<Node> Read(JsonElement element)
    {
        var findings = new Findings();
        var node = Read(element, null, "", findings);
        return findings.Any ? Result<Node>.Refused(findings.InOrder()) : node;
    }

    private static Node Read(JsonElement element, Node? parent, string step, Findings findings)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                var map = new MapNode(parent, step, null);
                foreach (var property in element.EnumerateObject()) Add(map, property, findings);
                return map;
            case JsonValueKind.Array:
                var list = new ListNode(parent, step, null);
                foreach (var item in element.EnumerateArray()) list.Add(Read(item, list, list.NextStep(), findings));
                return list;
            case JsonValueKind.String:
                return Scalar(ScalarKind.Text, TextOf(element.GetString, parent, findings));
            case JsonValueKind.Number:
                return Scalar(ScalarKind.Number, element.GetRawText());
            case JsonValueKind.True or JsonValueKind.False:
                return Scalar(ScalarKind.Boolean, element.GetRawText());
            default:
                return Scalar(ScalarKind.Null, "");
        }

        ScalarNode Scalar(ScalarKind kind, string text) => new(parent, step, null, kind, text);
    }

    private static void Add(MapNode map, JsonProperty property, Findings findings)
    {
        var name = TextOf(() => property.Name, map, findings);
        var value = Read(property.Value, map, MapNode.NextStep(name), findings);
        if (map.TryAdd(new Field(name, null, value))) return;
        findings.Add(Code.DuplicateName, value, $"{Quote.Of(name)} stands twice in one object. Remove one of them.");
    }

    /// <summary>JSON lets half of a surrogate pair be escaped, which is no text.</summary>
    private static string TextOf(Func<string?> read, Node? parent, Findings findings)
    {
        try
        {
            return read() ?? "";
        }
        catch (InvalidOperationException)
        {
            findings.Add(new Problem(Code.JsonSyntax, "A text holds half of a surrogate pair, " +
                "\\ud800 to \\udfff alone.", parent?.Path));
            return "";
        }
    }
}
