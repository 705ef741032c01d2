namespace Tollgate.Config.File;

/// <summary>
/// Takes the fields of a map one by one; the names that were asked for are the ones that it knows, and whatever is
/// left at the end is an unknown field. So a new field is one more line where its map is read.
/// </summary>
internal sealed class MapReader
{
    private readonly MapNode _map;
    private readonly Findings _findings;
    private readonly List<string> _known = [];

    private MapReader(MapNode map, Findings findings) => (_map, _findings) = (map, findings);

    /// <summary>Null when it is no map, which is then found.</summary>
    /// <param name="example">What would be right, as <c>{ upstream: … }</c>.</param>
    public static MapReader? Open(Node node, Findings findings, string example)
    {
        if (node is MapNode map) return new MapReader(map, findings);
        findings.WrongType(node, "a map", example);
        return null;
    }

    public Node Node => _map;

    /// <summary>The value of a field, or null when it is left out.</summary>
    public Node? Take(string name)
    {
        _known.Add(name);
        return _map.FieldOf(name)?.Value;
    }

    /// <summary>The value of a field; when it is left out, that is found.</summary>
    public Node? Need(string name, string example)
    {
        var value = Take(name);
        if (value is null)
        {
            _findings.Add(new(Code.MissingField, $"'{name}' is missing. Add it, as '{name}: {example}'.",
                _map.PathOf(name), _map.Place));
        }

        return value;
    }

    /// <summary>Finds what nobody asked for.</summary>
    public void Close()
    {
        foreach (var field in _map.Fields)
        {
            if (_known.Contains(field.Name)) continue;
            _findings.Add(new(Code.UnknownField, _findings.Full ? "" : $"There is no field {Quote.Of(field.Name)} " +
                $"here.{_findings.DidYouMean(field.Name, _known)} Known are: {string.Join(", ", _known)}.",
                field.Value.Path, field.Place));
        }
    }
}
