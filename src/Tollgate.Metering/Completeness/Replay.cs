using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>What a replay found.</summary>
/// <param name="Records">Records that were drained again.</param>
/// <param name="Rows">Rows of the rollups that were compared.</param>
/// <param name="Differences">Rows that say something else than archive and journal do, in words; bounded.</param>
public sealed record Replayed(long Records, long Rows, IReadOnlyList<string> Differences)
{
    /// <summary>From when on archive and journal hold every call, microseconds UTC; what lies before was not looked at.
    /// </summary>
    public long From { get; init; }

    /// <summary>Whether the sums were replaced by what archive and journal say.</summary>
    public bool Written { get; init; }
}

/// <summary>
/// Drains archive and journal a second time, into a copy of the database, and compares: the same code must come to
/// the same rows. Whose usage from outside was, is taken from what the first draining wrote down of each record.
/// </summary>
internal sealed class Replay(Database scratch, Clocks clocks, ReadTerms terms)
{
    private readonly RecordedStamps _recorded = new();
    private readonly ReplayClock _clock = new();
    private long _records;
    private ulong _next;
    private long _from;

    /// <param name="journal">Whose records they are.</param>
    /// <param name="read">Archive and journal, one after the other.</param>
    public Task<Replayed> RunAsync(uint journal, ReadRecords read) => RunAsync([(journal, read)]);

    /// <param name="journals">All that were drained into the store.</param>
    public async Task<Replayed> RunAsync(IReadOnlyList<(uint Journal, ReadRecords Read)> journals)
    {
        var complete = await scratch.ReadAsync(ArchiveStore.CompleteFromAsync);
        _from = (complete + UsageStore.Bucket - 1) / UsageStore.Bucket * UsageStore.Bucket;
        var faults = await scratch.WriteAsync(db => ReplayTables.PutAsideAsync(db, _from));
        foreach (var (journal, read) in journals)
        {
            var (until, open) = await BeginAsync(journal);
            (_next, _clock.At) = (0, 0);
            using var drain = new UsageDrain(journal, (ref position, into) => Bounded(read, until, ref position, into),
                scratch, clocks with { Business = _clock }, terms, _recorded);
            await drain.DrainFromAsync(0);
            await drain.CloseUnknownAsync(open);
        }

        await scratch.WriteAsync(MoveAsync);
        var differences = await scratch.ReadAsync(db => ReplayTables.CompareAsync(db, _from));
        var rows = await scratch.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from before_rollups"));
        return new Replayed(_records, rows, [.. faults, .. _recorded.Doubts(whole: _from == 0), .. differences]) { From = _from };
    }

    private Task<(ulong Until, HashSet<ulong> Open)> BeginAsync(uint journal) => scratch.WriteAsync(async db =>
    {
        var until = await db.ExecuteScalarAsync<long?>("select position from journals where id = @id", new { id = (long)journal });
        var open = (await OpenAdmissions.ReadAsync(db, journal)).Select(o => o.Sequence).ToHashSet();
        await db.ExecuteAsync("delete from open_admissions where journal = @id", new { id = (long)journal });
        await db.ExecuteAsync("update journals set position = 0 where id = @id", new { id = (long)journal });
        return ((ulong)(until ?? 0), open);
    });

    /// <summary>Only what was drained before the copy was taken, and of the time that is complete: what is left out stands
    /// as a record of no kind, so that events stay together.</summary>
    private int Bounded(ReadRecords read, ulong until, ref ulong position, Span<JournalRecord> into)
    {
        var count = read(ref position, into);
        foreach (ref var record in into[..count])
        {
            if (record.Sequence >= until || record.Admission.AdmittedAt < _from)
            {
                record = new JournalRecord { Sequence = record.Sequence };
                continue;
            }

            _clock.At = Math.Max(_clock.At, record.Admission.AdmittedAt);
            if (record.Sequence < _next) continue;
            _next = record.Sequence + 1;
            _records++;
        }

        return count;
    }

    /// <summary>What was nobody's first, and somebody's later, moves in the end, as it did.</summary>
    private static async Task MoveAsync(DbConnection db)
    {
        var rows = await db.QueryAsync<(long Journal, long Sequence, long Entitlement, long Period, long Consumer)>(
            "select journal, sequence, entitlement, period, consumer from before_later_stamps order by journal, sequence");
        foreach (var chunk in rows.Chunk(UsageDrain.BatchSize))
        {
            var became = new List<(UnattributedRow Row, Attributed Whose)>(chunk.Length);
            foreach (var of in chunk)
                if (await UnattributedStore.FindAsync(db, of.Journal, of.Sequence) is { } row)
                    became.Add((row, new Attributed((int)of.Entitlement, (int)of.Period, (int)of.Consumer, 0)));
            foreach (var own in became.GroupBy(b => b.Row.Journal)) await UsageDrain.MoveAsync(db, (uint)own.Key, [.. own], now: 0);
        }
    }

    /// <summary>Stands at the latest usage that was read: about when it was drained first, so that identities of events are
    /// remembered as long as they were.</summary>
    private sealed class ReplayClock : TimeProvider
    {
        public long At { get; set; }

        public override DateTimeOffset GetUtcNow() => Catalog.Micros.ToInstant(At).ToDateTimeOffset();
    }
}
