using Microsoft.Win32.SafeHandles;

namespace Tollgate.Metering;

/// <summary>
/// What one segment file of an earlier boot holds, read to its end: a hole says nothing about what follows it.
/// Reads with ordinary calls, since a map of a damaged file may kill the process.
/// </summary>
internal sealed class SegmentScan
{
    private const int ChunkBytes = 1 << 20;

    // Gets every whole record in its order; null when only the counts are asked for.
    private readonly Action<JournalRecord>? sink;

    private SegmentScan(string path, ulong first, Action<JournalRecord>? sink)
    {
        Path = path;
        First = first;
        this.sink = sink;
    }

    internal string Path { get; }

    internal ulong First { get; }

    /// <summary>Null when the header is damaged; the slots then speak for themselves.</summary>
    internal SegmentHeader? Header { get; private set; }

    internal uint Boot { get; private set; }

    /// <summary>Slots that belong to the file: what its header says, else what its length shows.</summary>
    internal ulong Capacity { get; private set; }

    /// <summary>One past the last slot that was ever written to.</summary>
    internal ulong Used { get; private set; }

    internal long Records { get; private set; }

    internal long CorruptSlots { get; private set; }

    /// <summary>Damaged slots, and one each for a damaged header and a short file.</summary>
    internal long Corrupt { get; private set; }

    internal bool IsDamaged => Corrupt > 0;

    /// <summary>Reads a file; the expected journal is null until it is learned from the first good header.</summary>
    /// <exception cref="InvalidDataException">The file is not this journal's, or of another format, or was
    /// renamed.</exception>
    internal static SegmentScan Read(
        string path, ulong first, ref uint? expectedJournal, Findings findings, Action<JournalRecord>? sink = null)
    {
        var scan = new SegmentScan(path, first, sink);
        const FileShare others = FileShare.ReadWrite | FileShare.Delete;
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, others);
        scan.ReadHeader(file, ref expectedJournal, findings);
        scan.ReadSlots(file, expectedJournal ?? 0, findings);
        return scan;
    }

    private void ReadHeader(SafeFileHandle file, ref uint? expectedJournal, Findings findings)
    {
        long length = RandomAccess.GetLength(file);
        long wholeSlots = Math.Max(0, length - SegmentHeader.Bytes) / Slot.Bytes;
        byte[] block = new byte[SegmentHeader.Bytes];
        int read = RandomAccess.Read(file, block, 0);
        Header = SegmentHeader.Read(block.AsSpan(0, read), Path);
        if (Header is not { } header)
        {
            Corrupt++;
            findings.Add($"{Path}: the header is damaged; its records are read by what they say themselves");
            Capacity = (ulong)wholeSlots;
            return;
        }
        expectedJournal ??= header.Journal;
        if (header.Journal != expectedJournal)
            throw new InvalidDataException(
                $"{Path} belongs to journal {header.Journal:x8}, the folder to journal {expectedJournal:x8}. "
                + "Move the file back to its own folder.");
        if (header.First != First)
            throw new InvalidDataException(
                $"{Path} was renamed: its header says {Segment.NameOf(header.First)}. Give it that name again, "
                + "or move it away if it is a copy.");
        Boot = header.Boot;
        Capacity = header.Capacity;
        ulong expected = header.Used == SegmentHeader.Open ? header.Capacity : header.Used;
        if ((ulong)wholeSlots < expected)
        {
            Corrupt++;
            findings.Add(
                $"{Path}: the file is short ({length} bytes): slots {wholeSlots} to {expected - 1} are gone");
        }
    }

    private unsafe void ReadSlots(SafeFileHandle file, uint journal, Findings findings)
    {
        byte[] chunk = new byte[ChunkBytes];
        ulong number = 0;
        while (number < Capacity)
        {
            int bytes = ReadFully(file, chunk, SegmentHeader.Bytes + (long)number * Slot.Bytes);
            int slots = (int)Math.Min((ulong)(bytes / Slot.Bytes), Capacity - number);
            if (slots == 0)
                return;
            fixed (byte* start = chunk)
            {
                // Most of a preallocated file is zeros.
                if (chunk.AsSpan(0, slots * Slot.Bytes).ContainsAnyExcept((byte)0))
                {
                    for (int i = 0; i < slots; i++)
                        Judge((ulong*)(start + i * Slot.Bytes), number + (ulong)i, journal, findings);
                }
            }
            number += (ulong)slots;
        }
    }

    private unsafe void Judge(ulong* slot, ulong number, uint journal, Findings findings)
    {
        SlotState state = Slot.Read(slot, First + number, journal, out JournalRecord record);
        if (state == SlotState.Uncommitted && Slot.IsBlank(slot))
            return;
        Used = number + 1;
        if (state == SlotState.Committed && Header is { } header && record.Boot != header.Boot)
            state = SlotState.Corrupt;
        if (state == SlotState.Committed)
        {
            Records++;
            sink?.Invoke(record);
            Boot = Math.Max(Boot, record.Boot);
        }
        else if (state == SlotState.Corrupt)
        {
            CorruptSlots++;
            Corrupt++;
            findings.Add($"{Path}: slot {number} (sequence {First + number}) does not match its checksum");
        }
    }

    private static int ReadFully(SafeFileHandle file, byte[] chunk, long at)
    {
        int read = 0;
        while (read < chunk.Length)
        {
            int more = RandomAccess.Read(file, chunk.AsSpan(read), at + read);
            if (more == 0)
                break;
            read += more;
        }
        return read;
    }
}

/// <summary>Sentences about damage, bounded: a ruined disk must not fill the memory too.</summary>
internal sealed class Findings
{
    private const int Most = 64;

    private readonly List<string> lines = [];
    private long count;

    internal void Add(string line)
    {
        count++;
        if (lines.Count < Most - 1)
            lines.Add(line);
    }

    internal IReadOnlyList<string> ToList() =>
        count <= lines.Count ? [.. lines] : [.. lines, $"{count - lines.Count} more findings are not listed"];
}
