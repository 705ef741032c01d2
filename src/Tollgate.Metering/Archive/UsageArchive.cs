using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>
/// Turns full, drained segments of the journal into Parquet files that any tool reads, and deletes the segments only
/// then. A crash at any step leaves no duplicate and no gap: the file is written under another name, made durable,
/// renamed, and written down in the database; one that was not written down is written again under the same name.
/// </summary>
public sealed class UsageArchive : IDisposable
{
    private readonly UsageJournal _journal;
    private readonly Database _database;
    private readonly Clocks _clocks;
    private readonly ArchiveOptions _options;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private long _archived;

    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public UsageArchive(UsageJournal journal, Database database, Clocks clocks, string folder, ArchiveOptions options)
    {
        options.Validate();
        (_journal, _database, _clocks, _options) = (journal, database, clocks, options);
        Folder = Path.GetFullPath(folder);
    }

    public string Folder { get; }

    /// <summary>Everything of the journal before this stands in files.</summary>
    public ulong Archived => (ulong)Volatile.Read(ref _archived);

    /// <summary>
    /// Finds how far the archive is, and takes up files that the database does not know, because it is an older one
    /// than they are. Called before the drain recovers.
    /// </summary>
    /// <exception cref="InvalidDataException">Calls that were never drained into this database are neither in the
    /// journal nor in the archive.</exception>
    public async Task StartAsync()
    {
        Directory.CreateDirectory(Folder);
        await _database.WriteAsync(db => ArchiveStore.BootAsync(db, _journal.Id, _journal.Boot, _journal.BootFirst));
        var known = (await _database.ReadAsync(db => ArchiveStore.FilesAsync(db, alsoDeleted: true)))
            .Select(f => f.Name).ToHashSet();
        foreach (var path in Directory.EnumerateFiles(Folder).Order(StringComparer.Ordinal))
        {
            var name = Path.GetFileName(path);
            if (name.EndsWith(ParquetWriter.UnbornSuffix, StringComparison.Ordinal)) File.Delete(path);
            else if (!known.Contains(name) && ArchiveFile.TryParse(name, out var journal, out var first, out var next)
                && journal == _journal.Id && next <= _journal.FirstSequence)
                await AdoptAsync(first, next);
        }

        var archived = await _database.ReadAsync(db => ArchiveStore.ArchivedAsync(db, _journal.Id));
        Volatile.Write(ref _archived, (long)archived);
        await SweepAsync();
    }

    /// <summary>Writes the segments that are full, or of an earlier boot, and drained.</summary>
    /// <param name="drained">Everything before it is in the rollups.</param>
    /// <returns>How many files were written.</returns>
    public async Task<int> RunAsync(ulong drained)
    {
        await _turn.WaitAsync();
        try
        {
            var written = 0;
            foreach (var (first, end) in _journal.Sealed())
            {
                if (end > drained) break;
                if (end <= Archived || first == end) continue;
                if (await WriteAsync(first, end) is { } file)
                {
                    await _database.WriteAsync(db => ArchiveStore.AddAsync(db, file, Micros.Now(_clocks.Machine)));
                    written++;
                }

                Volatile.Write(ref _archived, (long)end);
            }

            await RetainAsync();
            return written;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Nothing is archived or deleted while the work runs: what it sees stays.</summary>
    public async Task<T> HoldAsync<T>(Func<Task<T>> work)
    {
        await _turn.WaitAsync();
        try
        {
            return await work();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The records of the archive from a position up to where the journal begins.</summary>
    /// <exception cref="InvalidDataException">Some of them are nowhere.</exception>
    internal async Task<ArchivedRecords> RecordsAsync(ulong position)
    {
        var files = (await _database.ReadAsync(db => ArchiveStore.FilesAsync(db)))
            .Where(f => f.Journal == _journal.Id && f.Next > position && f.First < _journal.FirstSequence).ToArray();
        foreach (var file in files)
            if (ArchiveReading.Fault(Folder, file) is { } fault) throw new InvalidDataException(fault);
        return new ArchivedRecords(Folder, files);
    }

    public void Dispose() => _turn.Dispose();

    private async Task<ArchiveFile?> WriteAsync(ulong first, ulong end)
    {
        var endpoints = (await _database.ReadAsync(db => db.QueryAsync<(long Key, string Endpoint)>(
            "select key, endpoint from operation_keys"))).ToDictionary(o => (int)o.Key, o => o.Endpoint);
        // on the thread of who asks: a second of work is nothing for the threads of calls (decision 0083)
        return ParquetWriter.Write(Folder, _journal.Id, first, end, _journal.Read, endpoints);
    }

    private async Task AdoptAsync(ulong first, ulong next)
    {
        var name = ArchiveFile.NameOf(_journal.Id, first, next);
        var file = ArchiveReading.Describe(Folder, name, _journal.Id, first, next);
        await _database.WriteAsync(db => ArchiveStore.AddAsync(db, file, Micros.Now(_clocks.Machine)));
    }

    /// <summary>Deletes what is older than is kept, and the oldest while there is too much of it.</summary>
    private async Task RetainAsync()
    {
        var files = (await _database.ReadAsync(db => ArchiveStore.FilesAsync(db)))
            .Where(f => f.Journal == _journal.Id).OrderBy(f => f.MaxAt).ToArray();
        var horizon = Micros.Of(MonthsAgo(_options.KeepMonths));
        var bytes = files.Sum(f => f.Bytes);
        foreach (var file in files)
        {
            var tooMuch = _options.KeepBytes is { } most && bytes > most;
            if (file.MaxAt >= horizon && !tooMuch) break;
            bytes -= file.Bytes;
            await _database.WriteAsync(db => ArchiveStore.DeleteAsync(db, file, Micros.Now(_clocks.Business)));
            File.Delete(Path.Combine(Folder, file.Name));
        }
    }

    /// <summary>Deletes what retention had taken when a crash came between the row and the file.</summary>
    private async Task SweepAsync()
    {
        foreach (var file in await _database.ReadAsync(db => ArchiveStore.FilesAsync(db, alsoDeleted: true)))
            if (file.DeletedAt is not null) File.Delete(Path.Combine(Folder, file.Name));
    }

    /// <summary>The start of the month (UTC) so many months before the running one.</summary>
    private NodaTime.Instant MonthsAgo(int months)
    {
        var now = Micros.ToInstant(Micros.Now(_clocks.Business)).InUtc().Date;
        return new NodaTime.LocalDate(now.Year, now.Month, 1).PlusMonths(-months)
            .AtStartOfDayInZone(NodaTime.DateTimeZone.Utc).ToInstant();
    }
}
