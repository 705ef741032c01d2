using System.Security.Cryptography;
using System.Text.Json;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate;

/// <summary>A file of a backup.</summary>
/// <param name="Path">Relative to the backup's folder, with slashes.</param>
/// <param name="Sha256">Hexadecimal.</param>
public sealed record BackupFile(string Path, long Bytes, string Sha256);

/// <summary>What a backup holds; its last file, so that a folder without it is no whole backup.</summary>
public sealed record BackupManifest
{
    public const string FileName = "backup.json";

    /// <summary>Of this layout.</summary>
    public const int Version = 1;

    internal static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
    };

    public required int Format { get; init; }

    /// <summary>RFC 3339, machine time.</summary>
    public required string TakenAt { get; init; }

    /// <summary>The journal's id, 8 hexadecimal digits.</summary>
    public required string Journal { get; init; }

    /// <summary>Everything before this is in the database of the backup; what follows, in its journal.</summary>
    public required long Position { get; init; }

    public required IReadOnlyList<BackupFile> Files { get; init; }
}

/// <summary>
/// Copies a data folder while its server works: the database of one moment, and all of journal and archive that this
/// moment needs. Started from it, a server knows every call that was answered before the backup began.
/// </summary>
public sealed class Backup(TollgateNode node)
{
    /// <summary>Takes a backup into a folder that is not there yet, or is empty.</summary>
    public async Task<Result<BackupManifest>> TakeAsync(string folder)
    {
        if (Check(folder) is { } problem) return problem;
        DataFolder.Create(folder);
        // nothing is archived meanwhile, so whatever this database has not drained stays in the journal
        return await node.Archive.HoldAsync<Result<BackupManifest>>(async () => await CopyAsync(folder));
    }

    private Problem? Check(string folder)
    {
        if (!node.Database.IsEmbedded)
            return new Problem("backup_elsewhere", "The store is a PostgreSQL: back it up with pg_dump, and the data folder " +
                "of each node by copying it.");
        if (!Path.IsPathFullyQualified(folder))
            return new Problem("bad_value", "must be a full path on the server's machine, such as /backups/2026-01-31", "folder");
        var full = Path.GetFullPath(folder);
        var data = Path.GetFullPath(node.Options.Data);
        if (full == data || full.StartsWith(data + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            return new Problem("bad_value", "must not lie in the data folder", "folder");
        if (File.Exists(full) || (Directory.Exists(full) && Directory.EnumerateFileSystemEntries(full).Any()))
            return new Problem("not_empty", $"{full} is there and not empty; a backup is never written over", "folder");
        return null;
    }

    private async Task<BackupManifest> CopyAsync(string folder)
    {
        var data = node.Options.Data;
        var store = Path.Combine(folder, DataFolder.Store);
        await Task.Run(() => SqliteCopy.Take(Path.Combine(data, DataFolder.Store), store));
        long position;
        IReadOnlyList<string> archived;
        await using (var copy = Database.Open(store))
        {
            (position, archived) = await copy.ReadAsync(async db => (
                await db.ExecuteScalarAsync<long>("select position from journals where id = @id", new { id = (long)node.Journal.Id }),
                (IReadOnlyList<string>)(await db.QueryAsync<string>(
                    "select name from archive_files where deleted_at is null and journal = @id",
                    new { id = (long)node.Journal.Id })).AsList()));
        }

        File.Delete(store + "-wal");
        File.Delete(store + "-shm");
        await Task.Run(() => CopyFiles(data, folder, archived));
        var manifest = new BackupManifest
        {
            Format = BackupManifest.Version,
            TakenAt = Micros.ToText(Micros.Now(node.Clocks.Machine)),
            Journal = node.Journal.Id.ToString("x8"),
            Position = position,
            Files = [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
                .Select(path => Describe(folder, path))],
        };
        await using var last = new FileStream(Path.Combine(folder, BackupManifest.FileName), FileMode.CreateNew);
        await JsonSerializer.SerializeAsync(last, manifest, BackupManifest.Json);
        last.Flush(flushToDisk: true);
        return manifest;
    }

    private static void CopyFiles(string data, string folder, IReadOnlyList<string> archived)
    {
        var journal = Path.Combine(data, DataFolder.Journal);
        Directory.CreateDirectory(Path.Combine(folder, DataFolder.Journal));
        Directory.CreateDirectory(Path.Combine(folder, DataFolder.Archive));
        File.Copy(Path.Combine(data, DataFolder.InstallKey), Path.Combine(folder, DataFolder.InstallKey));
        File.Copy(Path.Combine(journal, "journal.id"), Path.Combine(folder, DataFolder.Journal, "journal.id"));
        foreach (var segment in Directory.EnumerateFiles(journal, "*.journal"))
        {
            try
            {
                File.Copy(segment, Path.Combine(folder, DataFolder.Journal, Path.GetFileName(segment)));
            }
            catch (FileNotFoundException)
            {
                // archived before we began, and deleted now: the archive has it
            }
        }

        foreach (var name in archived)
            File.Copy(Path.Combine(data, DataFolder.Archive, name), Path.Combine(folder, DataFolder.Archive, name));
        foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
            file.Flush(flushToDisk: true);
        }
    }

    private static BackupFile Describe(string folder, string path)
    {
        using var file = File.OpenRead(path);
        return new BackupFile(
            Path.GetRelativePath(folder, path).Replace('\\', '/'), file.Length, Convert.ToHexStringLower(SHA256.HashData(file)));
    }
}
