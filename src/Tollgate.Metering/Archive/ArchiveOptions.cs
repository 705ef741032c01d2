namespace Tollgate.Metering;

/// <summary>How long calls are kept. Sums, invoices and the audit trail are kept longer; they are not the archive's.
/// </summary>
public sealed record ArchiveOptions
{
    /// <summary>Calls whose month ended so many months ago are deleted: 13 is a year and the month it is asked in. 1 to
    /// 1,200.</summary>
    public int KeepMonths { get; init; } = 13;

    /// <summary>The oldest files go when all of them together are larger; null: the disk is the bound. At least 1 MiB.
    /// </summary>
    public long? KeepBytes { get; init; }

    internal void Validate()
    {
        if (KeepMonths is < 1 or > 1_200)
            throw new ArgumentException($"KeepMonths is {KeepMonths}; it must be from 1 to 1200.", nameof(KeepMonths));
        if (KeepBytes is < 1 << 20)
            throw new ArgumentException($"KeepBytes is {KeepBytes}; it must be at least 1048576.", nameof(KeepBytes));
    }
}
