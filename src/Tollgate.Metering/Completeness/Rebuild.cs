using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>
/// Makes the sums of a working node again out of archive and journal, and says where they differ from what is stored.
/// Calls go on meanwhile; they wait in the journal until it is done.
/// </summary>
public sealed class Rebuild(
    string data, UsageJournal journal, Database live, UsageDrain drain, UsageArchive archive, Clocks clocks, ReadTerms terms)
{
    private const string Columns =
        "entitlement, period, consumer, meter, operation, method, dimensions, bucket, admitted, quantity, unknown, items, latest_at";

    /// <param name="write">Puts the new sums in the place of those that differ, in one transaction. Sums that hold usage
    /// of events stay: whose an event is may have been settled by hand.</param>
    public Task<Replayed> RunAsync(bool write) =>
        archive.HoldAsync(() => drain.HoldAsync(() => ReplayAsync(write)));

    private async Task<Replayed> ReplayAsync(bool write)
    {
        var copy = Path.Combine(Path.GetTempPath(), $"tollgate-replay-{Guid.NewGuid():n}.db");
        try
        {
            SqliteCopy.Take(live.Path, copy);
            await using var scratch = Database.Open(copy);
            var files = await scratch.ReadAsync(db => ArchiveStore.FilesAsync(db));
            using var archived = new ArchivedRecords(
                archive.Folder, files.Where(f => f.Journal == journal.Id).ToArray());
            var young = JournalFiles.Read(Path.Combine(data, "journal"));
            var found = await new Replay(scratch, clocks, terms).RunAsync(journal.Id, (ref at, into) =>
            {
                var count = archived.Read(ref at, into);
                return count + young.Read(ref at, into[count..]);
            });
            if (!write || found.Differences.Count == 0) return found;
            await WriteAsync(scratch, found);
            return found with { Written = true };
        }
        finally
        {
            foreach (var suffix in new[] { "", "-wal", "-shm" }) File.Delete(copy + suffix);
        }
    }

    private Task WriteAsync(Database scratch, Replayed found)
    {
        var rows = $"bucket >= {found.From}" +
            (found.FedByEvents.Count == 0 ? "" : $" and meter not in ({string.Join(", ", found.FedByEvents)})");
        return live.WriteAsync(db => scratch.ReadAsync(async from =>
        {
            await db.ExecuteAsync($"delete from rollups where {rows}");
            var insert = $"insert into rollups ({Columns}) values ({string.Join(", ", Columns.Split(", ").Select(c => "@" + c))})";
            await foreach (IDictionary<string, object> row in from.QueryUnbufferedAsync($"select {Columns} from rollups where {rows}"))
                await db.ExecuteAsync(insert, row);
            return 0;
        }));
    }
}
