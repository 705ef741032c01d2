using System.Security.Cryptography;
using System.Text.Json;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate;

/// <summary>What a restore did.</summary>
/// <param name="KeptJournal">The data folder had the same journal, with later calls: they are kept, and counted at the
/// next start.</param>
/// <param name="OldStore">Where the database that was there is now; null when there was none.</param>
public sealed record Restored(BackupManifest Manifest, bool KeptJournal, string? OldStore);

/// <summary>
/// Puts a backup into a data folder that no server runs on. A folder with the backup's own journal keeps journal and
/// archive: they know all calls since, each by an identity of its own, so the older database takes them up once and
/// nothing is billed twice. Any other folder must be empty.
/// </summary>
public static class Restore
{
    /// <exception cref="StartupException">Why not; nothing was changed.</exception>
    public static async Task<Restored> RunAsync(string backup, string data)
    {
        if (Path.GetFullPath(backup).TrimEnd('/') == Path.GetFullPath(data).TrimEnd('/'))
            throw new StartupException($"{data} is the backup itself. Name the data folder with --data.");
        var manifest = Read(backup);
        foreach (var file in manifest.Files) Check(backup, file);
        DataFolder.Create(data);
        var journal = Path.Combine(data, DataFolder.Journal);
        var idFile = Path.Combine(journal, "journal.id");
        var same = File.Exists(idFile) && (await File.ReadAllTextAsync(idFile)).Trim() == manifest.Journal;
        if (!same && Directory.EnumerateFileSystemEntries(data).Any())
            throw new StartupException($"{data} is not empty, and its journal is not the one of the backup " +
                $"({manifest.Journal}). Name an empty folder with --data, or move this one away.");
        using var held = same ? Hold(journal) : null;
        var old = same ? MoveAway(data, manifest) : null;
        foreach (var file in manifest.Files.Where(f => f.Path != DataFolder.Store)) Copy(backup, data, file);
        // the database last: a folder without one is no data folder yet, and this can be run again
        Copy(backup, data, manifest.Files.Single(f => f.Path == DataFolder.Store));
        if (same)
        {
            await using var store = Database.Open(Path.Combine(data, DataFolder.Store));
            await LaterKeys.ReserveAsync(store, data);
        }

        return new Restored(manifest, same, old);
    }

    private static BackupManifest Read(string backup)
    {
        var path = Path.Combine(backup, BackupManifest.FileName);
        try
        {
            var manifest = JsonSerializer.Deserialize<BackupManifest>(File.ReadAllText(path), BackupManifest.Json)
                ?? throw new JsonException("it is null");
            if (manifest.Format != BackupManifest.Version)
                throw new StartupException($"{path} is of format {manifest.Format}; this program reads {BackupManifest.Version}.");
            if (manifest.Files.Any(f => f.Path.Contains("..", StringComparison.Ordinal) || Path.IsPathRooted(f.Path)))
                throw new StartupException($"{path} names files outside of its folder.");
            return manifest;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new StartupException($"{backup} is no whole backup: {BackupManifest.FileName} is not there.", e);
        }
        catch (JsonException e)
        {
            throw new StartupException($"{path} cannot be read: {e.Message}", e);
        }
    }

    private static void Check(string backup, BackupFile file)
    {
        var path = Path.Combine(backup, file.Path);
        if (!File.Exists(path)) throw new StartupException($"{path} is missing from the backup.");
        using var bytes = File.OpenRead(path);
        if (Convert.ToHexStringLower(SHA256.HashData(bytes)) != file.Sha256)
            throw new StartupException($"{path} is not what was backed up: its checksum differs.");
    }

    private static FileStream Hold(string journal)
    {
        var path = Path.Combine(journal, "journal.lock");
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new StartupException($"A server runs on this data folder: it holds {path}. Stop it first.", e);
        }
    }

    private static string? MoveAway(string data, BackupManifest manifest)
    {
        var store = Path.Combine(data, DataFolder.Store);
        if (!File.Exists(store)) return null;
        var old = $"{store}.before-{manifest.TakenAt.Replace(":", "", StringComparison.Ordinal)}";
        for (var n = 2; File.Exists(old); n++) old = $"{store}.before-{manifest.TakenAt.Replace(":", "", StringComparison.Ordinal)}-{n}";
        foreach (var suffix in new[] { "-wal", "-shm", "" })
            if (File.Exists(store + suffix)) File.Move(store + suffix, old + suffix);
        return old;
    }

    /// <summary>What is there is newer, or the same.</summary>
    private static void Copy(string backup, string data, BackupFile file)
    {
        var target = Path.Combine(data, file.Path);
        if (File.Exists(target)) return;
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        if (IsArchived(data, target)) return;
        File.Copy(Path.Combine(backup, file.Path), target + ".new", overwrite: true);
        using (var copied = new FileStream(target + ".new", FileMode.Open, FileAccess.ReadWrite)) copied.Flush(flushToDisk: true);
        File.Move(target + ".new", target);
    }

    /// <summary>A segment of the backup that has become a file of the archive since.</summary>
    private static bool IsArchived(string data, string target) =>
        target.EndsWith(".journal", StringComparison.Ordinal)
        && Directory.Exists(Path.Combine(data, DataFolder.Archive))
        && Directory.EnumerateFiles(Path.Combine(data, DataFolder.Archive), "*.parquet").Any(f =>
            ArchiveFile.TryParse(Path.GetFileName(f), out _, out var first, out _)
            && first.ToString("D20", System.Globalization.CultureInfo.InvariantCulture) == Path.GetFileNameWithoutExtension(target));
}
