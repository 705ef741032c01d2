namespace Tollgate.Gateway;

/// <summary>What a call used of a meter, × 10^scale.</summary>
/// <param name="Freed">How much less of it is reserved now.</param>
/// <param name="Units">Billed, and not counted before.</param>
public readonly record struct Spent(long Freed, long Units)
{
    /// <summary>Of its record in the journal; 0 when there is none.</summary>
    public ulong Sequence { get; init; }
}
