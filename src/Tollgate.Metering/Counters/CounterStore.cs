using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>A series as the store has it.</summary>
public sealed record StoredSeries(
    long Key, string Labels, long FirstAt, long At, long Value, long Counted, long Resets, long ResetAt);

/// <summary>The SQL of counters.</summary>
public static class CounterStore
{
    private const string Columns = "key, labels, first_at, at, value, counted, resets, reset_at";

    private const int AtOnce = 100;

    internal sealed record SourceRow(long Key, string Meaning, long Journal, long ReadTo, long Anew);

    /// <summary>Makes the source this journal's, or says whose it is. It changes hands only when the other journal is
    /// closed: what it counted is then in the store.</summary>
    internal static Task<(SourceRow Row, bool IsOurs)> ClaimAsync(Database database, CounterSource source, uint journal) =>
        database.WriteAsync(async db =>
        {
            var key = new { name = source.Name, meaning = source.Meaning, journal = (long)journal };
            await db.ExecuteAsync("insert into counter_sources (name, meaning, journal, read_to) values " +
                "(@name, @meaning, @journal, 0) on conflict (name) do nothing", key);
            await db.ExecuteAsync("update counter_sources set journal = @journal where name = @name and journal in " +
                "(select id from journals where closed = 1)", key);
            var row = await ReadAsync();
            if (row.Meaning == source.Meaning || row.Journal != journal) return (row, row.Journal == journal);
            // another selector or meter: what its series were is nothing to the new ones
            await db.ExecuteAsync("delete from counter_series where source = @Key", row);
            await db.ExecuteAsync("update counter_sources set meaning = @meaning, read_to = 0, anew = 0 where name = @name", key);
            return (await ReadAsync(), true);

            Task<SourceRow> ReadAsync() => db.QuerySingleAsync<SourceRow>(
                "select key, meaning, journal, read_to, anew from counter_sources where name = @name", key);
        });

    internal static Task<IReadOnlyList<StoredSeries>> SeriesAsync(Database database, long source) =>
        database.ReadAsync<IReadOnlyList<StoredSeries>>(async db => (await db.QueryAsync<StoredSeries>(
            $"select {Columns} from counter_series where source = @source", new { source })).AsList());

    /// <summary>Gives keys to series that are new.</summary>
    internal static Task<Dictionary<string, int>> GiveAsync(Database database, long source, IReadOnlyCollection<string> labels) =>
        database.WriteAsync(async db =>
        {
            var keys = new Dictionary<string, int>(StringComparer.Ordinal);
            foreach (var chunk in labels.Chunk(AtOnce))
            {
                await db.ExecuteAsync("insert into counter_series (source, labels) values (@source, @text) " +
                    "on conflict (source, labels) do nothing", chunk.Select(text => new { source, text }));
                foreach (var (key, text) in await db.QueryAsync<(long, string)>(
                    "select key, labels from counter_series where source = @source and labels in @chunk", new { source, chunk }))
                    keys[text] = (int)key;
            }

            return keys;
        });

    /// <summary>Says up to when a source was read, once all of that is in the rollups.</summary>
    internal static Task ReadToAsync(Database database, long source, long at, bool anew) => database.WriteAsync(db => db.ExecuteAsync(
        "update counter_sources set read_to = @at, anew = @anew where key = @source and read_to < @at",
        new { source, at, anew = anew ? 1L : 0L }));

    /// <summary>Keeps the values of series, inside the drain's transaction.</summary>
    internal static Task KeepAsync(DbConnection db, IEnumerable<JournalRecord> records)
    {
        var rows = from record in records
                   let sample = CounterSample.Of(record)
                   group (record, sample) by sample.Series into series
                   orderby series.Key
                   let last = series.MaxBy(s => s.record.Admission.AdmittedAt)
                   let resets = series.Where(s => s.sample.IsReset).ToArray()
                   select new
                   {
                       key = (long)series.Key,
                       first = series.Min(s => s.record.Admission.AdmittedAt),
                       at = last.record.Admission.AdmittedAt,
                       value = last.sample.Value,
                       counted = series.Sum(s => s.record.Quantity),
                       resets = (long)resets.Length,
                       reset = resets.Length == 0 ? 0 : resets.Max(s => s.record.Admission.AdmittedAt),
                   };
        return db.ExecuteAsync("update counter_series set at = @at, value = @value, counted = counted + @counted, " +
            "resets = resets + @resets, reset_at = case when @reset > reset_at then @reset else reset_at end, " +
            "first_at = case when first_at = 0 then @first else first_at end where key = @key and at < @at", rows);
    }

    /// <summary>Series of a source, by key.</summary>
    public static async Task<IReadOnlyList<StoredSeries>> PageAsync(DbConnection db, string source, long after, int most) =>
        (await db.QueryAsync<StoredSeries>(
            $"select {Columns} from counter_series where source = (select key from counter_sources where name = @source) " +
            "and key > @after order by key limit @most", new { source, after, most })).AsList();
}
