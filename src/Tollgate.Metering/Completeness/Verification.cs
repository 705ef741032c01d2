using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>What was looked at, and what is wrong.</summary>
/// <param name="Faults">Each names its file, its sequences or its row. None: the ledger is whole.</param>
public sealed record Verified(IReadOnlyList<string> Faults)
{
    /// <summary>Files of the archive whose bytes are those that were written.</summary>
    public required int Files { get; init; }

    /// <summary>Segments of the journal that were read to their end.</summary>
    public required int Segments { get; init; }

    /// <summary>Records that were drained a second time.</summary>
    public required long Records { get; init; }

    /// <summary>Rows of the rollups that came out the same.</summary>
    public required long Rows { get; init; }

    /// <summary>Sequences that dying processes took and did not write; legal, and counted.</summary>
    public required long Holes { get; init; }

    /// <summary>From when on everything is proved, microseconds UTC; 0: from the beginning.</summary>
    public required long From { get; init; }
}

/// <summary>
/// Proves data folders: each file is what was written, sequences have no gap, and draining archives and journals again
/// comes to the same sums. Writes nothing into them, and needs room for a copy of their database.
/// </summary>
/// <param name="folders">One; or those of all nodes that share a server.</param>
/// <param name="server">The server that they share; null: the database in the one folder.</param>
public sealed class Verification(IReadOnlyList<string> folders, string? server, Clocks clocks, ReadTerms terms)
{
    private readonly List<string> _faults = [];

    public Verification(string data, Clocks clocks, ReadTerms terms) : this([data], null, clocks, terms)
    {
    }

    /// <exception cref="StorageException">The database cannot be read at all.</exception>
    /// <exception cref="InvalidDataException">The journal cannot be read at all.</exception>
    public async Task<Verified> RunAsync()
    {
        var scratch = Path.Combine(Path.GetTempPath(), $"tollgate-verify-{Guid.NewGuid():n}.db");
        try
        {
            if (server is not null) await CopyServerAsync(scratch);
            else SqliteCopy.Take(Path.Combine(folders[0], "tollgate.db"), scratch);
            _faults.AddRange(SqliteCopy.Faults(scratch));
            if (_faults.Count > 0) return Nothing();
            await using var database = Database.Open(scratch);
            return await RunAsync(database);
        }
        finally
        {
            foreach (var suffix in new[] { "", "-wal", "-shm" }) File.Delete(scratch + suffix);
        }
    }

    // identities of events are made again by the drain
    private async Task CopyServerAsync(string scratch)
    {
        await using var live = Database.Open(server!);
        await StoreSnapshot.TakeAsync(live, scratch, "event_days", "event_filters");
    }

    private async Task<Verified> RunAsync(Database database)
    {
        var all = await database.ReadAsync(db => ArchiveStore.FilesAsync(db, alsoDeleted: true));
        var looked = new List<Looked>();
        foreach (var folder in folders) looked.Add(await LookAsync(database, folder, all));
        var ids = looked.Select(l => (long)l.Journal.Id).ToArray();
        var others = await database.ReadAsync(db => db.ExecuteScalarAsync<long>(
            "select count(*) from journals where id not in @ids", new { ids }));
        if (others > 0)
            _faults.Add($"{others} more journals were drained into this database: their folders are elsewhere, so sums were not compared");
        var archived = looked.ConvertAll(l => new ArchivedRecords(l.Archive, l.Good));
        try
        {
            var whole = others == 0 && looked.TrueForAll(l => l.IsKnown) && ids.Distinct().Count() == ids.Length;
            var journals = looked.Select((l, i) => (l.Journal.Id, Both(archived[i], l.Journal))).ToArray();
            var replayed = whole ? await new Replay(database, clocks, terms).RunAsync(journals) : new Replayed(0, 0, []);
            _faults.AddRange(replayed.Differences);
            return new Verified(_faults)
            {
                Files = looked.Sum(l => l.Good.Length),
                Segments = looked.Sum(l => l.Journal.Stretches.Count),
                Records = replayed.Records,
                Rows = replayed.Rows,
                Holes = looked.Sum(l => l.Holes),
                From = replayed.From,
            };
        }
        finally
        {
            archived.ForEach(a => a.Dispose());
        }
    }

    private static ReadRecords Both(ArchivedRecords archive, JournalFiles journal) => (ref at, into) =>
    {
        var count = archive.Read(ref at, into);
        return count + journal.Read(ref at, into[count..]);
    };

    private async Task<Looked> LookAsync(Database database, string folder, IReadOnlyList<ArchiveFile> all)
    {
        var journal = JournalFiles.Read(Path.Combine(folder, "journal"));
        _faults.AddRange(journal.Faults);
        var archive = Path.Combine(folder, "archive");
        var files = all.Where(f => f.Journal == journal.Id).ToArray();
        var good = files.Where(f => f.DeletedAt is null && !IsFaulty(archive, f)).ToArray();
        var boots = await database.ReadAsync(db => ArchiveStore.BootsAsync(db, journal.Id));
        var position = await database.ReadAsync(db => db.ExecuteScalarAsync<long?>(
            "select position from journals where id = @id", new { id = (long)journal.Id }));
        if (position is null) _faults.Add($"the database knows no journal {journal.Id:x8}: one of the two is somebody else's");
        CheckSequences(files, journal, boots, (ulong)(position ?? 0));
        return new Looked(journal, archive, good, position is not null);
    }

    private Verified Nothing() =>
        new(_faults) { Files = 0, Segments = 0, Records = 0, Rows = 0, Holes = 0, From = 0 };

    private bool IsFaulty(string archive, ArchiveFile file)
    {
        if (ArchiveReading.Fault(archive, file) is not { } fault) return false;
        _faults.Add(fault);
        return true;
    }

    /// <summary>Within a boot, what follows begins where the one before ends; a boot begins where it was written down to
    /// begin; and everything that was drained is there.</summary>
    private void CheckSequences(
        IReadOnlyList<ArchiveFile> files, JournalFiles journal, IReadOnlyDictionary<uint, ulong> boots, ulong position)
    {
        var stretches = files.Select(f => (f.First, End: f.Next, f.Boot))
            .Concat(journal.Stretches.Where(s => !files.Any(f => f.First == s.First)).Select(s => (s.First, s.End, s.Boot)))
            .OrderBy(s => s.First).ToArray();
        for (var i = 0; i < stretches.Length; i++)
        {
            var (first, _, boot) = stretches[i];
            var begins = i == 0 || stretches[i - 1].Boot != boot;
            if (!begins && stretches[i - 1].End < first) Gap(stretches[i - 1].End, first, boot);
            if (i > 0 && stretches[i - 1].End > first)
                _faults.Add($"sequences {first} to {stretches[i - 1].End - 1} stand in two places");
            if (begins && boots.TryGetValue(boot, out var from) && from < first) Gap(from, first, boot);
        }

        // where a boot begins that has written nothing yet is a place to wait at, too
        var end = Math.Max(stretches.Select(s => s.End).LastOrDefault(), boots.Values.DefaultIfEmpty().Max());
        if (end < position)
            _faults.Add($"the database has drained up to sequence {position}, archive and journal end before {end}");
    }

    private void Gap(ulong from, ulong to, uint boot) =>
        _faults.Add($"sequences {from} to {to - 1} of boot {boot} are neither in the archive nor in the journal");

    private sealed record Looked(JournalFiles Journal, string Archive, ArchiveFile[] Good, bool IsKnown)
    {
        public long Holes => Good.Sum(f => f.Holes) + Journal.Stretches.Where(s => !Good.Any(f => f.First == s.First))
            .Sum(s => (long)(s.End - s.First) - s.Records);
    }
}
