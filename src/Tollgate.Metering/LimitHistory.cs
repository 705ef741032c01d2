using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>How many calls were admitted in the newest window of a unit that still counts, before this process.</summary>
/// <param name="At">An instant in that window, microseconds UTC.</param>
public readonly record struct PastAdmissions(int Consumer, int Entitlement, WindowUnit Unit, long At, long Admitted);

/// <summary>
/// What limits are rebuilt from after a restart. Hours and longer are sums of rollup buckets, which divide them;
/// seconds and minutes are counted in the journal, which keeps its last two minutes. When the clock was set back by
/// less than a day, the window that was open before it counts on: it is not opened a second time.
/// </summary>
public sealed class LimitHistory
{
    private const long Ahead = 86_400 * Micros.PerSecond;

    private readonly Dictionary<(int Consumer, int Entitlement, WindowUnit Unit), (long End, long At, long Count)> _newest = [];
    private readonly long _now;

    private LimitHistory(long now) => _now = now;

    /// <summary>Call after <see cref="UsageDrain.RecoverAsync"/>: the rollups then hold all that was admitted.</summary>
    /// <param name="limited">The units that some plan limits; months and years are summed only for these, since that
    /// reads a year.</param>
    public static async Task<IReadOnlyList<PastAdmissions>> ReadAsync(
        UsageJournal journal, Database database, TimeProvider business, IReadOnlySet<WindowUnit> limited)
    {
        var history = new LimitHistory(Micros.Now(business));
        history.AddJournal(journal);
        foreach (var unit in Enum.GetValues<WindowUnit>())
            if (unit is WindowUnit.Hour or WindowUnit.Day || (unit > WindowUnit.Day && limited.Contains(unit)))
                await history.AddRollupsAsync(database, unit);
        return history._newest.Select(n => new PastAdmissions(
            n.Key.Consumer, n.Key.Entitlement, n.Key.Unit, n.Value.At, n.Value.Count)).ToArray();
    }

    private void AddJournal(UsageJournal journal)
    {
        var batch = new JournalRecord[4_096];
        var position = journal.FirstSequence;
        int read;
        while ((read = journal.Read(ref position, batch)) > 0)
        {
            foreach (ref readonly var record in batch.AsSpan(0, read))
            {
                if (record.Kind != RecordKind.Admitted) continue;
                var admission = record.Admission;
                Add(admission.Consumer, admission.Entitlement, WindowUnit.Second, admission.AdmittedAt, 1);
                Add(admission.Consumer, admission.Entitlement, WindowUnit.Minute, admission.AdmittedAt, 1);
            }
        }
    }

    private async Task AddRollupsAsync(Database database, WindowUnit unit)
    {
        var (start, end) = LimitWindow.At(unit, _now);
        var current = await database.ReadAsync(db => db.QueryAsync<(long Consumer, long Entitlement, long Admitted)>(
            "select consumer, entitlement, cast(sum(admitted) as bigint) from rollups " +
            "where bucket >= @start and bucket < @end group by consumer, entitlement", new { start, end }));
        foreach (var (consumer, entitlement, admitted) in current)
            Add((int)consumer, (int)entitlement, unit, _now, admitted);
        var ahead = await database.ReadAsync(db => db.QueryAsync<(long Consumer, long Entitlement, long Bucket, long Admitted)>(
            "select consumer, entitlement, bucket, cast(sum(admitted) as bigint) from rollups " +
            "where bucket >= @end and bucket < @horizon group by consumer, entitlement, bucket",
            new { end, horizon = _now + Ahead }));
        foreach (var (consumer, entitlement, bucket, admitted) in ahead)
            Add((int)consumer, (int)entitlement, unit, bucket, admitted);
    }

    /// <summary>Of several windows only the newest counts; one that has ended does not.</summary>
    private void Add(int consumer, int entitlement, WindowUnit unit, long at, long admitted)
    {
        if (entitlement == 0 || at >= _now + Ahead) return;
        var end = LimitWindow.At(unit, at).End;
        var known = _newest.GetValueOrDefault((consumer, entitlement, unit));
        if (end <= _now || end < known.End) return;
        _newest[(consumer, entitlement, unit)] = (end, at, end == known.End ? known.Count + admitted : admitted);
    }
}
