namespace Tollgate.Config.Kong;

/// <summary>An entry of an <c>endpoint_map</c>: <c>/path</c>, <c>/path/{parameter}</c>, or either after a method.
/// </summary>
internal sealed class GateEntry
{
    private readonly string[] _segments;

    public GateEntry(string text)
    {
        var space = text.IndexOf(' ');
        Text = text;
        Method = space < 0 ? null : text[..space];
        Template = text[(space + 1)..];
        _segments = Template.Split('/');
        Rank = string.Concat(_segments.Select(s => IsParameter(s) ? '1' : '0'));
    }

    /// <summary>As it was written: the operation's name.</summary>
    public string Text { get; }

    /// <summary>Null: any.</summary>
    public string? Method { get; }

    public string Template { get; }

    /// <summary>Sorts before that of a less specific template: text before parameters, from the left.</summary>
    public string Rank { get; }

    public bool HasParameters => Rank.Contains('1');

    /// <param name="method">Null: any.</param>
    public bool CoversMethod(string? method) =>
        Method is null || Method == method || Method == "GET" && method == "HEAD";

    /// <summary>What of this template lies under a path, with the path's text in the place of parameters; null when
    /// nothing does.</summary>
    public string? Under(string path)
    {
        var its = path.TrimEnd('/').Split('/');
        return its.Length <= _segments.Length
            && its.Zip(_segments).All(s => s.First == s.Second || IsParameter(s.Second))
            ? string.Join('/', its.Concat(_segments.Skip(its.Length)))
            : null;
    }

    /// <summary>Templates of one shape match the same paths.</summary>
    public static string ShapeOf(string template) =>
        string.Join('/', template.Split('/').Select(s => IsParameter(s) ? "{}" : s));

    private static bool IsParameter(string segment) => segment.StartsWith('{');
}

/// <summary>Entries, found by what they cover at a cost that does not grow with their number.</summary>
internal sealed class GateEntries
{
    private readonly ILookup<string, GateEntry> _byShape;
    private readonly string[] _ranks;

    /// <param name="texts">As they were written; what was written twice is one entry.</param>
    public GateEntries(IEnumerable<string> texts)
    {
        All = [.. texts.Distinct().Select(t => new GateEntry(t))];
        _byShape = All.ToLookup(e => GateEntry.ShapeOf(e.Template), StringComparer.Ordinal);
        _ranks = [.. All.Select(e => e.Rank).Distinct().Order(StringComparer.Ordinal)];
    }

    public IReadOnlyList<GateEntry> All { get; }

    /// <summary>Those that are for every call that this template and method are for, the most specific first.</summary>
    /// <param name="method">Null: any.</param>
    public IEnumerable<GateEntry> Covering(string? method, string template)
    {
        var segments = template.Split('/');
        return from rank in _ranks
               where rank.Length == segments.Length
               from entry in _byShape[Shape(rank, segments)]
               where entry.CoversMethod(method)
               orderby entry.Rank, entry.Method is null
               select entry;
    }

    /// <summary>The shape that an entry with parameters in these places has if it covers the template.</summary>
    private static string Shape(string rank, string[] segments) => string.Join('/',
        segments.Select((s, i) => rank[i] == '1' && s.Length > 0 ? "{}" : s));
}
