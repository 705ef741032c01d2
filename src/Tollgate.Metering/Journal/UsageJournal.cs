using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

[assembly: InternalsVisibleTo("Tollgate.Tests")]
[assembly: InternalsVisibleTo("Tollgate.Bench")]

namespace Tollgate.Metering;

/// <summary>
/// The log between a call and its bill: memory-mapped, preallocated, segmented, append-only. A record that was appended
/// survives the death of the process, and after the next <see cref="Flush"/> the death of the machine.
/// <para>
/// A writer reserves first, when it may still refuse the call: <see cref="TryReserve()"/> promises two slots that already
/// have blocks on disk, so neither append can fail. Each reservation ends in exactly one of <see cref="Release"/>
/// (before <see cref="AppendAdmitted"/>) and <see cref="AppendSettled"/> (after it). Room for measures is part of the
/// reservation; events, corrections and further parts of a long stream ask for theirs when they come, and may be told
/// that there is none. Appends take no lock, except a short one where a segment begins, and allocate nothing. Any
/// number of writers and readers may work at once.
/// </para>
/// <para>
/// Sequences count slots over all boots and only grow. A boot begins at its number × 2^20 or later: boots are
/// numbered by unix seconds, so that even a folder restored from an old backup does not issue again what the drain
/// has long read.
/// </para>
/// </summary>
public sealed unsafe partial class UsageJournal : IDisposable
{
    private const int SlotsPerCall = 2;
    private const int SequenceBitsPerBoot = 20;

    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    private readonly JournalFolder folder;
    private readonly JournalOptions options;
    private readonly Action<SafeFileHandle, long> allocate;

    // Tests let a flush fail or count it; null outside of them.
    private readonly Action? flush;
    private readonly ulong capacity;
    private readonly ulong bootFirst;
    private readonly Thread preparer;
    private readonly ITimer retry;

    /// <summary>Guards the list of segments, and wakes the preparer; never held during I/O.</summary>
    private readonly object gate = new();

    /// <summary>One of Flush, TruncateBefore and closing at a time; held during I/O, never by a writer.</summary>
    private readonly Lock maintenance = new();

    private Counters counters;

    // Replaced whole under gate: by the preparer for each new segment, by truncation and by closing. In order of
    // sequence.
    private volatile Segment[] segments;

    // The newest segment that a record went to; set where writers cross into the next one.
    private volatile Segment? current;
    private volatile string? diskTrouble;

    // Strict only: what was appended cannot be made durable, so nothing more is let in until a flush works again.
    private volatile string? flushTrouble;
    private volatile bool closed;
    private bool asked;
    private int finished;

    private UsageJournal(
        JournalFolder folder, JournalRemains remains, JournalOptions options, TimeProvider machineTime,
        Action<SafeFileHandle, long> allocate, Action? flush)
    {
        this.folder = folder;
        this.flush = flush;
        this.options = options;
        this.allocate = allocate;
        Id = remains.Journal;
        Recovery = remains.Report;
        Boot = (uint)Math.Max(remains.LastBoot + 1L, machineTime.GetUtcNow().ToUnixTimeSeconds());
        bootFirst = Math.Max(remains.End, (ulong)Boot << SequenceBitsPerBoot);
        capacity = (ulong)((options.SegmentBytes - SegmentHeader.Bytes) / Slot.Bytes);
        segments = [.. remains.Segments];
        counters.Next = counters.Promised = counters.Limit = bootFirst;
        counters.AskAt = ulong.MaxValue;
        retry = machineTime.CreateTimer(_ => Ask(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        // Here, so that the first call finds room. A full disk is no reason not to open: draining makes space.
        Prepare();
        preparer = new Thread(PrepareWhenAsked) { IsBackground = true, Name = "usage journal" };
        preparer.Start();
    }

    /// <summary>The journal's own number, random, kept in its folder.</summary>
    public uint Id { get; }

    /// <summary>Which opening this is: unix seconds of machine time, or one more than the boot before.</summary>
    public uint Boot { get; }

    /// <summary>The sequence of this boot's first record.</summary>
    public ulong BootFirst => bootFirst;

    /// <summary>What opening found.</summary>
    public JournalRecovery Recovery { get; }

    /// <summary>Reservations that have not ended: calls under way.</summary>
    public int InFlight => Volatile.Read(ref counters.InFlight);

    /// <summary>The oldest sequence still on disk, or the one that comes next when there is none.</summary>
    public ulong FirstSequence => segments is [var oldest, ..] ? oldest.First : bootFirst;

    /// <summary>One past the newest slot in use; some before it may not be committed yet.</summary>
    public ulong NextSequence => Volatile.Read(ref counters.Next);

    /// <summary>
    /// Why <see cref="TryReserve()"/> says no, or soon will: a segment that cannot be prepared is told at once, while
    /// there is still room in the one before. Names the setting or the disk. Null when fine.
    /// </summary>
    public string? Trouble
    {
        get
        {
            if (closed)
                return $"The usage journal in {folder.Path} is closed.";
            if ((diskTrouble ?? flushTrouble) is { } trouble)
                return trouble;
            if (Volatile.Read(ref counters.InFlight) >= options.MaxInFlight)
                return $"{options.MaxInFlight} calls are in flight, as many as JournalOptions.MaxInFlight allows.";
            if (Volatile.Read(ref counters.Promised) + SlotsPerCall > Volatile.Read(ref counters.Limit))
                return $"The next segment in {folder.Path} is not ready yet: the disk is slower than the calls. "
                    + $"Raise JournalOptions.SegmentBytes ({options.SegmentBytes}).";
            return null;
        }
    }

    /// <summary>Holds a journal's folder without opening it, so that no node can start on it meanwhile.</summary>
    /// <exception cref="IOException">Another process has the folder.</exception>
    public static IDisposable Hold(string folder) => JournalFolder.Take(folder);

    /// <summary>
    /// Creates the folder and the journal's id, or recovers what is there. The folder belongs to the journal alone,
    /// on a disk of this machine; machine time numbers the boot and paces retries.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="IOException">Another process has the folder, or it cannot be read.</exception>
    /// <exception cref="InvalidDataException">A segment is of another journal or an unknown format version.</exception>
    public static UsageJournal Open(string folder, JournalOptions options, TimeProvider machineTime) =>
        Open(folder, options, machineTime, DurableFile.Allocate);

    // allocate gives a new segment file its blocks; tests let it fail like a full disk.
    internal static UsageJournal Open(
        string folder, JournalOptions options, TimeProvider machineTime, Action<SafeFileHandle, long> allocate,
        Action? flush = null)
    {
        options.Validate();
        JournalFolder home = JournalFolder.Take(folder);
        try
        {
            return new UsageJournal(home, home.Recover(), options, machineTime, allocate, flush);
        }
        catch
        {
            home.Dispose();
            throw;
        }
    }

    /// <summary>Takes room for one admission and its settlement.</summary>
    public bool TryReserve() => TryReserve(0);

    /// <summary>
    /// Takes room for one admission, its settlement and as many measures as the call may need between them. False, and
    /// nothing taken, when MaxInFlight is reached, the disk is full or the journal is closed; <see cref="Trouble"/>
    /// says which.
    /// </summary>
    public bool TryReserve(int measures)
    {
        // Counted before closed is looked at: whoever closes waits for a count of zero.
        if (Interlocked.Increment(ref counters.InFlight) > options.MaxInFlight || closed || flushTrouble is not null)
        {
            Leave();
            return false;
        }
        if (TryPromise((uint)(SlotsPerCall + measures)))
            return true;
        Leave();
        return false;
    }

    /// <summary>Gives a reservation back that was not used: the call was refused after all.</summary>
    public void Release(int measures = 0)
    {
        GiveBack((uint)(SlotsPerCall + measures));
        Leave();
    }

    /// <summary>
    /// Records that a call was let in, before it is forwarded. Needs a reservation; cannot fail with one.
    /// </summary>
    /// <returns>The record's identity, which is the call's request id.</returns>
    public RecordId AppendAdmitted(in Admission admission)
    {
        ulong sequence = Interlocked.Increment(ref counters.Next) - 1;
        Append(new JournalRecord
        {
            Kind = RecordKind.Admitted,
            Boot = Boot,
            Sequence = sequence,
            Admission = admission,
            AdmissionSequence = sequence,
        });
        return new RecordId(Id, Boot, sequence);
    }

    /// <summary>
    /// Records how the call ended, before its last byte leaves, and ends its reservation. Cannot fail.
    /// </summary>
    /// <param name="settlement">How it ended.</param>
    /// <param name="unused">Measures that were reserved and not written.</param>
    /// <returns>The record's sequence.</returns>
    public ulong AppendSettled(in Settlement settlement, int unused = 0)
    {
        ulong sequence = Interlocked.Increment(ref counters.Next) - 1;
        Append(new JournalRecord
        {
            Kind = RecordKind.Settled,
            Boot = Boot,
            Sequence = sequence,
            Admission = settlement.Admission,
            AdmissionSequence = settlement.AdmissionSequence,
            Status = settlement.Status,
            Billable = settlement.Billable,
            Quantity = settlement.Quantity,
            LatencyMicros = settlement.LatencyMicros,
        });
        if (unused > 0)
            GiveBack((uint)unused);
        Leave();
        return sequence;
    }

    /// <summary>
    /// Reads committed records from <paramref name="position"/> on, in order, and moves it behind what was read.
    /// Holes and damage of earlier boots are skipped; the first slot of this boot that is not committed yet ends the
    /// reading.
    /// </summary>
    /// <returns>How many records were read; 0 when there is nothing new.</returns>
    public int Read(ref ulong position, Span<JournalRecord> into)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref finished) != 0, this);
        int count = 0;
        while (count < into.Length && FirstEndingAfter(position) is { } segment)
        {
            position = Math.Max(position, segment.First);
            // An empty file may be too short to map. Pinning fails when the segment was truncated just now, and then
            // it is no longer in the list either.
            if (segment.Used == 0 || !segment.TryPin(out ulong* slots))
                continue;
            try
            {
                count += ReadSlots(segment, slots, ref position, into[count..]);
            }
            finally
            {
                segment.Unpin();
            }
            if (position < segment.End)
                break;
        }
        return count;
    }

    private void Append(in JournalRecord record)
    {
        Segment segment = current is { } here && record.Sequence - here.First < here.Capacity
            ? here
            : Cross(record.Sequence);
        Slot.Commit(segment.Slots + (record.Sequence - segment.First) * Slot.Words, Id, record);
    }

    /// <summary>
    /// Finds the segment of a sequence that is not in the current one, and goes on from there if it is newer.
    /// </summary>
    private Segment Cross(ulong sequence)
    {
        lock (gate)
        {
            Segment[] all = segments;
            for (int i = all.Length - 1; i >= 0 && all[i].IsLive; i--)
            {
                Segment segment = all[i];
                if (sequence - segment.First >= segment.Capacity)
                    continue;
                if (current is null || current.First < segment.First)
                    current = segment;
                return segment;
            }
        }
        // Only without a reservation: what TryReserve promised is always prepared.
        throw new InvalidOperationException("A usage record was appended without a reservation.");
    }

    /// <summary>Ends a call's stay; the last one out of a closed journal closes the files.</summary>
    private void Leave()
    {
        if (Interlocked.Decrement(ref counters.InFlight) == 0 && closed)
            Finish();
    }

    private int ReadSlots(Segment segment, ulong* slots, ref ulong position, Span<JournalRecord> into)
    {
        int count = 0;
        for (; position < segment.End && count < into.Length; position++)
        {
            ulong* slot = slots + (position - segment.First) * Slot.Words;
            SlotState state = Slot.Read(slot, position, Id, out into[count]);
            if (state == SlotState.Committed)
                count++;
            else if (state == SlotState.Uncommitted && segment.IsLive)
                break;
        }
        return count;
    }

    private Segment? FirstEndingAfter(ulong position)
    {
        Segment[] all = segments;
        int low = 0, high = all.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (all[middle].End <= position)
                low = middle + 1;
            else
                high = middle;
        }
        return low < all.Length ? all[low] : null;
    }

    /// <summary>
    /// One cache line each for what every writer changes; the last two are read by all and change once a segment.
    /// </summary>
    [StructLayout(LayoutKind.Explicit, Size = 5 * Line)]
    private struct Counters
    {
        private const int Line = 64;

        /// <summary>Reservations that have not ended.</summary>
        [FieldOffset(Line)]
        public int InFlight;

        /// <summary>
        /// The sequence up to which slots are spoken for; never below Next, and granted only up to Limit.
        /// </summary>
        [FieldOffset(2 * Line)]
        public ulong Promised;

        /// <summary>The sequence that the next record takes.</summary>
        [FieldOffset(3 * Line)]
        public ulong Next;

        /// <summary>One past the last sequence that has a prepared segment.</summary>
        [FieldOffset(4 * Line)]
        public ulong Limit;

        /// <summary>When this much is promised, the next segment is asked for.</summary>
        [FieldOffset(4 * Line + 8)]
        public ulong AskAt;
    }
}
