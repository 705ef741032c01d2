using System.Data.Common;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;

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
    public async Task WriteAsync(Database from)
    {
        await _turn.WaitAsync();
        try
        {
            var path = Path.Combine(_folder, Guid.NewGuid().ToString("n") + Unborn);
            Prepare();
            try
            {
                File.Copy(Path.Combine(_folder, Template), path);
                await FillAsync(from, path);
                Publish(path);
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
        using var single = Connect(path);
        // one file, with nothing beside it
        Execute(single, "pragma wal_checkpoint(truncate)");
        Execute(single, "pragma journal_mode = delete");
        _prepared = true;
    }

    private async Task FillAsync(Database from, string path)
    {
        OnlyOwner(path);
        await using var to = Connect(path);
        Execute(to, "pragma foreign_keys = off");
        Execute(to, "pragma synchronous = off");
        await from.ReadAsync(async db =>
        {
            await using var transaction = (SqliteTransaction)await to.BeginTransactionAsync();
            foreach (var table in _tables) await CopyAsync(db, to, table);
            await transaction.CommitAsync();
            return 0;
        });
    }

    private static async Task CopyAsync(DbConnection from, SqliteConnection to, string table)
    {
        await using var read = from.CreateCommand();
        read.CommandText = $"select * from {table}";
        await using var rows = await read.ExecuteReaderAsync();
        var names = Enumerable.Range(0, rows.FieldCount).Select(rows.GetName).ToArray();
        await using var write = to.CreateCommand();
        write.CommandText = $"delete from {table}";
        await write.ExecuteNonQueryAsync();
        write.CommandText = $"insert into {table} ({string.Join(", ", names)}) values " +
            $"({string.Join(", ", names.Select((_, i) => $"$p{i}"))})";
        var values = names.Select((_, i) => write.Parameters.AddWithValue($"$p{i}", DBNull.Value)).ToArray();
        while (await rows.ReadAsync())
        {
            for (var i = 0; i < values.Length; i++) values[i].Value = rows.GetValue(i);
            await write.ExecuteNonQueryAsync();
        }
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

    private static SqliteConnection Connect(string path)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        connection.Open();
        return connection;
    }

    private static void Execute(SqliteConnection open, string sql)
    {
        using var command = open.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
