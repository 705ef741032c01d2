namespace Tollgate.Config.Kong;

/// <summary>An entry of an <c>endpoint_map</c>: <c>/path</c>, <c>/path/{parameter}</c>, or either after a method.
/// </summary>
/// <param name="Text">As it was written: the operation's name.</param>
/// <param name="Method">Null: any.</param>
internal sealed record GateEntry(string Text, string? Method, string Template)
{
    public static GateEntry Parse(string text)
    {
        var space = text.IndexOf(' ');
        return space < 0 ? new GateEntry(text, null, text) : new GateEntry(text, text[..space], text[(space + 1)..]);
    }

    /// <summary>Whether every call that the other one is for is a call that this one is for.</summary>
    public bool Covers(GateEntry other) => CoversMethod(other.Method) && CoversTemplate(other.Template);

    /// <param name="method">Null: any.</param>
    public bool CoversMethod(string? method) =>
        Method is null || Method == method || Method == "GET" && method == "HEAD";

    /// <summary>Whether a parameter, or the same text, stands here wherever the other has a segment.</summary>
    public bool CoversTemplate(string template)
    {
        var mine = Template.Split('/');
        var its = template.Split('/');
        return mine.Length == its.Length
            && mine.Zip(its).All(s => s.First == s.Second || IsParameter(s.First) && s.Second.Length > 0);
    }

    /// <summary>Templates of one shape match the same paths.</summary>
    public static string ShapeOf(string template) =>
        string.Join('/', template.Split('/').Select(s => IsParameter(s) ? "{}" : s));

    /// <summary>Sorts before that of a less specific template: text before parameters, from the left.</summary>
    public static string RankOf(string template) =>
        string.Concat(template.Split('/').Select(s => IsParameter(s) ? '1' : '0'));

    /// <summary>What of this template lies under a path, with the path's text in the place of parameters; null when
    /// nothing does.</summary>
    public string? Under(string path)
    {
        var mine = Template.Split('/');
        var its = path.TrimEnd('/').Split('/');
        if (its.Length > mine.Length) return null;
        for (var i = 0; i < its.Length; i++)
            if (mine[i] != its[i] && !IsParameter(mine[i]))
                return null;
        return string.Join('/', its.Concat(mine.Skip(its.Length)));
    }

    private static bool IsParameter(string segment) => segment.StartsWith('{');
}
