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

    /// <summary>Meters whose sums may hold usage of events.</summary>
    internal IReadOnlyCollection<int> FedByEvents { get; init; } = [];
}

/// <summary>
/// Drains archive and journal a second time, into a copy of the database, and compares: the same code must come to
/// the same sums.
/// </summary>
internal sealed class Replay(Database scratch, Clocks clocks, ReadTerms terms)
{
    private const int MostDifferences = 20;

    private static readonly string[] s_parts = ["rollups", "unique_values"];

    private readonly HashSet<int> _fedByEvents = [];
    private long _records;
    private ulong _next;
    private long _from;

    /// <param name="journal">Whose records they are.</param>
    /// <param name="read">Archive and journal, one after the other.</param>
    public Task<Replayed> RunAsync(uint journal, ReadRecords read) => RunAsync([(journal, read)]);

    /// <param name="journals">All that were drained into the store.</param>
    public async Task<Replayed> RunAsync(IReadOnlyList<(uint Journal, ReadRecords Read)> journals)
    {
        await PrepareAsync();
        foreach (var (journal, read) in journals)
        {
            var (until, open) = await BeginAsync(journal);
            _next = 0;
            using var drain = new UsageDrain(journal, (ref position, into) => Bounded(read, until, ref position, into),
                scratch, clocks, terms);
            await drain.DrainFromAsync(0);
            await drain.CloseUnknownAsync(open);
        }

        var differences = await scratch.ReadAsync(CompareAsync);
        var rows = await scratch.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from before_rollups"));
        return new Replayed(_records, rows, differences) { From = _from, FedByEvents = _fedByEvents };
    }

    /// <summary>Puts the sums aside and takes away what the drain will make again.</summary>
    private Task PrepareAsync() => scratch.WriteAsync(async db =>
    {
        var complete = await ArchiveStore.CompleteFromAsync(db);
        _from = (complete + UsageStore.Bucket - 1) / UsageStore.Bucket * UsageStore.Bucket;
        foreach (var part in s_parts)
        {
            await db.ExecuteAsync($"create table before_{part} as select * from {part} where bucket >= @_from", new { _from });
            await db.ExecuteAsync($"delete from {part} where bucket >= @_from", new { _from });
        }

        await db.ExecuteAsync("create table before_unattributed as select * from unattributed_usage");
        await db.ExecuteAsync("delete from unattributed_usage");
        foreach (var day in await db.QueryAsync<long>("select day from event_days"))
            await db.ExecuteAsync($"drop table {EventIdentities.TableOf((int)day)}");
        await db.ExecuteAsync("delete from event_days");
    });

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

            if (record.Kind >= RecordKind.Event && record.Quantity != 0) _fedByEvents.Add(record.Meter);
            if (record.Sequence < _next) continue;
            _next = record.Sequence + 1;
            _records++;
        }

        return count;
    }

    /// <summary>Row by row; sums that events are in only together, since whose an event is may have been settled later
    /// than it came.</summary>
    private async Task<IReadOnlyList<string>> CompareAsync(DbConnection db)
    {
        const string key = "entitlement, period, consumer, meter, operation, method, dimensions, bucket";
        const string sums = "admitted, quantity, unknown, items";
        const string whole = "meter, operation, method, dimensions, bucket";

        // what is added up can be compared whoever it belongs to; the largest of two owners is another number
        const string added = "case when meter = 1 or meter in (select key from meter_keys where aggregation in " +
            "('sum', 'count')) then quantity else 0 end";
        var events = _fedByEvents.Count == 0 ? "-1" : string.Join(", ", _fedByEvents);
        var calls = $"where meter not in ({events}) and bucket >= {_from}";
        var differences = new List<string>();
        await FindAsync($"select {key}, {sums} from rollups {calls}", $"select {key}, {sums} from before_rollups {calls}");
        await FindAsync($"select {key}, value_hash from unique_values {calls}",
            $"select {key}, value_hash from before_unique_values {calls}");
        if (_fedByEvents.Count > 0)
            await FindAsync(Together("rollups", "unattributed_usage"), Together("before_rollups", "before_unattributed"));
        return differences;

        string Together(string rollups, string nobodys) =>
            $"select {whole}, cast(sum(items) as bigint) as items, cast(sum(quantity) as bigint) as quantity from (" +
            $"select {whole}, items, {added} as quantity from {rollups} where meter in ({events}) and bucket >= {_from} union all " +
            $"select meter, operation, method, dimensions, occurred_at - occurred_at % {UsageStore.Bucket}, 1, {added} from {nobodys} " +
            $"where occurred_at >= {_from}) as u group by {whole}";

        async Task FindAsync(string replayed, string stored)
        {
            await AddAsync("archive and journal say", $"{replayed} except {stored}");
            await AddAsync("the rollups say", $"{stored} except {replayed}");
        }

        async Task AddAsync(string who, string sql)
        {
            foreach (IDictionary<string, object> row in await db.QueryAsync($"{sql} limit {MostDifferences / 4}"))
                differences.Add($"{who}: {string.Join(", ", row.Select(c => $"{c.Key} {Shown(c.Key, c.Value)}"))}");
        }
    }

    private static string Shown(string column, object value) =>
        column == "bucket" ? Catalog.Micros.ToText(Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture)) : $"{value}";
}
