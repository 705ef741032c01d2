using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A price that was read, and where it names operations.</summary>
internal sealed record PriceDraft(
    PriceComponent Component, Node Node, IReadOnlyList<(string Operation, Node Node)> Operations);

/// <summary>
/// Reads price documents: the same for the file, for requests and for published versions. A price model is one line
/// in the table and one method.
/// </summary>
public sealed class PriceReader
{
    /// <summary>The meter that always exists.</summary>
    public const string Calls = "calls";

    /// <summary>In one plan, with what it inherits.</summary>
    public const int MostPrices = 100;

    private const int LongestOperation = 512;

    private const int MostOperations = 10_000;

    private const string Example = "{ model: flat, amount: \"49.00\", every: month }";

    private readonly Findings _findings;
    private readonly OrderedDictionary<string, Func<string, MapReader, PriceDraft?>> _models;

    internal PriceReader(Findings findings)
    {
        _findings = findings;
        _models = new(StringComparer.Ordinal) { ["flat"] = ReadFlat, ["per_unit"] = ReadPerUnit };
    }

    /// <summary>Reads a map of price documents by their names, as <see cref="PriceWriter"/> writes it. Whether the
    /// operations exist is for the caller to know.</summary>
    public static Result<IReadOnlyList<PriceComponent>> Read(Node prices)
    {
        var findings = new Findings();
        var components = new PriceReader(findings).ReadAll(prices).ConvertAll(p => p.Component);
        return findings.Any ? Result<IReadOnlyList<PriceComponent>>.Refused(findings.InOrder()) : components;
    }

    internal List<PriceDraft> ReadAll(Node node)
    {
        if (MapReader.Open(node, _findings, $"base: {Example}") is null) return [];
        var fields = ((MapNode)node).Fields;
        if (fields.Count <= MostPrices) return fields.Select(Read).OfType<PriceDraft>().ToList();
        _findings.Add(Code.TooMany, node, $"These are {fields.Count} prices; a plan has at most {MostPrices}.");
        return [];
    }

    /// <summary>Its other fields depend on the model, so without one they are not judged.</summary>
    private PriceDraft? Read(Field price)
    {
        var named = Names.Check(price, "a price", _findings);
        if (MapReader.Open(price.Value, _findings, Example) is not { } fields) return null;
        var model = _findings.Choice(fields.Need("model", "per_unit"), [.. _models.Keys]);
        if (model is null) return null;
        var draft = _models[model](price.Name, fields);
        fields.Close();
        return named ? draft : null;
    }

    private PriceDraft? ReadFlat(string name, MapReader fields)
    {
        var amount = _findings.Amount(fields.Need("amount", "\"49.00\""), "49.00");
        var every = _findings.Choice(fields.Need("every", "month"), "month");
        var due = fields.Take("in");
        var timing = due is null ? "arrears" : _findings.Choice(due, "arrears", "advance");
        if (amount is not { } value || every is null || timing is null) return null;
        var price = new Price.Flat(value, timing == "advance" ? BillingTiming.Advance : BillingTiming.Arrears);
        return new PriceDraft(new PriceComponent(name, null, null, price), fields.Node, []);
    }

    private PriceDraft? ReadPerUnit(string name, MapReader fields)
    {
        var amount = _findings.Amount(fields.Need("unit_amount", "\"0.05\""), "0.05");
        var meter = ReadMeter(fields.Need("meter", Calls));
        var operations = ReadWhere(fields.Take("where"), out var whereIsRight);
        if (amount is not { } value || meter is null || !whereIsRight) return null;
        // in one order, so that equal prices are equal text
        var names = operations?.Select(o => o.Operation).Order(StringComparer.Ordinal).ToArray();
        var component = new PriceComponent(name, meter, names, new Price.PerUnit(value));
        return new PriceDraft(component, fields.Node, operations ?? []);
    }

    private string? ReadMeter(Node? node)
    {
        if (_findings.Text(node, Calls) is not { } meter) return null;
        if (meter == Calls) return meter;
        _findings.Add(Code.UnknownMeter, node!, $"There is no meter {Quote.Of(meter)}." +
            $"{_findings.DidYouMean(meter, [Calls])} Known is: {Calls}.");
        return null;
    }

    /// <summary>The usage that a price is for; null for all of it.</summary>
    private List<(string Operation, Node Node)>? ReadWhere(Node? where, out bool right)
    {
        right = where is null;
        if (where is null || MapReader.Open(where, _findings, "{ operation: quote }") is not { } fields) return null;
        var node = fields.Need("operation", "quote");
        fields.Close();
        if (node is null) return null;
        var items = node is ListNode list ? list.Items : [node];
        if (items.Count is 0 or > MostOperations)
        {
            _findings.Add(Code.BadValue, node, items.Count > 0
                ? $"A price names at most {MostOperations} operations."
                : "An empty list bills nothing: name an operation, or leave 'where' out for every one.");
            return null;
        }

        var operations = new List<(string, Node)>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if (_findings.Text(item, "quote") is not { } name) continue;
            if (!CanBeOperation(name))
                NotAnOperation(item, name);
            else if (!seen.Add(name))
                _findings.Add(Code.DuplicateName, item, $"'{name}' stands in this list twice. Remove one.");
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

    private void NotAnOperation(Node node, string name) => _findings.Add(Code.BadValue, node, name == "*"
        ? "Every operation is meant when 'where' is left out."
        : $"{Quote.Of(name)} cannot be the name of an operation.");
}
