namespace Tollgate.Metering;

/// <content>What happens beside the calls: segments are made, flushed, truncated and closed.</content>
public sealed unsafe partial class UsageJournal
{
    /// <summary>
    /// Deletes full segments that lie wholly before <paramref name="sequence"/>, oldest first, but never the newest
    /// <see cref="JournalOptions.KeepSealedSegments"/> of them nor one that a writer may be in.
    /// </summary>
    /// <exception cref="IOException">A file cannot be deleted; the next opening finds it again.</exception>
    public void TruncateBefore(ulong sequence)
    {
        lock (maintenance)
        {
            Segment[] all = segments;
            // The newest file remembers boot and sequence, even when it is empty.
            int deletable = 0, kept = 0;
            while (deletable < all.Length - 1 && (!all[deletable].IsLive || all[deletable].IsComplete()))
                kept += all[deletable++].Used > 0 ? 1 : 0;
            int drop = 0;
            for (; drop < deletable && all[drop].End <= sequence; drop++)
            {
                if (all[drop].Used > 0 && --kept < options.KeepSealedSegments)
                    break;
            }
            lock (gate)
                segments = segments[drop..];
            foreach (Segment segment in all.AsSpan(0, drop))
            {
                segment.Close();
                File.Delete(segment.Path);
            }
        }
    }

    /// <summary>The segments that nobody will write to again, oldest first: from the first sequence to one past the last
    /// that is worth reading. Full ones, and those of earlier boots.</summary>
    public IReadOnlyList<(ulong First, ulong End)> Sealed()
    {
        lock (maintenance)
        {
            return [.. segments.TakeWhile(s => !s.IsLive || s.IsComplete()).Select(s => (s.First, s.End))];
        }
    }

    /// <summary>Makes durable what was appended since the last time: msync and fsync. Cheap when nothing was.</summary>
    /// <exception cref="IOException">The disk does not take it. What was appended still survives the
    /// process.</exception>
    public void Flush()
    {
        lock (maintenance)
        {
            ulong next = NextSequence;
            try
            {
                flush?.Invoke();
                foreach (Segment segment in segments)
                {
                    if (segment.IsLive && segment.First < next)
                        segment.Flush(Math.Min(next - segment.First, capacity));
                }
                flushTrouble = null;
            }
            catch (IOException e) when (IsStrict)
            {
                flushTrouble = $"The disk of {folder.Path} does not take what was written: {e.Message}. "
                    + "Durability is strict, so no call is let in until it does.";
                throw;
            }
        }
    }

    /// <summary>
    /// Refuses new reservations, flushes, and gives unused space back. Calls that are still in flight settle
    /// undisturbed; the last of them closes the files and lets the folder go. The owner stops its readers first.
    /// </summary>
    public void Dispose()
    {
        // Counts as a call, so that nobody finishes before the preparer has stopped.
        Interlocked.Increment(ref counters.InFlight);
        lock (gate)
        {
            closed = true;
            Monitor.PulseAll(gate);
        }
        preparer.Join();
        if (Volatile.Read(ref finished) == 0)
            TryFlush();
        Leave();
    }

    private void Ask()
    {
        lock (gate)
        {
            asked = true;
            Monitor.PulseAll(gate);
        }
    }

    private void PrepareWhenAsked()
    {
        while (true)
        {
            lock (gate)
            {
                while (!asked && !closed)
                    Monitor.Wait(gate);
                if (closed)
                    return;
                asked = false;
            }
            Prepare();
        }
    }

    /// <summary>Adds a segment behind the last one and raises the limit of what may be promised.</summary>
    private void Prepare()
    {
        try
        {
            ulong first = counters.Limit;
            if (options.MostBytes is { } most && (segments.Length + 1) * options.SegmentBytes > most)
                throw new IOException($"it has {segments.Length * options.SegmentBytes} bytes and may have {most} (--journal-bytes); "
                    + "calls of the last two minutes, and those that are not drained and archived yet, must stay");
            var header = new SegmentHeader(Id, Boot, first, capacity, SegmentHeader.Open);
            Segment segment = Segment.Create(folder.Path, header, allocate);
            lock (gate)
                segments = [.. segments, segment];
            diskTrouble = null;
            Volatile.Write(ref counters.Limit, segment.End);
            // Half a segment of time for the next one.
            Volatile.Write(ref counters.AskAt, first + capacity / 2);
        }
        catch (Exception e)
        {
            // Whatever it was: refusing calls and trying again beats ending the process with this thread.
            diskTrouble =
                $"No room for the next segment of {options.SegmentBytes} bytes in {folder.Path}: {e.Message}. "
                + "Free space on that disk; the journal tries again by itself.";
            retry.Change(RetryAfter, Timeout.InfiniteTimeSpan);
        }
    }

    private void Finish()
    {
        if (Interlocked.Exchange(ref finished, 1) != 0)
            return;
        retry.Dispose();
        TryFlush();
        lock (maintenance)
        {
            Segment[] all = segments;
            lock (gate)
            {
                segments = [];
                current = null;
            }
            foreach (Segment segment in all)
                GiveBack(segment);
        }
        folder.Dispose();
    }

    /// <summary>
    /// Closes a segment. One of this boot keeps what was used; one that was prepared and never used goes.
    /// </summary>
    private void GiveBack(Segment segment)
    {
        try
        {
            // A file that a reader still has mapped must keep its length; the next opening seals it.
            if (!segment.Close() || !segment.IsLive)
                return;
            ulong used = Math.Min(NextSequence - Math.Min(NextSequence, segment.First), capacity);
            if (used == 0 && segment.First != bootFirst)
                File.Delete(segment.Path);
            else
                Segment.Seal(segment.Path, new SegmentHeader(Id, Boot, segment.First, capacity, used));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next opening gives it back.
            diskTrouble = e.Message;
        }
    }

    private void TryFlush()
    {
        try
        {
            Flush();
        }
        catch (IOException e)
        {
            diskTrouble = e.Message;
        }
    }
}
