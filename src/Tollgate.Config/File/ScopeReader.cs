using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>Reads which usage a price, or a cell of its matrix, is for: <c>where</c> and <c>when</c>.</summary>
internal sealed class ScopeReader(Findings findings)
{
    /// <summary>Of one price.</summary>
    public const int MostCells = 1_000;

    private const int MostValues = 1_000, LongestValue = 255, MostSpans = 100;

    private readonly WhereReader _operations = new(findings, "A price", "bills");

    /// <param name="where">Operations and values of dimensions.</param>
    /// <param name="when">Times of the local week.</param>
    /// <param name="meter">Null when it is not known what its usage is told apart by: any name is right then.</param>
    /// <returns>Null when something is wrong. Operations stand with their places.</returns>
    public (UsageScope Scope, IReadOnlyList<(string Operation, Node Node)> Operations)? Read(
        Node? where, Node? when, MeterShape? meter)
    {
        var right = true;
        List<(string Operation, Node Node)>? operations = null;
        var dimensions = new List<(string, IReadOnlyList<string>)>();
        if (where is not null)
        {
            if (MapReader.Open(where, findings, "{ operation: quote }") is null) return null;
            var fields = ((MapNode)where).Fields;
            if (fields.Count == 0)
            {
                findings.Add(Code.BadValue, where, "An empty 'where' says nothing: name an operation or a dimension, or leave " +
                    "it out for all usage.");
                return null;
            }

            foreach (var field in fields.OrderBy(f => f.Name, StringComparer.Ordinal))
                if (field.Name == PriceComponent.ByOperation)
                    operations = _operations.ReadOperations(field.Value, out var ok) is { } named && ok ? named : Wrong(ref right);
                else if (IsDimension(field.Name, field.Value, meter) && ReadValues(field.Value) is { } values)
                    dimensions.Add((field.Name, values));
                else
                    right = false;
        }

        var times = when is null ? null : ReadTimes(when);
        if (!right || (when is not null && times is null)) return null;
        return (new UsageScope
        {
            Dimensions = dimensions,
            Operations = operations is null ? null : [.. operations.Select(o => o.Operation).Order(StringComparer.Ordinal)],
            When = times,
        }, operations ?? []);
    }

    /// <summary>Names of dimensions, or <c>operation</c>; null when something is wrong.</summary>
    public IReadOnlyList<string>? ReadBy(Node? node, MeterShape? meter)
    {
        if (node is null) return [];
        var items = node is ListNode list ? list.Items : [node];
        var names = new List<string>();
        foreach (var item in items)
            if (findings.Text(item, PriceComponent.ByOperation) is { } name
                && (name == PriceComponent.ByOperation || IsDimension(name, item, meter)))
                names.Add(name);
        if (names.Count == items.Count && items.Count > 0 && names.Distinct().Count() == names.Count) return names;
        if (names.Count == items.Count)
            findings.Add(Code.BadValue, node, "By what lines are told apart is named once each, as [region]; leave 'by' out " +
                "for one line.");
        return null;
    }

    private bool IsDimension(string name, Node at, MeterShape? meter)
    {
        if (meter is null ? Names.IsName(name) : meter.Dimensions.Contains(name)) return true;
        string[] known = [PriceComponent.ByOperation, .. meter?.Dimensions ?? []];
        findings.Add(Code.UnknownField, at, $"Usage of this meter is not told apart by {Quote.Of(name)}." +
            $"{findings.DidYouMean(name, known)} Known are: {Names.List(known)}.");
        return false;
    }

    private List<string>? ReadValues(Node node)
    {
        var items = node is ListNode list ? list.Items : [node];
        var values = new List<string>();
        foreach (var item in items)
        {
            if (findings.Text(item, "eu") is not { } value) return null;
            if (value.Length is 0 or > LongestValue || value.Any(char.IsControl))
            {
                findings.Add(Code.BadValue, item, $"{Quote.Of(value)} is no value of a dimension: it has 1 to {LongestValue} " +
                    "characters, none of them a control character.");
                return null;
            }

            values.Add(value);
        }

        if (values.Count is > 0 and <= MostValues && values.Distinct().Count() == values.Count)
            return [.. values.Order(StringComparer.Ordinal)];
        findings.Add(Code.BadValue, node, $"A condition names 1 to {MostValues} values, each once.");
        return null;
    }

    private WeekTimes? ReadTimes(Node node)
    {
        const string example = "mon-fri 08:00-18:00";
        var items = node is ListNode list ? list.Items : [node];
        var spans = items.Select(i => findings.Text(i, example)).OfType<string>().ToArray();
        if (spans.Length < items.Count) return null;
        if (spans.Length is 0 or > MostSpans)
        {
            findings.Add(Code.BadValue, node, $"Times of the week are 1 to {MostSpans} spans, as '{example}'.");
            return null;
        }

        var times = WeekTimes.Parse(spans, out var faults);
        foreach (var (at, wrong) in faults)
            findings.Add(Code.BadValue, items[at], $"{Quote.Of(spans[at])} is no time of the week, as '{example}': {wrong}.");
        return times;
    }

    private static List<(string, Node)>? Wrong(ref bool right)
    {
        right = false;
        return null;
    }
}
