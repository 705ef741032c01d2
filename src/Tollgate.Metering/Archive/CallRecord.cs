namespace Tollgate.Metering;

/// <summary>What a record is about.</summary>
public enum CallKind : byte { Call, Measure, Correction, Event, Counter }

/// <summary>A call, or what was measured on a meter, as it is on record.</summary>
public sealed record CallRecord
{
    public CallKind Kind { get; init; }

    /// <summary>What the caller got as <c>X-Request-Id</c>; of an event or counter the identity of its own record.</summary>
    public required RecordId Id { get; init; }

    /// <summary>When it was let in or measured, microseconds UTC.</summary>
    public required long At { get; init; }

    public required int Entitlement { get; init; }

    public required int Period { get; init; }

    public required int Consumer { get; init; }

    public required int Credential { get; init; }

    public required int Operation { get; init; }

    /// <summary>Null of what is no call and belongs to none.</summary>
    public required string? Method { get; init; }

    /// <summary>Null while it is under way, and for ever when its process died before the answer; and of what is no call.
    /// </summary>
    public required int? Status { get; init; }

    /// <summary>Of an event: whether it counts for somebody.</summary>
    public required bool Billable { get; init; }

    /// <summary>Units, scaled; 0 when it cost nothing. Of a unique count the hash of the value.</summary>
    public required long Quantity { get; init; }

    public required long? LatencyMicros { get; init; }

    /// <summary>Key of the meter.</summary>
    public int Meter { get; init; } = UsageStore.CallsKey;

    /// <summary>Key of a set of dimensions; 0 for none.</summary>
    public int Dimensions { get; init; }

    /// <summary>Of an event the hash of its source and id; of a counter its series and value.</summary>
    public UInt128 Identity { get; init; }

    /// <summary>Key of what an event or counter calls its customer.</summary>
    public int Subject { get; init; }

    /// <summary>Of a counter the key of its series.</summary>
    public int? Series => Kind == CallKind.Counter ? (int)(ulong)(Identity >> 64) : null;

    internal bool IsOutside => Kind >= CallKind.Event;
}

/// <summary>Which calls are wanted. All conditions hold at once; what is not said is not asked.</summary>
public sealed record CallFilter
{
    /// <summary>Stamped with one of these.</summary>
    public IReadOnlyList<(int Entitlement, int Period)>? Terms { get; init; }

    /// <summary>Stamped with one of these, whatever the period.</summary>
    public IReadOnlyList<int>? Entitlements { get; init; }

    public IReadOnlyList<int>? Operations { get; init; }

    public IReadOnlyList<int>? Consumers { get; init; }

    /// <summary>Microseconds UTC, included.</summary>
    public long? From { get; init; }

    /// <summary>Microseconds UTC, excluded.</summary>
    public long? To { get; init; }

    /// <summary>Null: calls. Else all that was measured on this meter: calls that are billed, what they used beside, what
    /// was corrected of them, events and counters.</summary>
    public int? Meter { get; init; }

    /// <summary>Only what somebody pays for.</summary>
    public bool BillableOnly { get; init; }

    /// <summary>What is told apart by more than keys; null for all.</summary>
    public Func<CallRecord, bool>? Also { get; init; }

    internal bool IsOf(CallRecord call) =>
        Terms?.Contains((call.Entitlement, call.Period)) != false && Entitlements?.Contains(call.Entitlement) != false
        && Consumers?.Contains(call.Consumer) != false && Also?.Invoke(call) != false;
}
