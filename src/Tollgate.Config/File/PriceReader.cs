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
    private readonly WhereReader _where;

    internal PriceReader(Findings findings) => (_findings, _models, _where) =
        (findings, new PriceModelReader(findings), new WhereReader(findings, "A price", "bills"));

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

    /// <summary>Reads one price document that stands for itself, as in a preview: it needs no meter, and a flat fee no
    /// period.</summary>
    public static Result<Price> ReadOne(Node node)
    {
        var findings = new Findings();
        var reader = new PriceReader(findings);
        Price? price = null;
        if (MapReader.Open(node, findings, Example) is { } fields)
        {
            price = reader._models.Read(fields, standsAlone: true);
            findings.Meter(fields.Take("meter"));
            reader._where.Read(fields.Take("where"), out _);
            if (reader._models.IsKnown(fields)) fields.Close();
        }

        return findings.Any ? Result<Price>.Refused(findings.InOrder()) : price!;
    }

    /// <summary>Its other fields depend on the model, so without one they are not judged.</summary>
    private PriceDraft? Read(Field field)
    {
        var named = Names.Check(field, "a price", _findings);
        if (MapReader.Open(field.Value, _findings, Example) is not { } fields) return null;
        var price = _models.Read(fields, standsAlone: false);
        if (!_models.IsKnown(fields)) return null;
        var draft = PriceModelReader.IsFlat(fields)
            ? price is null ? null : new PriceDraft(new PriceComponent(field.Name, null, null, price), fields.Node, [])
            : ReadMetered(field.Name, fields, price);
        fields.Close();
        return named ? draft : null;
    }

    private PriceDraft? ReadMetered(string name, MapReader fields, Price? price)
    {
        var meter = _findings.Meter(fields.Need("meter", Calls));
        var operations = _where.Read(fields.Take("where"), out var whereIsRight);
        if (meter is not null && operations is not null && _findings.WholeMeters.Contains(meter))
        {
            _findings.Add(Code.BadValue, fields.Node, $"The meter {Quote.Of(meter)} comes to one number over all " +
                "operations. Leave 'where' out, or put it into the meter.");
        }

        if (price is null || meter is null || !whereIsRight) return null;
        if (price is Price.Percentage { LooksAtEvents: true })
        {
            _findings.Add(Code.BadValue, fields.Node, "The usage of a meter is kept as sums, and 'fixed', " +
                "'free_events', 'minimum_per_event' and 'maximum_per_event' look at single events. Leave them out.");
            return null;
        }

        // in one order, so that equal prices are equal text
        var names = operations?.Select(o => o.Operation).Order(StringComparer.Ordinal).ToArray();
        return new PriceDraft(new PriceComponent(name, meter, names, price), fields.Node, operations ?? []);
    }
}
