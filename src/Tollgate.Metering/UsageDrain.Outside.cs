using System.Data.Common;

namespace Tollgate.Metering;

/// <content>What comes from outside: events and counters, which name a subject, and whose it is found here.</content>
public sealed partial class UsageDrain
{
    /// <summary>Adds the events of the batch that were not counted before, and what counters grew by, to their owners'
    /// sums; what is nobody's is set aside. What became of each record is kept.</summary>
    /// <returns>Records from the first to the last from outside.</returns>
    private async Task<int> AddOutsideAsync(
        DbConnection db, int count, (RollupBatch Sums, OutsideUsages Outside) into)
    {
        var (first, last) = (Array.FindIndex(_batch, 0, count, r => r.Kind >= RecordKind.Event), count - 1);
        if (first < 0) return 0;
        while (_batch[last].Kind < RecordKind.Event) last--;
        var known = _recorded is null ? null
            : await _recorded.ReadAsync(db, _id, (_batch[first].Sequence, _batch[last].Sequence + 1));
        var counts = (await EventsAsync(db, count, known)).Concat(await CountersAsync(db, first, last)).ToArray();
        var rows = Array.ConvertAll(counts, i => UnattributedRow.Of(_id, _batch[i]));
        await _attribution.LearnAsync(db, rows.Select(r => (int)r.Subject));
        var stamps = new OutsideStamps();
        for (var i = first; i <= last; i++)
            if (_batch[i].Kind == RecordKind.Event) stamps.Set(_batch[i].Sequence, OutsideStamp.Nothing);
        var nobodys = new List<UnattributedRow>();
        foreach (var row in rows)
        {
            var whose = WhoseIs(row, known);
            stamps.Set((ulong)row.Sequence, whose is { } owner ? OutsideStamp.Of(owner) : OutsideStamp.Nobodys);
            if (whose is { } somebody)
            {
                into.Sums.AddOutside(row.RowOf(somebody), row);
                into.Outside.Add(somebody, row);
            }
            else nobodys.Add(row);
        }

        if (_recorded is null) await stamps.AddAsync(db, _id);
        if (nobodys.Count > 0)
        {
            await UnattributedStore.AddAsync(db, nobodys);
            _waits = true;
        }

        return last - first + 1;
    }

    private Attributed? WhoseIs(UnattributedRow row, Dictionary<ulong, OutsideStamp>? known) =>
        known?.TryGetValue((ulong)row.Sequence, out var stamp) == true
            ? stamp.IsSomebodys ? new Attributed(stamp.Entitlement, stamp.Period, stamp.Consumer, 0) : null
            : _attribution.Of((int)row.Subject, row.OccurredAt);

    /// <summary>Places of the events that count.</summary>
    private async Task<IEnumerable<int>> EventsAsync(
        DbConnection db, int count, Dictionary<ulong, OutsideStamp>? known)
    {
        var groups = EventGroups.Find(_batch.AsSpan(0, count));
        if (groups.Count == 0) return [];
        var today = EventIdentities.DayOf(Catalog.Micros.Now(_clocks.Business));
        var fresh = known is null
            ? await _identities.TakeAsync(db, _id, today, groups)
            : await _recorded!.TakeAsync(db, (_id, today), groups, (known, _identities));
        return fresh.SelectMany(g => Enumerable.Range(g.First, g.Count));
    }

    /// <summary>Places of the samples that count; their values are kept, since the next ones are compared with them.</summary>
    private async Task<IEnumerable<int>> CountersAsync(DbConnection db, int first, int last)
    {
        var counted = Enumerable.Range(first, last - first + 1).Where(i => _batch[i].Kind == RecordKind.Counted).ToArray();
        if (counted.Length > 0) await CounterStore.KeepAsync(db, counted.Select(i => _batch[i]));
        return counted.Where(i => _batch[i].Quantity > 0);
    }

    /// <summary>Looks again at usage that was nobody's; what is somebody's now moves into the sums.</summary>
    private async Task AttributeAsync()
    {
        var subjects = await _database.ReadAsync(UnattributedStore.SubjectsAsync);
        foreach (var subject in subjects)
        {
            (long Journal, long Sequence)? after = (0, 0);
            while (after is { } last) after = await AttributeAsync(subject, last);
        }

        _waits = subjects.Count > 0;
        if (!_waits) return;

        // nothing is read before the next change: these subjects are known to be nobody's
        await _database.ReadAsync(async db => { await _attribution.LearnAsync(db, []); return 0; });
    }

    /// <returns>The last record that was looked at; null at the end.</returns>
    private async Task<(long Journal, long Sequence)?> AttributeAsync(int subject, (long Journal, long Sequence) after)
    {
        var outside = new OutsideUsages();
        var last = await _database.WriteAsync(db => AttributeAsync(db, subject, after, outside));
        outside.TellTo(OnOutsideUsage);
        return last;
    }

    private async Task<(long Journal, long Sequence)?> AttributeAsync(
        DbConnection db, int subject, (long Journal, long Sequence) after, OutsideUsages outside)
    {
        outside.Clear();
        await _attribution.LearnAsync(db, [subject]);
        var rows = await UnattributedStore.OfSubjectAsync(db, subject, after, BatchSize);
        var became = new List<(UnattributedRow Row, Attributed Whose)>();
        foreach (var row in rows)
            if (_attribution.Of(subject, row.OccurredAt) is { } whose) became.Add((row, whose));
        foreach (var (row, whose) in became) outside.Add(whose, row);
        await MoveAsync(db, _id, became, Catalog.Micros.Now(_clocks.Business));
        await OutsideStamps.AddLaterAsync(db, became);
        return rows.Count < BatchSize ? null : (rows[^1].Journal, rows[^1].Sequence);
    }

    /// <summary>Usage that was nobody's enters the sums of those whose it became.</summary>
    internal static async Task MoveAsync(
        DbConnection db, uint journal, IReadOnlyCollection<(UnattributedRow Row, Attributed Whose)> became, long now)
    {
        var sums = await RollupStore.BatchAsync(db, journal);
        foreach (var (row, whose) in became) sums.AddOutside(row.RowOf(whose), row);
        await RollupStore.AddAsync(db, sums, now);
        await UnattributedStore.DeleteAsync(db, [.. became.Select(b => b.Row)]);
    }
}
