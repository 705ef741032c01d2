using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>How many calls were admitted in the newest window of a unit that still counts, before this process.</summary>
/// <param name="At">An instant in that window, microseconds UTC.</param>
public readonly record struct PastAdmissions(int Consumer, int Entitlement, WindowUnit Unit, long At, long Admitted);

/// <summary>An admission of before this process, or several of one quarter of an hour.</summary>
/// <param name="Credential">0 where only the rollups know of it.</param>
/// <param name="At">Microseconds UTC; the beginning of the quarter of an hour where only the rollups know.</param>
public readonly record struct PastCall(int Consumer, int Entitlement, int Credential, int Operation, long At, long Count);

/// <summary>Billed units of a meter and an operation under one stretch of terms.</summary>
/// <param name="Operation">0 for events, which have none.</param>
/// <param name="Units">× 10^scale of the meter.</param>
public readonly record struct PastUnits(int Entitlement, int Meter, int Operation, long Units);

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
        UsageJournal journal, Database database, long now, IReadOnlySet<WindowUnit> limited)
    {
        var history = new LimitHistory(now);
        history.AddJournal(journal);
        foreach (var unit in Enum.GetValues<WindowUnit>())
            if (unit is WindowUnit.Hour or WindowUnit.Day || (unit > WindowUnit.Day && limited.Contains(unit)))
                await history.AddRollupsAsync(database, unit);
        return history._newest.Select(n => new PastAdmissions(
            n.Key.Consumer, n.Key.Entitlement, n.Key.Unit, n.Value.At, n.Value.Count)).ToArray();
    }

    /// <summary>Every admission that the journal still holds: those of the last two minutes at least, in the order in
    /// which they were written.</summary>
    public static IEnumerable<PastCall> CallsOf(UsageJournal journal)
    {
        var batch = new JournalRecord[4_096];
        var position = journal.FirstSequence;
        int read;
        while ((read = journal.Read(ref position, batch)) > 0)
        {
            for (var i = 0; i < read; i++)
            {
                if (batch[i].Kind != RecordKind.Admitted) continue;
                var call = batch[i].Admission;
                yield return new PastCall(
                    call.Consumer, call.Entitlement, call.Credential, call.Operation, call.AdmittedAt, 1);
            }
        }
    }

    /// <summary>Admissions by quarters of an hour since an instant, in order of time.</summary>
    public static async Task<IReadOnlyList<PastCall>> CallsAsync(Database database, long since) =>
        await database.ReadAsync(async db => (await db.QueryAsync<(long Consumer, long Entitlement, long Operation,
                long Bucket, long Admitted)>(
            "select consumer, entitlement, operation, bucket, cast(sum(admitted) as bigint) from rollups " +
            "where bucket >= @since and meter = @meter and (entitlement > 0 or consumer > 0) and admitted > 0 " +
            "group by consumer, entitlement, operation, bucket order by bucket",
            new { since = since - UsageStore.Bucket, meter = UsageStore.CallsKey }))
            .Select(c => new PastCall((int)c.Consumer, (int)c.Entitlement, 0, (int)c.Operation, c.Bucket, c.Admitted))
            .ToArray());

    /// <summary>Billed units of usage that was admitted from one instant until before another; both on a quarter of an
    /// hour, as local midnights are.</summary>
    /// <param name="meters">Their keys; of meters that add up.</param>
    /// <param name="subscription">Null for all of them.</param>
    public static async Task<IReadOnlyList<PastUnits>> UnitsAsync(
        DbConnection db, long start, long end, IReadOnlyCollection<int> meters, string? subscription = null) =>
        (await db.QueryAsync<(long Entitlement, long Meter, long Operation, long Units)>(
            "select entitlement, meter, operation, cast(sum(quantity) as bigint) from rollups " +
            "where bucket >= @start and bucket < @end and meter in @meters and entitlement > 0 and quantity <> 0" +
            (subscription is null ? "" :
                " and entitlement in (select key from entitlements where subscription_id = @subscription)") +
            " group by entitlement, meter, operation", new { start, end, meters, subscription }))
        .Select(u => new PastUnits((int)u.Entitlement, (int)u.Meter, (int)u.Operation, u.Units)).ToArray();

    private void AddJournal(UsageJournal journal)
    {
        foreach (var call in CallsOf(journal))
        {
            Add(call.Consumer, call.Entitlement, WindowUnit.Second, call.At, 1);
            Add(call.Consumer, call.Entitlement, WindowUnit.Minute, call.At, 1);
        }
    }

    private async Task AddRollupsAsync(Database database, WindowUnit unit)
    {
        var (start, end) = LimitWindow.At(unit, _now);
        var current = await database.ReadAsync(db => db.QueryAsync<(long Consumer, long Entitlement, long Admitted)>(
            "select consumer, entitlement, cast(sum(admitted) as bigint) from rollups " +
            "where bucket >= @start and bucket < @end and meter = @meter group by consumer, entitlement",
            new { start, end, meter = UsageStore.CallsKey }));
        foreach (var (consumer, entitlement, admitted) in current)
            Add((int)consumer, (int)entitlement, unit, _now, admitted);
        var ahead = await database.ReadAsync(db => db.QueryAsync<(long Consumer, long Entitlement, long Bucket, long Admitted)>(
            "select consumer, entitlement, bucket, cast(sum(admitted) as bigint) from rollups " +
            "where bucket >= @end and bucket < @horizon and meter = @meter group by consumer, entitlement, bucket",
            new { end, horizon = _now + Ahead, meter = UsageStore.CallsKey }));
        foreach (var (consumer, entitlement, bucket, admitted) in ahead)
            Add((int)consumer, (int)entitlement, unit, bucket, admitted);
    }

    /// <summary>Of several windows only the newest counts; one that has ended does not.</summary>
    private void Add(int consumer, int entitlement, WindowUnit unit, long at, long admitted)
    {
        // a consumer may have limits of its own without a subscription
        if ((entitlement, consumer) == (0, 0) || at >= _now + Ahead) return;
        var end = LimitWindow.At(unit, at).End;
        var known = _newest.GetValueOrDefault((consumer, entitlement, unit));
        if (end <= _now || end < known.End) return;
        _newest[(consumer, entitlement, unit)] = (end, at, end == known.End ? known.Count + admitted : admitted);
    }
}
