using Microsoft.Data.Sqlite;

namespace Tollgate.Storage;

/// <summary>A copy of a SQLite database while others read and write it: all of one moment, by SQLite's own means.
/// </summary>
public static class SqliteCopy
{
    /// <summary>Copies a database into a file that is not there yet.</summary>
    /// <exception cref="StorageException">The database cannot be read, or the file not be written.</exception>
    public static void Take(string from, string to)
    {
        try
        {
            using var source = Open(from, SqliteOpenMode.ReadWrite);
            using (var target = Open(to, SqliteOpenMode.ReadWriteCreate)) source.BackupDatabase(target);
            using var file = new FileStream(to, FileMode.Open, FileAccess.ReadWrite);
            file.Flush(flushToDisk: true);
        }
        catch (SqliteException e)
        {
            throw new StorageException($"{from} cannot be copied to {to}: {e.Message}", e);
        }
    }

    /// <summary>What SQLite finds wrong with the pages of a file; nothing when it is whole.</summary>
    public static IReadOnlyList<string> Faults(string path)
    {
        try
        {
            using var open = Open(path, SqliteOpenMode.ReadWrite);
            using var command = open.CreateCommand();
            command.CommandText = "pragma integrity_check(10)";
            using var reader = command.ExecuteReader();
            var faults = new List<string>();
            while (reader.Read())
                if (reader.GetString(0) is not "ok" and var fault) faults.Add($"{path}: {fault}");
            return faults;
        }
        catch (SqliteException e)
        {
            return [$"{path}: {e.Message}"];
        }
    }

    private static SqliteConnection Open(string path, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = mode,
            Pooling = false,
            DefaultTimeout = 30,
        }.ToString());
        try
        {
            connection.Open();
            // a copy asks SQLite itself for its locks: without this it would give up at the first that is taken
            using var wait = connection.CreateCommand();
            wait.CommandText = "pragma busy_timeout = 30000";
            wait.ExecuteNonQuery();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}
