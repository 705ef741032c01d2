using System.Globalization;

namespace Tollgate.Metering;

/// <summary>A Parquet file of the archive: all records of one journal and boot from one sequence to another.</summary>
public sealed record ArchiveFile
{
    private const string Suffix = ".parquet";

    public required uint Journal { get; init; }

    /// <summary>It holds all records with sequences from here …</summary>
    public required ulong First { get; init; }

    /// <summary>… until before here.</summary>
    public required ulong Next { get; init; }

    public required uint Boot { get; init; }

    public required long Bytes { get; init; }

    /// <summary>SHA-256 of the file, hexadecimal.</summary>
    public required string Checksum { get; init; }

    public required long Records { get; init; }

    /// <summary>Sequences that a dying process took and did not write.</summary>
    public required long Holes { get; init; }

    /// <summary>Calls that were admitted in it.</summary>
    public required long Calls { get; init; }

    /// <summary>Billable units of the meter <c>calls</c>.</summary>
    public required long Quantity { get; init; }

    /// <summary>The earliest call or event, microseconds UTC; a call may stand in a file for its settlement alone.
    /// </summary>
    public required long MinAt { get; init; }

    public required long MaxAt { get; init; }

    /// <summary>When retention took it; null while it is there.</summary>
    public long? DeletedAt { get; init; }

    public string Name => NameOf(Journal, First, Next);

    public static string NameOf(uint journal, ulong first, ulong next) => $"{journal:x8}-{first:D20}-{next:D20}{Suffix}";

    /// <summary>Reads journal and sequences out of a file's name.</summary>
    public static bool TryParse(string name, out uint journal, out ulong first, out ulong next)
    {
        (journal, first, next) = (0, 0, 0);
        var parts = name.EndsWith(Suffix, StringComparison.Ordinal) ? name[..^Suffix.Length].Split('-') : [];
        return parts is [{ Length: 8 }, { Length: 20 }, { Length: 20 }]
            && uint.TryParse(parts[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out journal)
            && ulong.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out first)
            && ulong.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out next)
            && first < next;
    }
}
