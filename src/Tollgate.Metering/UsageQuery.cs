using System.Text.Json.Serialization;

namespace Tollgate.Metering;

/// <summary>What was used of an operation under one stretch of terms within one billing period.</summary>
/// <param name="Api">Empty, as are operation and endpoint, for usage of no operation, and for meters whose measurements
/// do not add up: these come to one number over all of it.</param>
/// <param name="Endpoint">The path template, as invoices show it.</param>
/// <param name="Admitted">Calls that were let in; limits count these.</param>
/// <param name="Quantity">Billable units of the meter; invoices count these.</param>
/// <param name="Unknown">Admitted, but the process died before the answer: never billed.</param>
public sealed record OperationUsage(
    string Api, string Operation, string Endpoint, long Admitted, decimal Quantity, long Unknown)
{
    /// <summary>Name of the meter.</summary>
    public string Meter { get; init; } = UsageStore.Calls;

    /// <summary>Whether quantities of several of these add up; else each is one number over all of its usage.</summary>
    public bool Adds { get; init; } = true;

    /// <summary>What events told it apart by; empty for none.</summary>
    public IReadOnlyDictionary<string, string> Dimensions { get; init; } = DimensionSets.None;

    /// <summary>When it was used, microseconds UTC: the beginning of its quarter of an hour. 0 when it is a sum over the
    /// whole period.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long At { get; init; }

    /// <summary>How many single measurements of equal size it is; 0 when it is a sum of unknown ones.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Events { get; init; }

    /// <summary>Of what does not add up: the entitlements that it is one number over, when there are several.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? Over { get; init; }
}

/// <summary>In what detail usage is read beyond its sums.</summary>
/// <param name="ByTime">What adds up by quarters of an hour, each for itself.</param>
/// <param name="Singly">Names of meters whose measurements are told one by one, if they are kept.</param>
public sealed record UsageDetail(bool ByTime, IReadOnlySet<string> Singly);

/// <summary>A question about usage. All conditions hold at once; null asks for everything.</summary>
public sealed record UsageQuery
{
    /// <summary>Name of a meter; <c>calls</c> always exists.</summary>
    public string Meter { get; init; } = UsageStore.Calls;

    /// <summary>Who pays for the usage, by the terms that it was admitted under.</summary>
    public long? CustomerKey { get; init; }

    public long? ConsumerKey { get; init; }

    /// <summary>Name of an operation.</summary>
    public string? Operation { get; init; }

    /// <summary>Microseconds UTC, on a quarter of an hour; included.</summary>
    public long? From { get; init; }

    /// <summary>Microseconds UTC, on a quarter of an hour; excluded.</summary>
    public long? To { get; init; }

    /// <summary>Null sums all of it.</summary>
    public UsageWindow? Window { get; init; }

    /// <summary>IANA id of the zone in which windows begin.</summary>
    public string Timezone { get; init; } = "UTC";

    public UsageGroups GroupBy { get; init; }

    /// <summary>Dimensions by which the answer is split too.</summary>
    public IReadOnlyList<string> GroupByDimensions { get; init; } = [];

    /// <summary>Only usage whose dimensions have these values.</summary>
    public IReadOnlyDictionary<string, string> Where { get; init; } = DimensionSets.None;
}

/// <summary>By what the answer is split, beside windows.</summary>
[Flags]
public enum UsageGroups { None = 0, Consumer = 1, Customer = 2, Operation = 4, Method = 8 }

/// <summary>A sum of usage; a group that was not asked for is null.</summary>
/// <param name="Value">Billable units of the meter.</param>
/// <param name="Admitted">Calls that were let in.</param>
public sealed record UsageRow(decimal Value, long Admitted)
{
    /// <summary>Microseconds UTC; the first window begins at <see cref="UsageQuery.From"/> at the earliest. Null
    /// without windows, when the question has no beginning.</summary>
    public long? WindowStart { get; init; }

    /// <summary>Half-open; the last window ends at <see cref="UsageQuery.To"/> at the latest.</summary>
    public long? WindowEnd { get; init; }

    /// <summary>Username; null too for callers without a key.</summary>
    public string? Consumer { get; init; }

    /// <summary>Name; null too for usage that nobody pays for.</summary>
    public string? Customer { get; init; }

    public string? Api { get; init; }

    public string? Operation { get; init; }

    public string? Endpoint { get; init; }

    /// <summary>The number under which the journal keeps the HTTP method.</summary>
    public int? Method { get; init; }

    /// <summary>The values of <see cref="UsageQuery.GroupByDimensions"/>, in their order; null where there is none.
    /// </summary>
    public IReadOnlyList<string?> Dimensions { get; init; } = [];

    public bool Equals(UsageRow? other) => other is not null
        && (Value, Admitted, WindowStart, WindowEnd, Method) ==
            (other.Value, other.Admitted, other.WindowStart, other.WindowEnd, other.Method)
        && (Consumer, Customer, Api, Operation, Endpoint) ==
            (other.Consumer, other.Customer, other.Api, other.Operation, other.Endpoint)
        && Dimensions.SequenceEqual(other.Dimensions);

    public override int GetHashCode() => HashCode.Combine(Value, Admitted, WindowStart, Consumer, Customer, Operation, Method);
}
