using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A meter of the file.</summary>
public sealed record FileMeter(string Name, MeterDocument Document);

/// <summary>What terms of plans must know of a meter.</summary>
/// <param name="FromEvents">No call counts on it.</param>
internal sealed record MeterShape(bool IsAdditive, int Scale, bool FromEvents)
{
    /// <summary>What its usage is told apart by, beside the operation.</summary>
    public IReadOnlyList<string> Dimensions { get; init; } = [];

    public bool KeepsValues { get; init; }

    public static MeterShape Of(PublishedMeter meter) =>
        new(meter.Meter.IsAdditive, meter.Meter.Scale, meter.Source == UnitSource.Event)
        {
            Dimensions = [.. meter.Dimensions.Select(d => d.Name)],
            KeepsValues = meter.Meter.KeepsValues,
        };
}

/// <summary>Reads the meters of a file. <c>calls</c> always exists; naming it is allowed.</summary>
internal sealed class MeterReader(Findings findings, IReadOnlyCollection<string> operations)
{
    private const int MostMeters = 1_000, MostNames = 10_000, MostDimensions = 16, LongestText = 255;

    private const string Example = "{ aggregation: sum, value: response.body $.usage.total_tokens }";

    private const string Values = $"'{MeterDocument.Body} {JsonPath.Example}', '{MeterDocument.Header}', " +
        $"'{MeterDocument.ResponseBytes}', '{MeterDocument.RequestBytes}' or '{MeterDocument.FromSource}'";

    private readonly List<FileMeter> _meters = [];
    private readonly Dictionary<string, int> _ofType = new(StringComparer.Ordinal);
    private readonly HashSet<string> _names = new(StringComparer.Ordinal) { Meter.CallsName };

    public IReadOnlyList<FileMeter> Meters => _meters;

    /// <summary>Also those with something wrong: a price that names one is right.</summary>
    public IReadOnlyCollection<string> Names => _names;

    public IReadOnlyDictionary<string, MeterShape> Shapes => _meters.Select(m => (m.Name, Shape: ShapeOf(m)))
        .Append((Name: Meter.CallsName, Shape: MeterShape.Of(PublishedMeter.Calls)))
        .DistinctBy(m => m.Name, StringComparer.Ordinal).ToDictionary(m => m.Name, m => m.Shape, StringComparer.Ordinal);

    /// <summary>Meters whose measurements do not add up.</summary>
    public IReadOnlySet<string> Whole => _meters
        .Where(m => m.Document.Aggregation is not ("count" or "sum")).Select(m => m.Name).ToHashSet(StringComparer.Ordinal);

    private static MeterShape ShapeOf(FileMeter meter) => new(
        meter.Document.Aggregation is "count" or "sum", meter.Document.Scale,
        meter.Document.Event is not null && meter.Name != Meter.CallsName)
    {
        Dimensions = [.. (meter.Document.Dimensions ?? new Dictionary<string, string>()).Keys],
        KeepsValues = meter.Document.KeepValues,
    };

    public void Read(Node? node)
    {
        if (node is null || MapReader.Open(node, findings, "calls: { aggregation: count }") is null) return;
        var fields = ((MapNode)node).Fields;
        if (fields.Count > MostMeters)
            findings.Add(Code.TooMany, node, $"These are {fields.Count} meters; at most {MostMeters} are read.");
        foreach (var field in fields.Take(MostMeters)) Read(field);
    }

    private void Read(Field field)
    {
        var named = File.Names.Check(field, "a meter", findings);
        if (named) _names.Add(field.Name);
        var isCalls = field.Name == Meter.CallsName;
        if (MapReader.Open(field.Value, findings, isCalls ? "{ aggregation: count }" : Example) is not { } fields) return;
        var aggregationNode = fields.Need("aggregation", isCalls ? "count" : "sum");
        var aggregation = isCalls
            ? findings.Choice(aggregationNode, "count")
            : findings.Choice(aggregationNode, [.. Meter.AggregationNames]);
        var eventType = ReadEvent(fields.Take("event"));
        var document = isCalls ? new MeterDocument("count", 0, null, eventType) : ReadRest(fields, aggregation, eventType);
        fields.Close();
        if (named && aggregation is not null && document is not null) _meters.Add(new FileMeter(field.Name, document));
    }

    private MeterDocument? ReadRest(MapReader fields, string? aggregation, string? eventType)
    {
        var isEvent = fields.Take("event") is not null;
        var counts = aggregation is null or "count" or "unique_count";
        var scale = ReadScale(fields.Take("scale"), counts);
        var valueNode = fields.Take("value");
        var value = valueNode is null ? null : isEvent ? ReadPath(valueNode) : ReadValue(valueNode, aggregation);
        if (valueNode is null && aggregation is not (null or "count"))
        {
            var right = isEvent ? "$.value" : $"{MeterDocument.Body} {JsonPath.Example}";
            findings.Add(new(Code.MissingField, $"'value' is missing: '{aggregation}' needs a number to be measured. Add " +
                $"it, as 'value: {right}'.", fields.Node.PathOf("value"), fields.Node.Place));
        }

        if (valueNode is not null && aggregation == "count")
            findings.Add(Code.BadValue, valueNode, "A count counts each one, whatever its value: leave 'value' out, or " +
                "use the aggregation 'sum'.");
        var dimensions = ReadDimensions(fields.Take("dimensions"), isEvent);
        var document = new MeterDocument(aggregation ?? "sum", scale, value, eventType)
        {
            Dimensions = dimensions,
            KeepValues = ReadKeepValues(fields.Take("keep_values"), aggregation, value),
        };
        var where = fields.Take("where");
        return where is null ? document : isEvent ? ReadEventWhere(document, where) : ReadCallWhere(document, where);
    }

    private int ReadScale(Node? node, bool counts)
    {
        if (findings.Text(node, "3") is not { } text) return 0;
        if (text.Length == 1 && text[0] is >= '0' and <= '9' && (!counts || text == "0")) return text[0] - '0';
        findings.Add(Code.BadValue, node!, counts
            ? $"{Quote.Of(text)}: a count is whole, its scale is 0. Leave 'scale' out."
            : $"{Quote.Of(text)} is not a scale: the digits after the point that are kept, 0 to {Meter.MaxScale}.");
        return 0;
    }

    private bool ReadKeepValues(Node? node, string? aggregation, string? value)
    {
        if (findings.Flag(node) is not true) return false;
        if (aggregation is not (null or "sum") || value == MeterDocument.FromSource)
            findings.Add(Code.BadValue, node!, "Values are kept of a meter that sums up measurements of calls or events: " +
                "leave 'keep_values' out here.");
        return true;
    }

    private string? ReadEvent(Node? node)
    {
        if (findings.Text(node, "storage.snapshot") is not { } text) return null;
        if (text.Length is 0 or > LongestText || text.Any(char.IsControl))
            findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not the type of an event: it has 1 to {LongestText} " +
                "characters, none of them a control character.");
        else if ((_ofType[text] = _ofType.GetValueOrDefault(text) + 1) > 128)
            findings.Add(Code.TooMany, node!, $"More than 128 meters are fed by the event {Quote.Of(text)}.");
        return text;
    }

    private string? ReadValue(Node node, string? aggregation)
    {
        if (findings.Text(node, $"{MeterDocument.Body} {JsonPath.Example}") is not { } text) return null;
        var isBody = text.StartsWith(MeterDocument.Body, StringComparison.Ordinal);
        if (!isBody && text is not (MeterDocument.FromSource or MeterDocument.Header
            or MeterDocument.ResponseBytes or MeterDocument.RequestBytes))
        {
            findings.Add(Code.BadValue, node, $"{Quote.Of(text)} is not where units come from: {Values}" +
                (text.StartsWith('$') ? ". A path into an event needs 'event' beside it." : "."));
            return null;
        }

        if (aggregation == "unique_count" && !isBody)
            findings.Add(Code.BadValue, node, $"A unique count needs values to tell apart, as '{MeterDocument.Body} $.user'.");
        if (!isBody) return text;
        var rest = text[MeterDocument.Body.Length..];
        var path = rest.TrimStart(' ');
        var wrong = rest.Length == path.Length ? "a blank and a path follow" : JsonPath.Parse(path).Wrong;
        if (wrong is null) return $"{MeterDocument.Body} {path}";
        findings.Add(Code.BadValue, node, $"{Quote.Of(text)} names no value: {wrong}, as '{MeterDocument.Body} " +
            $"{JsonPath.Example}'.");
        return null;
    }

    private string? ReadPath(Node node)
    {
        if (findings.Text(node, "$.value") is not { } text) return null;
        if (JsonPath.Parse(text).Wrong is not { } wrong) return text;
        findings.Add(Code.BadValue, node, $"{Quote.Of(text)} names no value of an event: {wrong}, as '$.value'.");
        return null;
    }

    private OrderedDictionary<string, string>? ReadDimensions(Node? node, bool isEvent)
    {
        if (node is null || MapReader.Open(node, findings, "{ region: $.region }") is null) return null;
        var fields = ((MapNode)node).Fields;
        if (!isEvent)
            findings.Add(Code.BadValue, node, "Dimensions are read from events: without 'event' leave them out. Calls are " +
                "told apart by consumer, operation and method.");
        if (fields.Count > MostDimensions)
            findings.Add(Code.TooMany, node, $"These are {fields.Count} dimensions; at most {MostDimensions} are read.");
        var dimensions = new OrderedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var field in fields.Take(MostDimensions).OrderBy(f => f.Name, StringComparer.Ordinal))
            if (File.Names.Check(field, "a dimension", findings) && ReadPath(field.Value) is { } path)
                dimensions.Add(field.Name, path);
        return dimensions.Count == 0 ? null : dimensions;
    }

    private MeterDocument ReadEventWhere(MeterDocument document, Node node)
    {
        if (MapReader.Open(node, findings, "{ $.region: [eu, us] }") is null) return document;
        var where = new OrderedDictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal);
        foreach (var field in ((MapNode)node).Fields.Take(MostDimensions))
        {
            if (JsonPath.Parse(field.Name).Wrong is { } wrong)
                findings.Add(new(Code.BadName, $"{Quote.Of(field.Name)} names no value of an event: {wrong}.",
                    field.Value.Path, field.Place));
            else if (ReadTexts(field.Value, "eu") is { } texts)
                where.Add(field.Name, texts);
        }

        if (((MapNode)node).Fields.Count > MostDimensions)
            findings.Add(Code.TooMany, node, $"At most {MostDimensions} conditions are read.");
        return document with { Where = where };
    }

    private MeterDocument ReadCallWhere(MeterDocument document, Node node)
    {
        if (MapReader.Open(node, findings, "{ operation: [chat] }") is not { } fields) return document;
        var operationNode = fields.Take("operation");
        var named = operationNode is null ? null : ReadTexts(operationNode, "chat");
        foreach (var name in named?.Where(n => !operations.Contains(n)) ?? [])
            findings.Add(Code.UnknownOperation, operationNode!, $"There is no operation {Quote.Of(name)}." +
                $"{findings.DidYouMean(name, operations)} Known are: {File.Names.List(operations)}.");
        var methodNode = fields.Take("method");
        var methods = methodNode is null ? null : ReadTexts(methodNode, "POST");
        foreach (var method in methods?.Where(m => !m.All(char.IsAsciiLetterUpper)) ?? [])
            findings.Add(Code.BadValue, methodNode!, $"{Quote.Of(method)} is not an HTTP method: capital letters, as POST.");
        fields.Close();
        return document with { Operations = named, Methods = methods };
    }

    /// <summary>One text or a list of them.</summary>
    private List<string>? ReadTexts(Node node, string example)
    {
        var items = node is ListNode list ? list.Items : [node];
        if (items.Count is 0 or > MostNames)
        {
            findings.Add(Code.BadValue, node, items.Count == 0
                ? "An empty list lets nothing count: name something, or leave it out."
                : $"At most {MostNames} are read.");
            return null;
        }

        return items.Select(i => findings.Text(i, example)).OfType<string>().Distinct(StringComparer.Ordinal).ToList();
    }
}
