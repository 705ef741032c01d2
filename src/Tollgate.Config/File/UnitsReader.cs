using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>Reads what calls count for: the weight of an operation, the header that tells units, and which answers a
/// plan bills.</summary>
internal sealed class UnitsReader(Findings findings)
{
    private const int MostHeaders = 8, MostStatuses = 100;

    /// <summary>The units of an operation; null when it counts as one.</summary>
    public OperationUnits? Read(MapReader fields)
    {
        var weight = ReadUnits(fields.Take("weight"), "5");
        var reserve = fields.Take("reserve");
        var overrunNode = fields.Take("overrun");
        var cuts = findings.Choice(overrunNode, "write_off", "cut") == "cut";
        if (overrunNode is not null && reserve is null)
            findings.Add(Code.BadValue, overrunNode, "It says what becomes of what a call costs beyond its 'reserve': add one, as " +
                "'reserve: 4_000', or remove this.");
        var retries = findings.Whole(fields.Take("free_retries"), 0, OperationUnits.MostFreeRetries) ?? 0;
        // what is set aside is read when the meters are known
        return weight is null && retries == 0 && reserve is null ? null
            : new OperationUnits(weight ?? 1) { FreeRetries = retries, CutsOverrun = cuts };
    }

    /// <summary>One name of a header or a list of them; null when it is left out.</summary>
    public IReadOnlyList<string>? ReadHeaders(Node? node)
    {
        if (node is null) return null;
        var items = node is ListNode list ? list.Items : [node];
        if (items.Count is 0 or > MostHeaders)
            findings.Add(Code.BadValue, node, $"These are {items.Count} headers; 1 to {MostHeaders} are read.");
        var names = new List<string>();
        foreach (var item in items.Take(MostHeaders))
        {
            if (findings.Text(item, "Tollgate-Units") is not { } name) continue;
            if (ReservedHeaders.WhyNot(name, ofRequest: false) is { } why)
                findings.Add(Code.BadValue, item, $"{Quote.Of(name)} cannot say what a call costs: {why}. Let the upstream say units in " +
                    "a header of its own, as 'Tollgate-Units'.");
            else if (ReservedHeaders.IsName(name)) names.Add(name);
            else findings.Add(Code.BadValue, item, $"{Quote.Of(name)} is not the name of a header: 1 to 64 letters, " +
                "digits, '-' and '_', as 'Tollgate-Units'.");
        }

        return names;
    }

    /// <summary>The statuses that a plan bills; null when it is left out.</summary>
    public IReadOnlyList<string>? ReadBillable(Node? node)
    {
        if (findings.Items(node, "[2xx, 3xx, 404]") is not { } items) return null;
        if (items.Count > MostStatuses)
            findings.Add(Code.TooMany, node!, $"These are {items.Count} statuses; at most {MostStatuses} are read.");
        var texts = new List<string>();
        foreach (var item in items.Take(MostStatuses))
        {
            if (findings.Text(item, "2xx") is not { } text) continue;
            if (StatusSet.TryParse(text) is not null) texts.Add(text);
            else findings.Add(Code.BadValue, item, $"{Quote.Of(text)} is not {StatusSet.Forms}.");
        }

        return texts;
    }

    private long? ReadUnits(Node? node, string example)
    {
        if (findings.Text(node, example) is not { } text) return null;
        if (text == "0") return 0;
        if (Scalars.ParseCount(text) is { } count && count <= OperationUnits.Most) return count;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a number of units: a whole number from 0 to " +
            $"{OperationUnits.Most}, as '{example}'.");
        return null;
    }
}
