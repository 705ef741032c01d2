using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Tollgate.Metering;

/// <summary>
/// One file of the journal: a header and slots with consecutive sequences. A segment is <em>live</em> when this boot
/// made it, so that it may be written; earlier ones are only read, and mapped when somebody does.
/// </summary>
internal sealed unsafe class Segment
{
    private readonly Lock gate = new();

    // Under gate. The view outlives its closing as long as a reader has it pinned.
    private MemoryMappedViewAccessor? view;
    private bool closed;
    private int pins;

    // where the slots are while the view is there
    private ulong* mapped;

    // Live segments only: what fsync is called on until everything is durable. Used by one flusher at a time.
    private SafeFileHandle? file;
    private ulong complete;
    private ulong flushed;

    private Segment(string path, ulong first, ulong capacity, ulong used, bool live)
    {
        Path = path;
        First = first;
        Capacity = capacity;
        Used = used;
        IsLive = live;
    }

    internal string Path { get; }

    internal ulong First { get; }

    /// <summary>How many sequences are this segment's own, used or not.</summary>
    internal ulong Capacity { get; }

    /// <summary>
    /// Slots worth reading: all of a live segment, of an earlier one those up to the last that was used.
    /// </summary>
    internal ulong Used { get; }

    internal bool IsLive { get; }

    /// <summary>One past the last sequence worth reading.</summary>
    internal ulong End => First + Used;

    /// <summary>The mapped slots of a live segment, valid until it is closed.</summary>
    internal ulong* Slots { get; private set; }

    internal static string NameOf(ulong first) => $"{first:D20}.journal";

    /// <summary>A segment that an earlier boot left.</summary>
    internal static Segment Found(string path, ulong first, ulong capacity, ulong used) =>
        new(path, first, capacity, used, live: false);

    /// <summary>
    /// Makes a new segment, durably: real blocks, then the header, then the name, so that a file with a segment's
    /// name is a whole one.
    /// </summary>
    /// <exception cref="IOException">The disk is full, or the folder is gone. Nothing is left behind.</exception>
    internal static Segment Create(string folder, in SegmentHeader header, Action<SafeFileHandle, long> allocate)
    {
        string path = System.IO.Path.Combine(folder, NameOf(header.First));
        string unborn = path + JournalFolder.UnbornSuffix;
        var segment = new Segment(path, header.First, header.Capacity, header.Capacity, live: true);
        bool named = false;
        try
        {
            const FileShare others = FileShare.ReadWrite | FileShare.Delete;
            segment.file = File.OpenHandle(unborn, FileMode.Create, FileAccess.ReadWrite, others);
            allocate(segment.file, SegmentHeader.Bytes + (long)header.Capacity * Slot.Bytes);
            byte[] block = new byte[SegmentHeader.Bytes];
            header.Write(block);
            RandomAccess.Write(segment.file, block, 0);
            RandomAccess.FlushToDisk(segment.file);
            segment.view = Map(segment.file, MemoryMappedFileAccess.ReadWrite);
            segment.Slots = segment.mapped = SlotsOf(segment.view);
            File.Move(unborn, path);
            named = true;
            DurableFile.SyncFolder(folder);
            return segment;
        }
        catch
        {
            segment.Close();
            File.Delete(named ? path : unborn);
            throw;
        }
    }

    /// <summary>Keeps the slots mapped until <see cref="Unpin"/>; false when the segment was closed.</summary>
    internal bool TryPin(out ulong* slots)
    {
        lock (gate)
        {
            slots = null;
            if (closed)
                return false;
            if (view is null)
            {
                const FileShare others = FileShare.ReadWrite | FileShare.Delete;
                using SafeFileHandle found = File.OpenHandle(Path, FileMode.Open, FileAccess.Read, others);
                view = Map(found, MemoryMappedFileAccess.Read);
            }
            slots = mapped = SlotsOf(view);
            pins++;
            return true;
        }
    }

    internal void Unpin()
    {
        lock (gate)
        {
            pins--;
            // nobody writes here any more, and who has read it seldom reads it again
            if (pins == 0 && !closed && (!IsLive || flushed == Capacity))
                LetGo(Used);
            view!.SafeMemoryMappedViewHandle.ReleasePointer();
        }
    }

    /// <summary>Whether every slot of a live segment is committed, so that no writer can be inside.</summary>
    internal bool IsComplete()
    {
        while (complete < Capacity && Slot.IsCommitted(Slots + complete * Slot.Words))
            complete++;
        return complete == Capacity;
    }

    /// <summary>Makes durable what was written so far: up to slot number <paramref name="written"/>.</summary>
    internal void Flush(ulong written)
    {
        if (file is null || flushed == written)
            return;
        bool all = IsComplete();
        ulong until = complete;
        view!.Flush();
        RandomAccess.FlushToDisk(file);
        flushed = until;
        LetGo(until);
        if (all)
        {
            file.Dispose();
            file = null;
        }
    }

    /// <summary>
    /// Unmaps, as soon as the last reader has let go; false when one still has not. The caller vouches that nobody
    /// writes.
    /// </summary>
    internal bool Close()
    {
        lock (gate)
        {
            if (!closed)
            {
                closed = true;
                if (Slots != null)
                    view!.SafeMemoryMappedViewHandle.ReleasePointer();
                Slots = null;
                view?.Dispose();
                file?.Dispose();
            }
            return pins == 0;
        }
    }

    /// <summary>
    /// Says in the header of a closed file how much of it was used, then gives the rest back to the disk.
    /// </summary>
    internal static void Seal(string path, in SegmentHeader header)
    {
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        byte[] block = new byte[SegmentHeader.Bytes];
        header.Write(block);
        RandomAccess.Write(file, block, 0);
        // In this order, so that a file that is shorter than its header says was never made so by us.
        RandomAccess.FlushToDisk(file);
        RandomAccess.SetLength(file, SegmentHeader.Bytes + (long)header.Used * Slot.Bytes);
        RandomAccess.FlushToDisk(file);
    }

    /// <summary>The pages of slots that are durable are the system's: the process would else seem to need the calls of the
    /// last two minutes in memory, and all segments that somebody has read once.</summary>
    private void LetGo(ulong until)
    {
        long bytes = SegmentHeader.Bytes + (long)until * Slot.Bytes;
        DurableFile.LetGo((byte*)mapped - SegmentHeader.Bytes, bytes / Environment.SystemPageSize * Environment.SystemPageSize);
    }

    private static MemoryMappedViewAccessor Map(SafeFileHandle file, MemoryMappedFileAccess access)
    {
        // The view stays mapped by itself.
        using var map = MemoryMappedFile.CreateFromFile(
            file, mapName: null, capacity: 0, access, HandleInheritability.None, leaveOpen: true);
        return map.CreateViewAccessor(0, 0, access);
    }

    private static ulong* SlotsOf(MemoryMappedViewAccessor view)
    {
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        return (ulong*)(start + view.PointerOffset + SegmentHeader.Bytes);
    }
}
