namespace Tollgate.Metering;

/// <summary>What a record says. The numbers are on disk: they never change meaning.</summary>
public enum RecordKind : byte
{
    /// <summary>A call was let in; written before it is forwarded.</summary>
    Admitted = 1,

    /// <summary>A call ended; written before its last byte leaves.</summary>
    Settled = 2,
}

/// <summary>A call let in; what its limits are rebuilt from.</summary>
public readonly record struct Admission
{
    /// <summary>The time of the call, everywhere: business time, microseconds since 1970 UTC.</summary>
    public required long AdmittedAt { get; init; }

    public required int Entitlement { get; init; }

    public required int Consumer { get; init; }

    public required int Operation { get; init; }

    public required int Credential { get; init; }

    /// <summary>The HTTP method, as the catalog of operations numbers it.</summary>
    public required byte Method { get; init; }
}

/// <summary>
/// How a call ended. Repeats its admission, so that the drain needs no join. A settlement is always of its admission's
/// boot, because a call does not outlive the process that let it in.
/// </summary>
public readonly record struct Settlement
{
    /// <summary>The sequence that <see cref="UsageJournal.AppendAdmitted"/> returned for this call.</summary>
    public required ulong AdmissionSequence { get; init; }

    public required Admission Admission { get; init; }

    /// <summary>The HTTP status that the client got; 0 when it got none.</summary>
    public required ushort Status { get; init; }

    /// <summary>Whether the plan bills this outcome.</summary>
    public required bool Billable { get; init; }

    /// <summary>Units of the operation's meter, scaled by 10^scale; 1 for a call.</summary>
    public required long Quantity { get; init; }

    /// <summary>
    /// From admission to settlement, microseconds of machine time; the largest value means "that or longer".
    /// </summary>
    public required uint LatencyMicros { get; init; }
}

/// <summary>
/// One committed record as the reader sees it: an admission, or a settlement with its admission's fields.
/// </summary>
public readonly record struct JournalRecord
{
    public RecordKind Kind { get; init; }

    public uint Boot { get; init; }

    public ulong Sequence { get; init; }

    public Admission Admission { get; init; }

    /// <summary>The call's admission, in the same boot; equal to <see cref="Sequence"/> for an admission.</summary>
    public ulong AdmissionSequence { get; init; }

    /// <summary>0 for an admission, as are the fields below.</summary>
    public ushort Status { get; init; }

    public bool Billable { get; init; }

    public long Quantity { get; init; }

    public uint LatencyMicros { get; init; }
}
