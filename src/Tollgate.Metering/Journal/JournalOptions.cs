namespace Tollgate.Metering;

/// <summary>When a call is safe from a power cut. From the death of the process it always is.</summary>
public enum Durability
{
    /// <summary>Within <see cref="JournalOptions.FlushInterval"/>.</summary>
    Interval,

    /// <summary>Before its answer begins: the answer waits for the disk, together with all others that wait.</summary>
    Strict,
}

/// <summary>How the usage journal uses its disk. A bad value stops the program at start and names itself.</summary>
public sealed record JournalOptions
{
    /// <summary>
    /// Bytes of one segment file; 8 KiB to 1 GiB, a multiple of 4 KiB. 64 bytes hold one record, a call takes two.
    /// </summary>
    public long SegmentBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Bytes that all segment files may have together, at least three segments; null: what the disk holds. Beyond,
    /// calls cannot be written down until older segments are drained, archived and gone.</summary>
    public long? MostBytes { get; init; }

    /// <summary>How many calls may be between reservation and settlement; 1 to 4,194,304.</summary>
    public int MaxInFlight { get; init; } = 16_384;

    /// <summary>How many full segments stay on disk after everything in them was drained; 0 to 1,000,000.</summary>
    public int KeepSealedSegments { get; init; } = 1;

    /// <summary>
    /// How often the owner calls <see cref="UsageJournal.Flush"/>: what a power cut may lose (a dead process loses
    /// nothing). More than zero, at most one minute.
    /// </summary>
    public TimeSpan FlushInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>What an answer waits for.</summary>
    public Durability Durability { get; init; } = Durability.Interval;

    /// <summary>With segments that are as large as they usually are, or smaller where few of them would have room.</summary>
    /// <param name="most">Bytes, at least 64 KiB; null: what the disk holds.</param>
    public JournalOptions Within(long? most) => most is not { } bytes ? this : this with
    {
        MostBytes = bytes,
        SegmentBytes = Math.Clamp(bytes / 8 / 4096 * 4096, 8 * 1024, SegmentBytes),
    };

    internal void Validate()
    {
        if (SegmentBytes is < 8 * 1024 or > 1L << 30 || SegmentBytes % 4096 != 0)
            throw Bad(nameof(SegmentBytes), SegmentBytes, "a multiple of 4096 from 8192 to 1073741824");
        if (MostBytes is { } most && most < 3 * SegmentBytes)
            throw Bad(nameof(MostBytes), most, "at least three segments");
        if (MaxInFlight is < 1 or > 1 << 22)
            throw Bad(nameof(MaxInFlight), MaxInFlight, "from 1 to 4194304");
        if (KeepSealedSegments is < 0 or > 1_000_000)
            throw Bad(nameof(KeepSealedSegments), KeepSealedSegments, "from 0 to 1000000");
        if (FlushInterval <= TimeSpan.Zero || FlushInterval > TimeSpan.FromMinutes(1))
            throw Bad(nameof(FlushInterval), FlushInterval, "more than 0 and at most one minute");
    }

    private static ArgumentException Bad(string setting, object value, string range) =>
        new($"{nameof(JournalOptions)}.{setting} is {value}; it must be {range}.");
}

/// <summary>What opening a journal found on disk. Whatever could be kept is kept and readable.</summary>
/// <param name="Segments">Segment files that were there.</param>
/// <param name="Records">Committed records in them.</param>
/// <param name="Holes">Slots that were reserved and never committed: calls cut off by a crash. Legal.</param>
/// <param name="Corrupt">Damaged slots, damaged headers and short files. Never legal; each is a finding.</param>
/// <param name="Findings">What is damaged, with file and slot; at most 64 lines, the last one says how many
/// more.</param>
public sealed record JournalRecovery(
    int Segments, long Records, long Holes, long Corrupt, IReadOnlyList<string> Findings);
