using System.Security.Cryptography;

namespace Tollgate.Storage;

/// <summary>
/// Some tables of the store in one file, so that a node can start while its server is away. The file's name is the SHA-256
/// of what is in it, and it is renamed to that when it is whole and on the disk: a file that was cut off, or changed, is not
/// taken. Only its owner may read it.
/// </summary>
public sealed class TableFile : IDisposable
{
    private const string Suffix = ".table", Template = "template.db", Unborn = ".unborn";

    private readonly string _folder;
    private readonly IReadOnlyList<string> _tables;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private bool _prepared;

    /// <param name="folder">Where it is kept; made when it is not there.</param>
    /// <param name="tables">Of one name in both stores.</param>
    public TableFile(string folder, IReadOnlyList<string> tables)
    {
        (_folder, _tables) = (folder, tables);
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
        else Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>When the newest whole file was written; null when there is none.</summary>
    public DateTime? WrittenAt => Newest() is { } path ? File.GetLastWriteTimeUtc(path) : null;

    /// <summary>Opens a copy of the newest whole file as a store of its own, to be read.</summary>
    /// <exception cref="StorageException">There is none.</exception>
    public Database Open()
    {
        var path = Newest() ?? throw new StorageException($"There is no whole table in {_folder}.");
        var copy = Path.Combine(_folder, "reading.db");
        foreach (var old in Directory.GetFiles(_folder, "reading.db*")) File.Delete(old);
        File.Copy(path, copy);
        return Database.Open(copy);
    }

    /// <summary>Writes the tables as they are at one moment.</summary>
    /// <returns>How long it took, without what only the first one needs.</returns>
    public async Task<TimeSpan> WriteAsync(Database from, TimeProvider machine)
    {
        await _turn.WaitAsync();
        try
        {
            var path = Path.Combine(_folder, Guid.NewGuid().ToString("n") + Unborn);
            Prepare();
            var began = machine.GetTimestamp();
            try
            {
                File.Copy(Path.Combine(_folder, Template), path);
                await FillAsync(from, path);
                Publish(path);
                return machine.GetElapsedTime(began);
            }
            catch
            {
                File.Delete(path);
                throw;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();

    /// <summary>An empty store with all tables, made once by each process, since another version has others.</summary>
    private void Prepare()
    {
        if (_prepared) return;
        foreach (var old in Directory.GetFiles(_folder, "*" + Unborn)) File.Delete(old);
        foreach (var old in Directory.GetFiles(_folder, Template + "*")) File.Delete(old);
        var path = Path.Combine(_folder, Template);
        using (File.Create(path)) OnlyOwner(path);
        Database.Open(path).DisposeAsync().AsTask().GetAwaiter().GetResult();
        StoreSnapshot.MakeSingle(path);
        _prepared = true;
    }

    private async Task FillAsync(Database from, string path)
    {
        OnlyOwner(path);
        await StoreSnapshot.FillAsync(from, path, _tables);
    }

    private void Publish(string path)
    {
        string name;
        using (var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite))
        {
            name = Convert.ToHexStringLower(SHA256.HashData(file)) + Suffix;
            file.Flush(flushToDisk: true);
        }

        var target = Path.Combine(_folder, name);
        File.Move(path, target, overwrite: true);
        File.SetLastWriteTimeUtc(target, TimeProvider.System.GetUtcNow().UtcDateTime);
        foreach (var old in Directory.GetFiles(_folder, "*" + Suffix))
            if (old != target) File.Delete(old);
    }

    private string? Newest() => Directory.GetFiles(_folder, "*" + Suffix).OrderByDescending(File.GetLastWriteTimeUtc)
        .FirstOrDefault(IsWhole);

    private static bool IsWhole(string path)
    {
        using var file = File.OpenRead(path);
        return Path.GetFileNameWithoutExtension(path) == Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static void OnlyOwner(string path)
    {
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }
}
