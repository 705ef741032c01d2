using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A price that was read, and where it names operations.</summary>
internal sealed record PriceDraft(
    PriceComponent Component, Node Node, IReadOnlyList<(string Operation, Node Node)> Operations);

/// <summary>
/// Reads price documents: the same for the file, for requests and for published versions. What a price is for is read
/// here, what it asks in <see cref="PriceModelReader"/>.
/// </summary>
public sealed class PriceReader
{
    /// <summary>The meter that always exists.</summary>
    public const string Calls = "calls";

    /// <summary>In one plan, with what it inherits.</summary>
    public const int MostPrices = 100;

    private const string Example = "{ model: flat, amount: \"49.00\", every: month }";

    private readonly Findings _findings;
    private readonly PriceModelReader _models;
    private readonly ScopeReader _scopes;

    internal PriceReader(Findings findings) => (_findings, _models, _scopes) =
        (findings, new PriceModelReader(findings), new ScopeReader(findings));

    /// <summary>Reads a map of price documents by their names, as <see cref="PriceWriter"/> writes it. Whether the
    /// operations exist is for the caller to know.</summary>
    /// <param name="meters">Those that may be named; null where they are not known, as of a version that was published.
    /// </param>
    public static Result<IReadOnlyList<PriceComponent>> Read(Node prices, IReadOnlyCollection<PublishedMeter>? meters = null)
    {
        var findings = Findings.Of(meters);
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

    /// <summary>Reads one price document that stands for itself, as in a preview: it needs no meter, and a flat fee no
    /// period.</summary>
    public static Result<PriceComponent> ReadOne(Node node)
    {
        var findings = new Findings();
        var reader = new PriceReader(findings);
        PriceComponent? component = null;
        if (MapReader.Open(node, findings, Example) is { } fields)
        {
            var price = reader._models.Read(fields, standsAlone: true);
            if (PriceModelReader.IsFlat(fields)) component = price is null ? null : new PriceComponent("price", null, null, price);
            else
            {
                var meter = findings.Meter(fields.Take("meter"));
                component = reader.ReadScopes("price", meter ?? Unnamed, fields, price)?.Component;
            }

            if (reader._models.IsKnown(fields)) fields.Close();
        }

        return findings.Any ? Result<PriceComponent>.Refused(findings.InOrder()) : component!;
    }

    /// <summary>What is counted by a price that stands for itself and names no meter.</summary>
    public const string Unnamed = "units";

    /// <summary>Its other fields depend on the model, so without one they are not judged.</summary>
    private PriceDraft? Read(Field field)
    {
        var named = Names.Check(field, "a price", _findings);
        if (MapReader.Open(field.Value, _findings, Example) is not { } fields) return null;
        var price = _models.Read(fields, standsAlone: false);
        if (!_models.IsKnown(fields)) return null;
        PriceDraft? draft;
        if (PriceModelReader.IsFlat(fields))
            draft = price is null ? null : new PriceDraft(new PriceComponent(field.Name, null, null, price), fields.Node, []);
        else
        {
            var meter = _findings.Meter(fields.Need("meter", Calls));
            draft = ReadScopes(field.Name, meter, fields, price);
            if (meter is null || draft is null || !Fits(draft)) draft = null;
        }

        fields.Close();
        return named ? draft : null;
    }

    /// <summary>The usage that it is for, and what tells its lines apart.</summary>
    private PriceDraft? ReadScopes(string name, string? meter, MapReader fields, Price? price)
    {
        var shape = meter is null ? null : _findings.Shapes?.GetValueOrDefault(meter);
        var scope = _scopes.Read(fields.Take("where"), fields.Take("when"), shape);
        var by = _scopes.ReadBy(fields.Take("by"), shape);
        var cells = ReadMatrix(fields.Take("matrix"), fields, shape);
        if (price is null || scope is not var (own, operations) || by is null || cells is null) return null;
        return new PriceDraft(new PriceComponent(name, meter, own.Operations, price)
        {
            Scope = own with { Operations = null },
            By = by,
            Matrix = [.. cells.Select(c => c.Cell)],
        }, fields.Node, [.. operations, .. cells.SelectMany(c => c.Operations)]);
    }

    private List<(PriceCell Cell, IReadOnlyList<(string, Node)> Operations)>? ReadMatrix(
        Node? node, MapReader price, MeterShape? shape)
    {
        const string example = "[{ where: { region: eu }, unit_amount: \"0.03\" }]";
        if (node is null) return [];
        if (_findings.Items(node, example) is not { } items) return null;
        if (items.Count is 0 or > ScopeReader.MostCells)
        {
            _findings.Add(Code.BadValue, node, $"A matrix has 1 to {ScopeReader.MostCells} cells, as '{example}'.");
            return null;
        }

        var cells = new List<(PriceCell, IReadOnlyList<(string, Node)>)>();
        foreach (var item in items)
        {
            if (MapReader.Open(item, _findings, example) is not { } fields) continue;
            var found = _scopes.Read(fields.Take("where"), fields.Take("when"), shape);
            var amounts = _models.ReadAmounts(fields, price);
            fields.Close();
            if (found is not var (scope, operations) || amounts is null) continue;
            if (scope.IsAll)
                _findings.Add(Code.BadValue, item, "A cell of a matrix is for some of the usage: give it a 'where' or a 'when'. " +
                    "What no cell holds costs the price's own amounts.");
            else
                cells.Add((new PriceCell(scope, amounts), operations));
        }

        return cells.Count == items.Count ? cells : null;
    }

    /// <summary>Whether the meter's usage is kept in the way that the price looks at it.</summary>
    private bool Fits(PriceDraft draft)
    {
        var (price, node) = (draft.Component, draft.Node);
        var (shape, before) = (_findings.Shapes?.GetValueOrDefault(price.Meter!), _findings.Count);
        var isWhole = shape is { IsAdditive: false } || _findings.WholeMeters.Contains(price.Meter!);
        if (isWhole && (price.Operations is not null || !price.Scope.IsAll || price.IsSplit))
            _findings.Add(Code.BadValue, node, $"The meter {Quote.Of(price.Meter!)} comes to one number over all operations, " +
                "dimensions and times. Leave 'where', 'when', 'by' and 'matrix' out, or put them into the meter.");
        if (price.LooksAtEvents && (shape is { KeepsValues: false } || price.Meter == Calls))
            _findings.Add(Code.BadValue, node, "'fixed', 'free_events', 'minimum_per_event' and 'maximum_per_event' look at single " +
                $"events, and the meter {Quote.Of(price.Meter!)} keeps sums. Give the meter 'keep_values: true', or leave them out.");
        return _findings.Count == before;
    }
}
