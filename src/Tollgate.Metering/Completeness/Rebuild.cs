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
    /// <param name="write">Puts the new rows in the place of those that differ, in one transaction.</param>
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

    private Task WriteAsync(Database scratch, Replayed found) => live.WriteAsync(db => scratch.ReadAsync(async from =>
    {
        foreach (var (table, columns, time) in ReplayTables.Sums)
        {
            var rows = $"{time} >= {found.From}";
            await db.ExecuteAsync($"delete from {table} where {rows}");
            var insert = $"insert into {table} ({columns}) values ({string.Join(", ", columns.Split(", ").Select(c => "@" + c))})";
            await foreach (IDictionary<string, object> row in from.QueryUnbufferedAsync($"select {columns} from {table} where {rows}"))
                await db.ExecuteAsync(insert, row);
        }

        return 0;
    }));
}
