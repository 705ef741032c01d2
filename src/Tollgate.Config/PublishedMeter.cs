using System.Text.Json;
using System.Text.Json.Serialization;
using Tollgate.Catalog;

namespace Tollgate.Config;

/// <summary>Where the units of a meter come from when a call is forwarded.</summary>
public enum UnitSource : byte
{
    /// <summary>The call itself is one; its weight on the meter <c>calls</c>.</summary>
    Call,

    /// <summary>Only what the upstream says in its header of units, which may name any meter.</summary>
    Header,

    /// <summary>A value in the JSON of the answer's body.</summary>
    ResponseBody,

    ResponseBytes,

    RequestBytes,

    /// <summary>No call: events from outside alone.</summary>
    Event,
}

/// <summary>A meter as it is published: what is counted, and where from.</summary>
public sealed record PublishedMeter
{
    /// <summary>With key 0 until the store has given it one.</summary>
    public required Meter Meter { get; init; }

    public required ManagedBy ManagedBy { get; init; }

    public required UnitSource Source { get; init; }

    /// <summary>The type of the events that feed it too; null for none.</summary>
    public string? EventType { get; init; }

    /// <summary>Where the value stands in the answer's body or in the event's data; none for counts and bytes.</summary>
    public JsonPath? Value { get; init; }

    /// <summary>Names of operations whose calls count; null for all.</summary>
    public IReadOnlySet<string>? Operations { get; init; }

    /// <summary>HTTP methods whose calls count; null for all.</summary>
    public IReadOnlySet<string>? Methods { get; init; }

    /// <summary>What events are told apart by: name → where it stands in their data. In ordinal order of the names.
    /// </summary>
    public IReadOnlyList<(string Name, JsonPath Path)> Dimensions { get; init; } = [];

    /// <summary>Events count only when each of these places holds one of its texts.</summary>
    public IReadOnlyList<(JsonPath Path, IReadOnlySet<string> Values)> Where { get; init; } = [];

    public string Name => Meter.Name;

    /// <summary>The meter that is there without being declared.</summary>
    public static PublishedMeter Calls { get; } = new()
    {
        Meter = Meter.Calls,
        ManagedBy = ManagedBy.Api,
        Source = UnitSource.Call,
    };

    /// <summary>Whether calls of this operation and method count.</summary>
    public bool Covers(string operation, string method) =>
        Operations?.Contains(operation) != false && Methods?.Contains(method) != false;

    internal static PublishedMeter Read(ConfigRow row)
    {
        var document = JsonSerializer.Deserialize<MeterDocument>(row.Document, PlanDocument.Json)!;
        var isEvent = document.Event is not null && row.Name != Meter.CallsName;
        return new PublishedMeter
        {
            Meter = new Meter(0, row.Name, Meter.FindAggregation(document.Aggregation)!.Value, document.Scale)
            {
                KeepsValues = document.KeepValues,
            },
            ManagedBy = row.Manager,
            Source = isEvent ? UnitSource.Event : MeterDocument.SourceOf(document.Value),
            EventType = document.Event,
            Value = document.PathText is { } path ? JsonPath.Parse(path).Path : null,
            Operations = document.Operations?.ToHashSet(StringComparer.Ordinal),
            Methods = document.Methods?.ToHashSet(StringComparer.Ordinal),
            Dimensions =
            [
                .. (document.Dimensions ?? new Dictionary<string, string>()).OrderBy(d => d.Key, StringComparer.Ordinal)
                    .Select(d => (d.Key, JsonPath.Parse(d.Value).Path!)),
            ],
            Where =
            [
                .. (document.Where ?? new Dictionary<string, IReadOnlyList<string>>()).Select(w =>
                    (JsonPath.Parse(w.Key).Path!, (IReadOnlySet<string>)w.Value.ToHashSet(StringComparer.Ordinal))),
            ],
        };
    }
}

/// <summary>A meter as the store keeps it, and as the file says it.</summary>
/// <param name="Value">As <c>response.body $.usage.total_tokens</c>, or a path into an event's data.</param>
public sealed record MeterDocument(string Aggregation, int Scale, string? Value, string? Event)
{
    public const string Body = "response.body", Header = "response.header", ResponseBytes = "response.bytes",
        RequestBytes = "request.bytes";

    /// <summary>No call feeds it: counters of a source do.</summary>
    public const string FromSource = "source";

    public IReadOnlyList<string>? Operations { get; init; }

    public IReadOnlyList<string>? Methods { get; init; }

    public IReadOnlyDictionary<string, string>? Dimensions { get; init; }

    public IReadOnlyDictionary<string, IReadOnlyList<string>>? Where { get; init; }

    /// <summary>Whether each measurement is kept, for prices that look at single ones.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool KeepValues { get; init; }

    /// <summary>The path in the value, wherever it leads into.</summary>
    [JsonIgnore]
    public string? PathText => Value is { } v && v.IndexOf('$', StringComparison.Ordinal) is >= 0 and var at ? v[at..] : null;

    public string Write() => JsonSerializer.Serialize(this, PlanDocument.Json);

    /// <summary>Where a call's units come from by the value that the file says; null is the call itself.</summary>
    public static UnitSource SourceOf(string? value) => value switch
    {
        null => UnitSource.Call,
        Header => UnitSource.Header,
        FromSource => UnitSource.Event,
        ResponseBytes => UnitSource.ResponseBytes,
        RequestBytes => UnitSource.RequestBytes,
        _ when value.StartsWith(Body, StringComparison.Ordinal) => UnitSource.ResponseBody,
        _ => UnitSource.Event,
    };
}
