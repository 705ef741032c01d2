using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>Reads what operations set aside for calls whose cost only the answer tells. It names meters, which stand
/// further down in the file, so it is read when all of them are known.</summary>
internal sealed class ReserveReader(Findings findings)
{
    private const string Example = "{ tokens: 4_000 }";

    private readonly List<Pending> _pending = [];

    /// <param name="operation">Its name.</param>
    /// <param name="node">What it says.</param>
    /// <param name="units">Of its API; gets what is read.</param>
    /// <param name="match">Method and path.</param>
    public void Add(string operation, Node node, OrderedDictionary<string, OperationUnits> units, Node? match) =>
        _pending.Add(new Pending(operation, node, units, (match as ScalarNode)?.Text.Split(' ') is [var method, _] ? method : null));

    public void Read(IReadOnlyList<FileMeter> meters)
    {
        foreach (var pending in _pending)
        {
            FileMeter[] counting = [.. meters.Where(m => Counts(m, pending))];
            var reserve = new SortedDictionary<string, decimal>(StringComparer.Ordinal);
            if (pending.Node is MapNode map) ReadMap(map, counting, meters, reserve);
            else ReadOne(pending.Node, counting, reserve);
            if (reserve.Count > 0)
                pending.Units[pending.Operation] = pending.Units[pending.Operation] with { Reserve = reserve };
        }
    }

    private void ReadOne(Node node, FileMeter[] counting, SortedDictionary<string, decimal> reserve)
    {
        if (findings.Text(node, "4_000") is null) return;
        FileMeter[] later = [.. counting.Where(m => m.Document.Value is not null)];
        if (later is [var one])
        {
            if (ReadUnits(node, one) is { } units) reserve[one.Name] = units;
            return;
        }

        findings.Add(Code.BadValue, node, (later.Length == 0
            ? "No meter that adds up tells the cost of these calls only with their answer, so nothing is to be set aside: remove it."
            : $"Several meters count these calls ({Names.List([.. later.Select(m => m.Name)])}), so which one is meant is open. " +
                $"Name it, as '{Example}'."));
    }

    private void ReadMap(
        MapNode map, FileMeter[] counting, IReadOnlyList<FileMeter> all, SortedDictionary<string, decimal> reserve)
    {
        if (map.Fields.Count == 0)
            findings.Add(Code.BadValue, map, $"Nothing is set aside here: name a meter, as '{Example}', or remove it.");
        foreach (var field in map.Fields)
        {
            var meter = field.Name == Meter.CallsName
                ? new FileMeter(Meter.CallsName, new MeterDocument("count", 0, null, null))
                : Array.Find(counting, m => m.Name == field.Name);
            if (meter is not null)
            {
                if (ReadUnits(field.Value, meter) is { } units) reserve[meter.Name] = units;
                continue;
            }

            string[] known = [Meter.CallsName, .. counting.Select(m => m.Name)];
            var why = all.Any(m => m.Name == field.Name)
                ? $"The meter {Quote.Of(field.Name)} does not count these calls, or does not add up."
                : $"There is no meter {Quote.Of(field.Name)}.{findings.DidYouMean(field.Name, known)}";
            findings.Add(new(Code.UnknownMeter, $"{why} Known here are: {Names.List(known)}.", field.Value.Path, field.Place));
        }
    }

    private decimal? ReadUnits(Node node, FileMeter meter)
    {
        if (findings.Quantity(node, "4_000") is not { } units) return null;
        var most = Meter.MaxQuantity / Meter.PowerOfTen(meter.Document.Scale);
        if (units == 0 || units > most)
            findings.Add(Code.BadValue, node, $"What is set aside is above 0 and at most {most:0.#########} on this meter.");
        else if (decimal.Round(units, meter.Document.Scale) != units)
            findings.Add(Code.TooManyDigits, node, $"The meter '{meter.Name}' counts {meter.Document.Scale} digits after the " +
                "point; this has more.");
        else
            return units;
        return null;
    }

    private static bool Counts(FileMeter meter, Pending of) => meter.Document is { Aggregation: "count" or "sum" } document
        && meter.Name != Meter.CallsName && document.Event is null && document.Value != MeterDocument.FromSource
        && document.Operations?.Contains(of.Operation) != false
        && (document.Methods is null || (of.Method is not null && document.Methods.Contains(of.Method)));

    private sealed record Pending(
        string Operation, Node Node, OrderedDictionary<string, OperationUnits> Units, string? Method);
}
