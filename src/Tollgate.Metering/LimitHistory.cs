using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>How many calls were admitted in the current window of a unit, before this process.</summary>
/// <param name="At">An instant in the window, microseconds UTC.</param>
public readonly record struct PastAdmissions(int Consumer, int Entitlement, WindowUnit Unit, long At, long Admitted);

/// <summary>
/// What limits are rebuilt from after a restart. Hours and longer are sums of rollup buckets, which divide them;
/// seconds and minutes are counted in the journal, which keeps its last two minutes.
/// </summary>
public static class LimitHistory
{
    /// <summary>Call after <see cref="UsageDrain.RecoverAsync"/>: the rollups then hold all that was admitted.</summary>
    public static async Task<IReadOnlyList<PastAdmissions>> ReadAsync(
        UsageJournal journal, Database database, TimeProvider business)
    {
        var now = Micros.Now(business);
        var past = new List<PastAdmissions>();
        foreach (var unit in (ReadOnlySpan<WindowUnit>)[WindowUnit.Second, WindowUnit.Minute])
            past.AddRange(FromJournal(journal, unit, now));
        foreach (var unit in new[] { WindowUnit.Hour, WindowUnit.Day, WindowUnit.Month, WindowUnit.Year })
        {
            var (start, end) = LimitWindow.At(unit, now);
            var rows = await database.ReadAsync(db => db.QueryAsync<(long Consumer, long Entitlement, long Admitted)>(
                "select consumer, entitlement, cast(sum(admitted) as bigint) from rollups " +
                "where bucket >= @start and bucket < @end and entitlement <> 0 group by consumer, entitlement",
                new { start, end }));
            past.AddRange(rows.Select(r =>
                new PastAdmissions((int)r.Consumer, (int)r.Entitlement, unit, now, r.Admitted)));
        }

        return past;
    }

    private static IEnumerable<PastAdmissions> FromJournal(UsageJournal journal, WindowUnit unit, long now)
    {
        var (start, end) = LimitWindow.At(unit, now);
        var counts = new Dictionary<(int Consumer, int Entitlement), long>();
        var batch = new JournalRecord[4_096];
        var position = journal.FirstSequence;
        int read;
        while ((read = journal.Read(ref position, batch)) > 0)
        {
            foreach (ref readonly var record in batch.AsSpan(0, read))
            {
                var at = record.Admission.AdmittedAt;
                if (record.Kind != RecordKind.Admitted || at < start || at >= end) continue;
                var key = (record.Admission.Consumer, record.Admission.Entitlement);
                counts[key] = counts.GetValueOrDefault(key) + 1;
            }
        }

        return counts.Where(c => c.Key.Entitlement != 0)
            .Select(c => new PastAdmissions(c.Key.Consumer, c.Key.Entitlement, unit, now, c.Value)).ToArray();
    }
}
