using System.Data.Common;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>An event whose identity is remembered.</summary>
/// <param name="CountedOn">The day on which it was drained, microseconds UTC.</param>
/// <param name="Record">Its first record in the journal; the boot is not kept, and 0.</param>
/// <param name="Duplicates">How often it came again.</param>
/// <param name="Unattributed">Whether it waits for somebody whose it is.</param>
public sealed record FoundEvent(long CountedOn, RecordId Record, long Duplicates, bool Unattributed);

/// <summary>Usage of one subject that is nobody's yet.</summary>
public sealed record UnattributedSubject(
    long Key, string Subject, string Meter, long Events, long FirstAt, long LastAt);

/// <summary>The SQL that reads what became of events.</summary>
public static class EventStore
{
    /// <summary>An event of the last 35 days, or null. Ask after the drain has caught up.</summary>
    public static async Task<FoundEvent?> FindAsync(DbConnection db, string source, string id)
    {
        var key = EventIdentities.Key(EventHash.Identity(source, id));
        foreach (var part in await db.QueryAsync<long>("select day from event_days order by day"))
        {
            var row = await db.QueryFirstOrDefaultAsync<Row?>(
                $"select journal, sequence, duplicates from {EventIdentities.TableOf((int)part)} " +
                "where high = @High and low = @Low", key);
            if (row is null) continue;
            var waits = await db.ExecuteScalarAsync<long>(
                "select count(*) from unattributed_usage where journal = @Journal and sequence = @Sequence", row);
            return new FoundEvent(EventPart.DayOf(part) * 86_400L * Micros.PerSecond,
                new RecordId((uint)row.Journal, 0, (ulong)row.Sequence), row.Duplicates, waits > 0);
        }

        return null;
    }

    /// <summary>Subjects whose usage waits, by subject and meter.</summary>
    public static async Task<IReadOnlyList<UnattributedSubject>> UnattributedAsync(DbConnection db, long after, int most) =>
        // as a tuple: of no rows SQLite does not know the types of sums, which a constructor asks for
        [.. (await db.QueryAsync<(long Key, string Subject, string Meter, long Events, long FirstAt, long LastAt)>(
            "select s.key * 65536 + m.key as key, s.subject, m.name as meter, count(*) as events, " +
            "min(u.occurred_at) as first_at, max(u.occurred_at) as last_at from unattributed_usage u " +
            "join event_subjects s on s.key = u.subject join meter_keys m on m.key = u.meter " +
            "where s.key * 65536 + m.key > @after group by s.key, s.subject, m.key, m.name order by 1 limit @most",
            new { after, most })).Select(r => new UnattributedSubject(r.Key, r.Subject, r.Meter, r.Events, r.FirstAt, r.LastAt))];

    private sealed record Row(long Journal, long Sequence, long Duplicates);
}
