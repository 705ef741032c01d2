using System.Text;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>
/// A value of a document, whether it was written as YAML or as JSON: a map, a list or a scalar. It knows its path and,
/// when it came from a file, its place, so that whatever is wrong with it can be pointed at.
/// </summary>
public abstract class Node
{
    private readonly Node? _parent;
    private readonly string _step;

    private protected Node(Node? parent, string step, Place? place) =>
        (_parent, _step, Place) = (parent, step, place);

    /// <summary>None when the document came with a request.</summary>
    public Place? Place { get; }

    /// <summary>As <c>plans.pro.limits[0]</c>; empty for the document itself. Made when somebody asks.</summary>
    public string Path
    {
        get
        {
            var steps = new Stack<string>();
            for (var node = this; node._parent is not null; node = node._parent) steps.Push(node._step);
            var path = new StringBuilder();
            foreach (var step in steps) path.Append(path.Length > 0 && step[0] != '[' ? "." : "").Append(step);
            return path.ToString();
        }
    }

    /// <summary>What it is, for people: "a list".</summary>
    public abstract string Described { get; }

    /// <summary>The path of a field of this map, whether it is there or not.</summary>
    public string PathOf(string field) => _parent is null ? StepOf(field) : $"{Path}.{StepOf(field)}";

    /// <summary>The value under these names, one below the other, or null.</summary>
    public Node? Find(params ReadOnlySpan<string> names)
    {
        var node = this;
        foreach (var name in names)
        {
            if (node is not MapNode map || map.FieldOf(name) is not { } field) return null;
            node = field.Value;
        }

        return node;
    }

    // a name of a megabyte must not stand in each path below it
    private protected static string StepOf(string name) => name.Length == 0 ? "''" : Quote.Shorten(name);
}

/// <summary>A name and its value in a map.</summary>
public sealed record Field(string Name, Place? Place, Node Value);

/// <summary>Names and values in the order of the document; each name stands once.</summary>
public sealed class MapNode : Node
{
    private readonly List<Field> _fields = [];
    private readonly Dictionary<string, Field> _byName = new(StringComparer.Ordinal);

    internal MapNode(Node? parent, string step, Place? place) : base(parent, step, place) { }

    public IReadOnlyList<Field> Fields => _fields;

    public override string Described => "a map";

    public Field? FieldOf(string name) => _byName.GetValueOrDefault(name);

    /// <summary>False, and nothing added, when the name is taken.</summary>
    internal bool TryAdd(Field field)
    {
        if (!_byName.TryAdd(field.Name, field)) return false;
        _fields.Add(field);
        return true;
    }

    internal static string NextStep(string name) => StepOf(name);
}

public sealed class ListNode : Node
{
    private readonly List<Node> _items = [];

    internal ListNode(Node? parent, string step, Place? place) : base(parent, step, place) { }

    public IReadOnlyList<Node> Items => _items;

    public override string Described => "a list";

    internal void Add(Node item) => _items.Add(item);

    internal string NextStep() => $"[{_items.Count}]";
}

/// <summary>What a scalar is without being asked for: YAML's core schema for plain ones, JSON's own types.</summary>
public enum ScalarKind : byte { Text, Number, Boolean, Null }

public sealed class ScalarNode : Node
{
    internal ScalarNode(Node? parent, string step, Place? place, ScalarKind kind, string text)
        : base(parent, step, place) => (Kind, Text) = (kind, text);

    public ScalarKind Kind { get; }

    /// <summary>As it was written, numbers digit for digit; nothing passes through a binary fraction.</summary>
    public string Text { get; }

    public override string Described => Kind switch
    {
        ScalarKind.Text => $"the text {Quote.Of(Text)}",
        ScalarKind.Number => $"the number {Quote.Shorten(Text)}",
        ScalarKind.Boolean => $"the truth value {Quote.Shorten(Text)}",
        _ => "empty",
    };
}

/// <summary>Text of a document as it may stand in a message: bounded, and without control characters.</summary>
internal static class Quote
{
    private const int Longest = 80;

    public static string Of(string text) => $"'{Shorten(text)}'";

    public static string Shorten(string text)
    {
        if (text.Length > Longest) text = text[..Longest] + "…";
        return text.Any(char.IsControl) ? string.Concat(text.Select(Visible)) : text;
    }

    private static string Visible(char c) => char.IsControl(c) ? $"\\u{(int)c:x4}" : c.ToString();
}
