using System.Text;
using Tollgate.Catalog;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Tollgate.Config.File;

/// <summary>
/// Reads one YAML document, and so JSON too, into nodes with places. What YAML can do beyond maps, lists and scalars
/// (aliases, tags, several documents) is refused by name: it would be ignored, or would let a small file grow large.
/// </summary>
internal sealed class YamlTree
{
    /// <summary>In bytes of UTF-8.</summary>
    public const int MaxBytes = 4 << 20;

    /// <summary>Maps and lists within each other.</summary>
    public const int MaxDepth = 64;

    private readonly string _file;
    private readonly List<Problem> _duplicates = [];
    private readonly Stack<Open> _open = new();
    private Node? _root;
    private Problem? _refused;

    private YamlTree(string file) => _file = file;

    /// <summary>Null, and why in the findings, when there is no document. Names that stand twice are found and do not
    /// stop the reading.</summary>
    public static Node? Read(string text, string file, Findings findings)
    {
        var tree = new YamlTree(file);
        text = text.TrimStart('\uFEFF');
        tree._refused = tree.Refuse(text);
        if (tree._refused is null) tree.Parse(text);
        if (tree._refused is { } refused) findings.Add(refused);
        else tree._duplicates.ForEach(findings.Add);
        return tree._refused is null ? tree._root : null;
    }

    private Problem? Refuse(string text)
    {
        if (Encoding.UTF8.GetByteCount(text) > MaxBytes)
            return new Problem(Code.TooLarge, $"The file is larger than {MaxBytes >> 20} MiB.");
        if (string.IsNullOrWhiteSpace(text)) return Empty(new Place(_file, 1, 1));
        return Unreadable(text);
    }

    private void Parse(string text)
    {
        var scanner = new Scanner(new StringReader(text), skipComments: true);
        var parser = new Parser(scanner);
        while (_refused is null && MoveNext(parser, scanner, text)) Take(parser.Current!);
        if (_refused is null && _root is null or ScalarNode { Kind: ScalarKind.Null })
            _refused = Empty(_root?.Place ?? new Place(_file, 1, 1));
    }

    private bool MoveNext(Parser parser, Scanner scanner, string text)
    {
        try
        {
            return parser.MoveNext();
        }
        catch (YamlException e)
        {
            Explain(e.Message, PlaceOf(e.Start), text);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or IndexOutOfRangeException)
        {
            // on some broken texts the parser trips over its own state
            Explain("it breaks off", PlaceOf(scanner.CurrentPosition), text);
        }

        return false;
    }

    private void Take(ParsingEvent next)
    {
        switch (next)
        {
            case DocumentStart when _root is not null:
                _refused = new Problem(Code.YamlDocuments, "A second document begins here; a file is one document. " +
                    "Remove the '---', or make it a file of its own.", null, PlaceOf(next.Start));
                break;
            case AnchorAlias alias:
                _refused = new Problem(Code.YamlAlias, $"'*{Quote.Shorten(alias.Value.Value)}' is a YAML alias, " +
                    "which is not read here: write the value out, or use 'extends' between plans.", Path(),
                    PlaceOf(next.Start));
                break;
            case NodeEvent { Anchor.IsEmpty: false } node:
                _refused = new Problem(Code.YamlAlias, $"'&{Quote.Shorten(node.Anchor.Value)}' is a YAML anchor, " +
                    "which is not read here: remove it.", Path(), PlaceOf(next.Start));
                break;
            case NodeEvent { Tag: { IsEmpty: false, IsNonSpecific: false } tag }:
                _refused = new Problem(Code.YamlTag, $"{Quote.Of(tag.Value)} is a YAML tag, which is not read here: " +
                    "remove it; a text is put in quotes.", Path(), PlaceOf(next.Start));
                break;
            case Scalar scalar when _open.TryPeek(out var open) && open is { Node: MapNode, Name: null }:
                (open.Name, open.NamePlace) = (scalar.Value, PlaceOf(scalar.Start));
                break;
            case Scalar scalar:
                Add(new ScalarNode(Parent, Step(), PlaceOf(scalar.Start), KindOf(scalar), scalar.Value));
                break;
            case MappingStart:
                Push(new MapNode(Parent, Step(), PlaceOf(next.Start)));
                break;
            case SequenceStart:
                Push(new ListNode(Parent, Step(), PlaceOf(next.Start)));
                break;
            case MappingEnd or SequenceEnd:
                _open.Pop();
                break;
        }
    }

    private Node? Parent => _open.TryPeek(out var open) ? open.Node : null;

    private string Step() => !_open.TryPeek(out var open) ? "" : open.Node is ListNode list ? list.NextStep()
        : MapNode.NextStep(open.Name ?? "");

    private string? Path() => _open.TryPeek(out var open) ? open.Node.Path : null;

    private void Push(Node node)
    {
        if (_open.TryPeek(out var open) && open is { Node: MapNode, Name: null })
        {
            _refused = new Problem(Code.YamlSyntax, $"A name is needed here, before a ':', and this is " +
                $"{node.Described}.", Path(), node.Place);
            return;
        }

        if (_open.Count == MaxDepth)
        {
            _refused = new Problem(Code.TooDeep, $"Maps and lists stand within each other at most {MaxDepth} deep.",
                null, node.Place);
            return;
        }

        Add(node);
        _open.Push(new Open(node));
    }

    private void Add(Node node)
    {
        if (!_open.TryPeek(out var open))
        {
            _root = node;
            return;
        }

        if (open.Node is ListNode list)
        {
            list.Add(node);
            return;
        }

        var map = (MapNode)open.Node;
        var field = new Field(open.Name!, open.NamePlace, node);
        open.Name = null;
        if (map.TryAdd(field) || _duplicates.Count >= Findings.Max) return;
        var first = map.FieldOf(field.Name)!.Place!;
        _duplicates.Add(new Problem(Code.DuplicateName, $"{Quote.Of(field.Name)} stands here a second time; the " +
            $"first is at {first}. Remove one of them.", node.Path, field.Place));
    }

    private static ScalarKind KindOf(Scalar scalar) => scalar.Style != ScalarStyle.Plain ? ScalarKind.Text
        : scalar.Value switch
        {
            "" or "~" or "null" or "Null" or "NULL" => ScalarKind.Null,
            "true" or "True" or "TRUE" or "false" or "False" or "FALSE" => ScalarKind.Boolean,
            var text when Scalars.LooksLikeNumber(text) => ScalarKind.Number,
            _ => ScalarKind.Text,
        };

    /// <summary>The parser passes over most of what cannot be text; a binary file should be told so.</summary>
    private Problem? Unreadable(string text)
    {
        for (var (i, line, start) = (0, 1, 0); i < text.Length; i++)
        {
            var c = text[i];
            var next = i + 1 < text.Length ? text[i + 1] : '\0';
            if (c == '\n' || c == '\r' && next != '\n') (line, start) = (line + 1, i + 1);
            if (char.IsSurrogatePair(c, next))
            {
                i++;
                continue;
            }

            if (c is '\t' or '\n' or '\r' || !char.IsControl(c) && !char.IsSurrogate(c) && c != '\uFFFD') continue;
            return new Problem(Code.YamlSyntax, c == '\uFFFD' || char.IsSurrogate(c)
                ? "Bytes stand here that are not UTF-8. Save the file as UTF-8."
                : $"The character U+{(int)c:X4} stands here, which is not text.", null,
                new Place(_file, line, i - start + 1));
        }

        return null;
    }

    private static Problem Empty(Place place) => new(Code.EmptyFile,
        "The file is empty. The least is 'version: 1' and a currency, as 'currency: USD'.", null, place);

    private void Explain(string message, Place place, string text)
    {
        message = Quote.Shorten(message.Trim().TrimEnd('.'));
        var (language, hint) = ("YAML", "");
        if (_file.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
            language = "JSON";
        else if (message.Contains("tab", StringComparison.Ordinal) && FirstTab(text) is { } tab)
            (hint, place) = (" YAML is indented with spaces, never with tabs.", tab);
        else if (message.Contains("flow", StringComparison.Ordinal))
            hint = " Between { } or [ ], a text that holds a brace, a bracket or a comma stands in quotes.";
        else if (message.Contains("invalid mapping", StringComparison.Ordinal))
            hint = " A text that holds ': ' stands in quotes.";
        _refused = new Problem(Code.YamlSyntax, $"This is not {language}: {message}.{hint}", null, place);
    }

    /// <summary>The parser names where the map begins; people look for the tab.</summary>
    private Place? FirstTab(string text)
    {
        var number = 0;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            number++;
            var indentation = line[..^line.TrimStart().Length];
            var tab = indentation.IndexOf('\t');
            if (tab >= 0 && indentation.Length < line.Length) return new Place(_file, number, tab + 1);
        }

        return null;
    }

    private Place PlaceOf(Mark mark) => new(_file, (int)mark.Line, (int)mark.Column);

    private sealed class Open(Node node)
    {
        public Node Node { get; } = node;

        /// <summary>The name that was read and waits for its value.</summary>
        public string? Name { get; set; }

        public Place? NamePlace { get; set; }
    }
}
