namespace Tollgate.Config.File;

/// <summary>Reads which operations a price or a quota is for: <c>where: { operation: [quote, analytics] }</c>.</summary>
/// <param name="findings">Gets what is wrong.</param>
/// <param name="who">As a sentence begins: <c>A price</c>.</param>
/// <param name="does">What it does with usage: <c>bills</c>.</param>
internal sealed class WhereReader(Findings findings, string who, string does)
{
    private const int LongestOperation = 512, MostOperations = 10_000;

    /// <summary>Null for all operations, and when something is wrong.</summary>
    public List<(string Operation, Node Node)>? Read(Node? where, out bool right)
    {
        right = where is null;
        if (where is null || MapReader.Open(where, findings, "{ operation: quote }") is not { } fields) return null;
        var node = fields.Need("operation", "quote");
        fields.Close();
        return node is null ? null : ReadOperations(node, out right);
    }

    /// <summary>One name or a list of them; null when something is wrong with the whole of it.</summary>
    public List<(string Operation, Node Node)>? ReadOperations(Node node, out bool right)
    {
        right = false;
        var items = node is ListNode list ? list.Items : [node];
        if (items.Count is 0 or > MostOperations)
        {
            findings.Add(Code.BadValue, node, items.Count > 0
                ? $"{who} names at most {MostOperations} operations."
                : $"An empty list {does} nothing: name an operation, or leave 'where' out for every one.");
            return null;
        }

        var operations = new List<(string, Node)>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if (findings.Text(item, "quote") is not { } name) continue;
            if (!CanBeOperation(name))
                NotAnOperation(item, name);
            else if (!seen.Add(name))
                findings.Add(Code.DuplicateName, item, $"{Quote.Of(name)} stands in this list twice. Remove one.");
            else
                operations.Add((name, item));
        }

        right = operations.Count == items.Count;
        return operations;
    }

    /// <summary>Whether there is such an operation is the caller's question; one that Kong's calls made is named by
    /// its path.</summary>
    private static bool CanBeOperation(string name) =>
        name.Length is > 0 and <= LongestOperation && name != "*" && !name.Any(char.IsControl);

    private void NotAnOperation(Node node, string name) => findings.Add(Code.BadValue, node, name == "*"
        ? "Every operation is meant when 'where' is left out."
        : $"{Quote.Of(name)} cannot be the name of an operation.");
}
