namespace Tollgate.Config.File;

/// <summary>Reads which headers of a request or an answer are written, added and taken off.</summary>
internal sealed class HeaderReader(Findings findings)
{
    private const string Example = "{ set: { X-Env: production }, add: { … }, remove: [X-Debug] }";
    private const int LongestValue = 4_096;

    public HeaderChanges? Read(Node? node, bool ofRequest)
    {
        if (node is null || MapReader.Open(node, findings, Example) is not { } fields) return null;
        var changes = new HeaderChanges
        {
            Set = Values(fields.Take("set"), ofRequest),
            Add = Values(fields.Take("add"), ofRequest),
            Remove = Names(fields.Take("remove"), ofRequest),
        };
        fields.Close();
        if (changes.Set.Count + changes.Add.Count + changes.Remove.Count > HeaderChanges.MostHeaders)
            findings.Add(Code.TooMany, node, $"At most {HeaderChanges.MostHeaders} headers are changed.");
        return changes;
    }

    private Dictionary<string, string> Values(Node? node, bool ofRequest)
    {
        var values = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (node is null || MapReader.Open(node, findings, "{ X-Env: production }") is null) return values;
        foreach (var field in ((MapNode)node).Fields.Take(HeaderChanges.MostHeaders + 1))
        {
            var named = Check(field.Name, field.Value, ofRequest);
            if (findings.Text(field.Value, "production") is not { } value) continue;
            if (value.Length > LongestValue || value.Any(c => c is < ' ' or > '~'))
                findings.Add(Code.BadValue, field.Value, $"The value of a header is at most {LongestValue} visible characters " +
                    "of ASCII, as 'production'.");
            else if (named && !values.TryAdd(field.Name, value))
                findings.Add(Code.BadValue, field.Value, $"{Quote.Of(field.Name)} stands twice, in other letters; remove one.");
        }

        return values;
    }

    private List<string> Names(Node? node, bool ofRequest)
    {
        var names = new List<string>();
        foreach (var item in (findings.Items(node, "[X-Debug]") ?? []).Take(HeaderChanges.MostHeaders + 1))
            if (findings.Text(item, "X-Debug") is { } name && Check(name, item, ofRequest)) names.Add(name);
        return names;
    }

    private bool Check(string name, Node at, bool ofRequest)
    {
        if (!ReservedHeaders.IsName(name))
            findings.Add(Code.BadValue, at, $"{Quote.Of(name)} is not the name of a header: 1 to 64 letters, digits, '-' and '_', " +
                "as 'X-Env'.");
        else if (ReservedHeaders.WhyNot(name, ofRequest) is { } why)
            findings.Add(Code.BadValue, at, $"{Quote.Of(name)} cannot be changed: {why}. Remove it here.");
        else return true;
        return false;
    }
}
