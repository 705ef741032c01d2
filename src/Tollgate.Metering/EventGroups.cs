namespace Tollgate.Metering;

/// <summary>An event of a batch: its records stand in a row.</summary>
internal readonly record struct EventGroup(UInt128 Identity, ulong Sequence, int First, int Count);

/// <summary>Finds whole events among the records of a batch.</summary>
internal static class EventGroups
{
    /// <summary>How many records of the batch can be drained now: an event at its end that is not whole yet waits for
    /// the next batch, unless what is missing will never come.</summary>
    /// <param name="next">The position after the last record that was read.</param>
    public static int Whole(ReadOnlySpan<JournalRecord> batch, ulong next)
    {
        if (batch.IsEmpty || batch[^1] is not { Kind: RecordKind.Event, Left: > 0 } last || last.Sequence + 1 != next)
            return batch.Length;
        var first = batch.Length - 1;
        while (first > 0 && !batch[first].IsFirst && Follows(batch[first - 1], batch[first])) first--;
        return first;
    }

    /// <summary>The events that are whole. What a dead process left of one was never answered: it does not count.
    /// </summary>
    public static List<EventGroup> Find(ReadOnlySpan<JournalRecord> batch)
    {
        var groups = new List<EventGroup>();
        for (var i = 0; i < batch.Length; i++)
        {
            if (batch[i] is not { Kind: RecordKind.Event, IsFirst: true }) continue;
            var last = i;
            while (batch[last].Left > 0 && last + 1 < batch.Length && Follows(batch[last], batch[last + 1])) last++;
            if (batch[last].Left == 0)
                groups.Add(new EventGroup(batch[i].Identity, batch[i].Sequence, i, last - i + 1));
        }

        return groups;
    }

    private static bool Follows(in JournalRecord a, in JournalRecord b) =>
        b.Kind == RecordKind.Event && !b.IsFirst && b.Sequence == a.Sequence + 1 && b.Left == a.Left - 1
        && b.Identity == a.Identity && b.Boot == a.Boot;
}
