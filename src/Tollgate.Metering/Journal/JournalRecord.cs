namespace Tollgate.Metering;

/// <summary>What a record says. The numbers are on disk: they never change meaning.</summary>
public enum RecordKind : byte
{
    /// <summary>A call was let in; written before it is forwarded.</summary>
    Admitted = 1,

    /// <summary>A call ended; written before its last byte leaves.</summary>
    Settled = 2,

    /// <summary>Units of one meter that a call used: any number of them between its admission and its settlement, and
    /// each is added. So a long stream settles in parts, and a call counts on several meters.</summary>
    Measured = 3,

    /// <summary>Later news about a call: units of one meter to add, mostly negative.</summary>
    Corrected = 4,

    /// <summary>Units of one meter out of an event from outside. The records of one event follow each other without a
    /// gap, and count together or not at all.</summary>
    Event = 5,

    /// <summary>What a counter of Prometheus grew by since its last sample. Laid out as an event; in place of the
    /// identity stand the series and its new value (<see cref="CounterSample"/>).</summary>
    Counted = 6,
}

/// <summary>A call let in; what its limits are rebuilt from.</summary>
public readonly record struct Admission
{
    /// <summary>The time of the call, everywhere: business time, microseconds since 1970 UTC.</summary>
    public required long AdmittedAt { get; init; }

    public required int Entitlement { get; init; }

    /// <summary>Index of the billing period in the entitlement's calendar, within ±8 million.</summary>
    public required int Period { get; init; }

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

/// <summary>Units of a meter that a call used, or that its bill was wrong by. Repeats its admission too.</summary>
public readonly record struct Measure
{
    /// <summary>The sequence that <see cref="UsageJournal.AppendAdmitted"/> returned for this call.</summary>
    public required ulong AdmissionSequence { get; init; }

    /// <summary>Its credential is not written.</summary>
    public required Admission Admission { get; init; }

    /// <summary>The key of the meter; 1 is <c>calls</c>.</summary>
    public required int Meter { get; init; }

    /// <summary>Units × 10^scale of the meter; of a unique count the hash of the value.</summary>
    public required long Quantity { get; init; }

    /// <summary>The key of a set of dimensions; 0 for none.</summary>
    public int Dimensions { get; init; }
}

/// <summary>
/// Units of one meter out of an event from outside. Whose they are is found when they are drained: a subject may
/// become known later than its events.
/// </summary>
public readonly record struct UsageEvent
{
    /// <summary>How many records one event may have: one for each meter that it feeds.</summary>
    public const int MostParts = 128;

    /// <summary>The largest key of a meter that a record can carry.</summary>
    public const int MaxMeter = ushort.MaxValue;

    /// <summary>What the event is told apart by: a hash of its source and id. The same for all of its records.
    /// </summary>
    public required UInt128 Identity { get; init; }

    /// <summary>When the usage was, microseconds since 1970 UTC.</summary>
    public required long OccurredAt { get; init; }

    /// <summary>The key of what the event calls its customer.</summary>
    public required int Subject { get; init; }

    /// <summary>1 to <see cref="MaxMeter"/>.</summary>
    public required int Meter { get; init; }

    /// <summary>Units × 10^scale of the meter; of a unique count the hash of the value.</summary>
    public required long Quantity { get; init; }

    public int Operation { get; init; }

    /// <summary>The HTTP method, as the catalog of operations numbers it.</summary>
    public byte Method { get; init; }

    /// <summary>The key of a set of dimensions; 0 for none.</summary>
    public int Dimensions { get; init; }

    /// <summary>The first record of its event.</summary>
    public required bool IsFirst { get; init; }

    /// <summary>How many records of the same event follow; 0 to 127.</summary>
    public required int Left { get; init; }

    /// <summary>The growth of a counter: its identity is a <see cref="CounterSample"/>.</summary>
    public bool IsCounter { get; init; }
}

/// <summary>
/// One committed record as the reader sees it: an admission, a settlement or a measure with its admission's fields,
/// or a part of an event. Fields that its kind does not have are 0.
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

    /// <summary>The key of the meter of a measure, a correction or an event; a settlement is of calls.</summary>
    public int Meter { get; init; }

    public int Dimensions { get; init; }

    /// <summary>Events only, as are the fields below. Operation, method and time stand in <see cref="Admission"/>.
    /// </summary>
    public UInt128 Identity { get; init; }

    public int Subject { get; init; }

    public bool IsFirst { get; init; }

    public int Left { get; init; }
}
