using System.Text.Json.Serialization;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Web.V1;

/// <summary>A row of the rollups behind a line: a quarter of an hour of one consumer, operation and set of dimensions.
/// </summary>
internal sealed record RollupView
{
    /// <summary>RFC 3339; half-open.</summary>
    public required string Start { get; init; }

    public required string End { get; init; }

    public required string? Consumer { get; init; }

    public required string Api { get; init; }

    public required string Operation { get; init; }

    public required string Endpoint { get; init; }

    /// <summary>Null for usage of no call.</summary>
    public required string? Method { get; init; }

    public required IReadOnlyDictionary<string, string> Dimensions { get; init; }

    /// <summary>The sum, the largest, the smallest, the latest or the average, as the meter says; null of a unique count,
    /// whose values add up over no rows.</summary>
    public required string? Quantity { get; init; }

    public required long Measurements { get; init; }

    [JsonIgnore]
    public string DimensionsText => string.Join("; ", Dimensions.Select(d => $"{d.Key}={d.Value}"));

    public static RollupView Of(
        RollupRow row, Meter meter, IReadOnlyDictionary<int, IReadOnlyDictionary<string, string>> sets) => new()
        {
            Start = Micros.ToText(row.Bucket),
            End = Micros.ToText(row.Bucket + UsageStore.Bucket),
            Consumer = row.Consumer,
            Api = row.Api,
            Operation = row.Operation,
            Endpoint = row.Endpoint,
            Method = row.Method == 0 && row.OperationKey == 0 ? null : MethodCode.NameOf((byte)row.Method),
            Dimensions = sets.GetValueOrDefault((int)row.Dimensions) ?? DimensionSets.None,
            Quantity = meter.Aggregation == Aggregation.UniqueCount ? null : DecimalText.Of(meter.ValueOf(row.Tally)),
            Measurements = row.Items,
        };
}
