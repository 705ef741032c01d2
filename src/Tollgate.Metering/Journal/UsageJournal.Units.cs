namespace Tollgate.Metering;

/// <content>Units of meters beside the calls themselves: measures, corrections, events.</content>
public sealed unsafe partial class UsageJournal
{
    /// <summary>How many records one call of <see cref="TryAppendEvents"/> may write.</summary>
    public const int MostEventRecords = 65_536;

    /// <summary>
    /// Records units that a call used, between its admission and its settlement. Takes one of the measures of its
    /// reservation; cannot fail with one.
    /// </summary>
    /// <returns>The record's sequence.</returns>
    public ulong AppendMeasured(in Measure measure) => AppendUnits(RecordKind.Measured, measure);

    /// <summary>
    /// Records one more part of a long call that is under way, beyond what it reserved. False, and nothing written,
    /// when there is no room: the units then wait for the next part, or for the end of the call.
    /// </summary>
    public bool TryAppendPart(in Measure measure) => TryAppendPart(measure, out _);

    /// <inheritdoc cref="TryAppendPart(in Measure)"/>
    /// <param name="measure">The part.</param>
    /// <param name="sequence">The record's.</param>
    public bool TryAppendPart(in Measure measure, out ulong sequence)
    {
        sequence = 0;
        if (!TryPromise(1))
            return false;
        sequence = AppendUnits(RecordKind.Measured, measure);
        return true;
    }

    /// <summary>Records later news about a call, whether it is under way or over. False, and nothing written, when
    /// there is no room or the journal is closed.</summary>
    public bool TryAppendCorrected(in Measure news)
    {
        if (!TryEnter(1))
            return false;
        AppendUnits(RecordKind.Corrected, news);
        Leave();
        return true;
    }

    /// <summary>
    /// Records events: all of them in one row of sequences that nothing else comes into, so that the parts of an event
    /// stand together. False, and nothing written, when there is no room or the journal is closed.
    /// </summary>
    /// <param name="events">At most <see cref="MostEventRecords"/>, the parts of each event in order and whole.</param>
    public bool TryAppendEvents(ReadOnlySpan<UsageEvent> events)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(events.Length, MostEventRecords);
        if (!TryEnter((uint)events.Length))
            return false;
        ulong sequence = Interlocked.Add(ref counters.Next, (ulong)events.Length) - (ulong)events.Length;
        foreach (ref readonly UsageEvent part in events)
            AppendEvent(sequence++, part);
        Leave();
        return true;
    }

    private ulong AppendUnits(RecordKind kind, in Measure measure)
    {
        ulong sequence = Interlocked.Increment(ref counters.Next) - 1;
        Append(new JournalRecord
        {
            Kind = kind,
            Boot = Boot,
            Sequence = sequence,
            Admission = measure.Admission,
            AdmissionSequence = measure.AdmissionSequence,
            Billable = true,
            Quantity = measure.Quantity,
            Meter = measure.Meter,
            Dimensions = measure.Dimensions,
        });
        return sequence;
    }

    private void AppendEvent(ulong sequence, in UsageEvent part) => Append(new JournalRecord
    {
        Kind = part.IsCounter ? RecordKind.Counted : RecordKind.Event,
        Boot = Boot,
        Sequence = sequence,
        Admission = new Admission
        {
            AdmittedAt = part.OccurredAt,
            Entitlement = 0,
            Period = 0,
            Consumer = 0,
            Operation = part.Operation,
            Credential = 0,
            Method = part.Method,
        },
        AdmissionSequence = sequence,
        Billable = true,
        Quantity = part.Quantity,
        Meter = part.Meter,
        Dimensions = part.Dimensions,
        Identity = part.Identity,
        Subject = part.Subject,
        IsFirst = part.IsFirst,
        Left = part.Left,
    });

    /// <summary>Room for records that belong to no call; whoever gets it must <see cref="Leave"/>. The last eighth of a
    /// segment is left to calls, and what is not granted is never taken even for a moment: no batch makes the gate
    /// refuse.</summary>
    private bool TryEnter(uint slots)
    {
        Interlocked.Increment(ref counters.InFlight);
        while (!closed)
        {
            ulong promised = Volatile.Read(ref counters.Promised);
            AskBefore(promised + slots);
            if (promised + slots + capacity / 8 > Volatile.Read(ref counters.Limit))
                break;
            if (Interlocked.CompareExchange(ref counters.Promised, promised + slots, promised) == promised)
                return true;
        }
        Leave();
        return false;
    }

    /// <summary>Takes slots that are prepared, and asks for the next segment when these run low.</summary>
    private bool TryPromise(uint slots)
    {
        ulong promised = Interlocked.Add(ref counters.Promised, slots);
        AskBefore(promised);
        if (promised <= Volatile.Read(ref counters.Limit))
            return true;
        GiveBack(slots);
        return false;
    }

    private void AskBefore(ulong promised)
    {
        ulong askAt = Volatile.Read(ref counters.AskAt);
        // One caller per segment; the preparer sets the next mark, and after a failure its retry asks.
        if (promised >= askAt && Interlocked.CompareExchange(ref counters.AskAt, ulong.MaxValue, askAt) == askAt)
            Ask();
    }

    private void GiveBack(uint slots) => Interlocked.Add(ref counters.Promised, unchecked((ulong)-(long)slots));
}
