using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>
/// A database that was restored is older than its journal: calls carry keys of subscriptions, consumers and operations
/// that it does not know. Those keys are never given to others, who would be billed for these calls.
/// </summary>
public static class LaterKeys
{
    /// <summary>Puts a place holder under the largest key of each kind that journal or archive name, so that new ones
    /// come after it. The calls count for terms that never run, of a customer who is called what happened.</summary>
    public static async Task ReserveAsync(Database store, string data)
    {
        var journal = JournalFiles.Read(Path.Combine(data, "journal"));
        var (entitlement, consumer, operation, series) = (0, 0, 0, 0);
        var named = new NamedKeys();
        var position = (ulong)(await store.ReadAsync(db => db.ExecuteScalarAsync<long?>(
            "select position from journals where id = @id", new { id = (long)journal.Id })) ?? 0);
        using var archived = new ArchivedRecords(Path.Combine(data, "archive"), Later(data, journal.Id, position));
        var batch = new JournalRecord[UsageDrain.BatchSize];
        int read;
        while ((read = archived.Read(ref position, batch)) > 0 || (read = journal.Read(ref position, batch)) > 0)
        {
            foreach (ref readonly var record in batch.AsSpan(0, read))
            {
                entitlement = Math.Max(entitlement, record.Admission.Entitlement);
                consumer = Math.Max(consumer, record.Admission.Consumer);
                operation = Math.Max(operation, record.Admission.Operation);
                named.Add(record);
                if (record.Kind == RecordKind.Counted) series = Math.Max(series, CounterSample.Of(record).Series);
            }
        }

        await store.WriteAsync(async db =>
        {
            if (await IsBeyondAsync("consumers", consumer))
                await db.ExecuteAsync("insert into consumers (key, id, username, managed_by, created_at) " +
                    "values (@consumer, @id, @id, 'api', 0)", new { consumer, id = $"restored-{consumer}" });
            if (await IsBeyondAsync("operation_keys", operation))
                await db.ExecuteAsync("insert into operation_keys (key, api, operation, endpoint) " +
                    "values (@operation, 'restored', @name, @name)", new { operation, name = $"operation {operation}" });
            await named.ReserveAsync(db);
            // series that came after the backup are not known any more: none of them counts as new
            await db.ExecuteAsync("update counter_sources set anew = 1");
            if (await IsBeyondAsync("counter_series", series))
                await db.ExecuteAsync("insert into counter_series (key, source, labels) values (@series, 0, @name)",
                    new { series, name = $"restored {series}" });
            if (!await IsBeyondAsync("entitlements", entitlement)) return;
            var customer = await db.ExecuteScalarAsync<long>(
                "insert into customers (id, name, currency, timezone, managed_by, created_at) " +
                "values (@id, @id, 'USD', 'UTC', 'api', 0) returning key", new { id = $"restored-{entitlement}" });
            await db.ExecuteAsync("insert into entitlements (key, subscription_id, customer_key, plan_id, plan_version, " +
                "priority, anchor, timezone, start_at, end_at) " +
                "values (@entitlement, @id, @customer, 'restored', 1, 0, '2000-01-01', 'UTC', 0, 0)",
                new { entitlement, customer, id = $"restored-{entitlement}" });

            async Task<bool> IsBeyondAsync(string table, int key) =>
                key > await db.ExecuteScalarAsync<long>($"select coalesce(max(key), 0) from {table}");
        });
    }

    private static ArchiveFile[] Later(string data, uint id, ulong position)
    {
        var (folder, files) = (Path.Combine(data, "archive"), new List<ArchiveFile>());
        foreach (var path in Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal))
        {
            var name = Path.GetFileName(path);
            if (ArchiveFile.TryParse(name, out var journal, out var first, out var next) && journal == id && next > position)
                files.Add(ArchiveReading.Describe(folder, name, journal, first, next));
        }

        return [.. files];
    }

    /// <summary>Keys of subjects, sets of dimensions and meters, of which every one that is named is reserved.</summary>
    private sealed class NamedKeys
    {
        private readonly HashSet<int> _subjects = [], _sets = [], _meters = [];

        public void Add(in JournalRecord record)
        {
            if (record.Kind < RecordKind.Measured) return;
            if (record.Kind >= RecordKind.Event) _subjects.Add(record.Subject);
            if (record.Dimensions != 0) _sets.Add(record.Dimensions);
            _meters.Add(record.Meter);
        }

        public async Task ReserveAsync(DbConnection db)
        {
            await ReserveAsync(db, _subjects, "event_subjects (key, subject)", "'restored ' || @key");
            await ReserveAsync(db, _sets, "dimension_sets (key, dimensions)", "'{\"restored\":\"' || @key || '\"}'");
            await ReserveAsync(db, _meters, "meter_keys (key, name, aggregation, scale)", "'restored-' || @key, 'sum', 0");
        }

        private static Task ReserveAsync(DbConnection db, HashSet<int> keys, string into, string values) => db.ExecuteAsync(
            $"insert into {into} values (@key, {values}) on conflict do nothing", keys.Order().Select(key => new { key }));
    }
}
