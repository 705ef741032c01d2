using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>
/// Finds calls, and what was measured, in the archive and, what is too young for it, in the journal. Only of this node's
/// own journal: each node keeps its calls itself.
/// </summary>
public sealed class CallSearch(UsageArchive archive, UsageJournal journal, Database database)
{
    /// <summary>So many records may carry one source and id before the rest is left out.</summary>
    private const int MostOfEvent = 1_000;

    /// <summary>Whose calls are found.</summary>
    public uint Journal => journal.Id;

    /// <summary>All that match, those of the archive first; within a file in the order in which they came. A call that has
    /// no end on record comes last. Events and counters once the drain has taken them.</summary>
    public async IAsyncEnumerable<CallRecord> ReadAsync(CallFilter filter)
    {
        var open = new Dictionary<ulong, CallRecord>();
        var batch = new JournalRecord[4_096];
        var position = 0UL;
        while (true)
        {
            // what is archived may leave the journal, also while we read
            if (archive.Archived is var archived && position < archived)
            {
                foreach (var file in await FilesAsync(filter, position, archived))
                {
                    var stamps = filter.Meter is null ? [] : await StampsAsync(file.First, file.Next);
                    foreach (var found in CallSql.InFile(archive.Folder, file, filter,
                        $" and coalesce(sequence + settled_after, sequence) >= {position}"))
                        if (Whole(found, (filter, stamps, open)) is { } call) yield return call;
                }

                position = archived;
                continue;
            }

            var from = position;
            var read = journal.Read(ref position, batch);
            if (read == 0) break;
            var young = filter.Meter is null ? [] : await StampsAsync(from, position);
            for (var i = 0; i < read; i++)
                if (CallSql.Of(journal.Id, batch[i], filter) is { } found && Whole(found, (filter, young, open)) is { } call)
                    yield return call;
        }

        if (filter.BillableOnly || filter.Meter is not null) yield break;
        foreach (var call in open.Values) yield return call;
    }

    /// <summary>The call with this identity; null when there is none on record here.</summary>
    public async Task<CallRecord?> FindAsync(RecordId id)
    {
        if (id.Journal != journal.Id || id.Sequence > long.MaxValue) return null;
        CallRecord? begun = null;
        var files = (await FilesAsync()).Where(f => f.Boot == id.Boot && f.Next > id.Sequence).ToArray();
        foreach (var file in files)
        {
            foreach (var found in CallSql.InFile(archive.Folder, file, new CallFilter(), $" and sequence = {id.Sequence}"))
            {
                if (found.HasEnded) return found.Call;
                begun = found.Call;
            }

            // what does not begin in the first file that can hold it does not begin
            if (begun is null) return null;
        }

        var position = Math.Max(id.Sequence, archive.Archived);
        var batch = new JournalRecord[4_096];
        int read;
        while ((read = journal.Read(ref position, batch)) > 0)
        {
            foreach (ref readonly var record in batch.AsSpan(0, read))
            {
                if (record.AdmissionSequence != id.Sequence || record.Boot != id.Boot
                    || record.Kind is not (RecordKind.Admitted or RecordKind.Settled)) continue;
                begun = CallSql.Of(journal.Id, record, new CallFilter())!.Value.Call;
                if (record.Kind == RecordKind.Settled) return begun;
            }

            if (begun is null) return null;
        }

        return begun;
    }

    /// <summary>All records of the event with this source and id, however often it came: a record for each meter that it
    /// feeds. Those that do not count are not billable.</summary>
    /// <param name="source">Of the event.</param>
    /// <param name="id">Within the source.</param>
    /// <param name="from">The sequence of its first record, when it is known.</param>
    public async Task<IReadOnlyList<CallRecord>> EventAsync(string source, string id, ulong from = 0)
    {
        var identity = EventHash.Identity(source, id);
        var found = new List<CallRecord>();
        foreach (var file in (await FilesAsync()).Where(f => f.Next > from))
        {
            var stamps = await StampsAsync(file.First, file.Next);
            foreach (var record in CallSql.OfEvent(archive.Folder, file, identity)) Add(record, stamps);
        }

        var position = Math.Max(from, archive.Archived);
        var batch = new JournalRecord[4_096];
        while (found.Count < MostOfEvent)
        {
            var begin = position;
            var read = journal.Read(ref position, batch);
            if (read == 0) break;
            Dictionary<ulong, OutsideStamp>? stamps = null;
            for (var i = 0; i < read; i++)
                if (batch[i].Kind == RecordKind.Event && batch[i].Identity == identity)
                    Add(CallSql.View(journal.Id, batch[i]), stamps ??= await StampsAsync(begin, position));
        }

        return found;

        void Add(CallRecord record, Dictionary<ulong, OutsideStamp> stamps)
        {
            if (found.Count < MostOfEvent) found.Add(Stamped(record, stamps) ?? record with { Billable = false });
        }
    }

    private async Task<ArchiveFile[]> FilesAsync() =>
        (await database.ReadAsync(db => ArchiveStore.FilesAsync(db))).Where(f => f.Journal == journal.Id).ToArray();

    private async Task<ArchiveFile[]> FilesAsync(CallFilter filter, ulong from, ulong to) =>
        (await FilesAsync()).Where(f => f.Next > from && f.Next <= to
            && f.MaxAt >= (filter.From ?? long.MinValue) && f.MinAt < (filter.To ?? long.MaxValue)).ToArray();

    private Task<Dictionary<ulong, OutsideStamp>> StampsAsync(ulong first, ulong next) =>
        database.ReadAsync(db => OutsideStamps.ReadAsync(db, journal.Id, (first, next)));

    /// <summary>What is found, when it is all that there is to say of it and is wanted; a call that has only begun is put
    /// aside.</summary>
    private static CallRecord? Whole(
        in Found found, (CallFilter Filter, Dictionary<ulong, OutsideStamp> Stamps, Dictionary<ulong, CallRecord> Open) by)
    {
        var call = found.Call.IsOutside ? Stamped(found.Call, by.Stamps) : found.Call;
        if (call is null || !by.Filter.IsOf(call)) return null;
        if (!found.HasEnded)
        {
            by.Open[call.Id.Sequence] = call;
            return null;
        }

        if (call.Kind == CallKind.Call) by.Open.Remove(call.Id.Sequence);
        return call;
    }

    /// <summary>With whose it was when it was drained; null for what counts for nobody.</summary>
    private static CallRecord? Stamped(CallRecord record, Dictionary<ulong, OutsideStamp> stamps) =>
        stamps.TryGetValue(record.Id.Sequence, out var stamp) && stamp.IsSomebodys
            ? record with { Entitlement = stamp.Entitlement, Period = stamp.Period, Consumer = stamp.Consumer }
            : null;
}

/// <summary>A record that matches as far as keys tell.</summary>
/// <param name="HasEnded">False for a call of which only the admission is known so far.</param>
/// <param name="Call">What it says.</param>
internal readonly record struct Found(bool HasEnded, CallRecord Call);
