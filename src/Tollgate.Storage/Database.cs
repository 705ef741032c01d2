using System.Data.Common;
using Microsoft.Data.Sqlite;

namespace Tollgate.Storage;

/// <summary>
/// The embedded store: one SQLite file. Readers run side by side; writers take turns, each in a transaction that
/// commits whole or not at all.
/// </summary>
public sealed class Database : IAsyncDisposable
{
    /// <summary>How long a writer waits for the one before it, machine time; then the caller hears of it.</summary>
    public static readonly TimeSpan WriteWait = TimeSpan.FromSeconds(30);

    private readonly DbDataSource _source;
    private readonly SemaphoreSlim _writer = new(1, 1);

    // columns are snake_case, records are not
    static Database() => Dapper.DefaultTypeMap.MatchNamesWithUnderscores = true;

    private Database(DbDataSource source, string path) => (_source, Path) = (source, path);

    public string Path { get; }

    /// <summary>Opens or creates the file and brings its tables up to date.</summary>
    /// <exception cref="StorageException">The file is no database, or was written by a newer version, or cannot be
    /// opened; the message says which file and what to do.</exception>
    public static Database Open(string path)
    {
        var connection = new SqliteConnectionStringBuilder
        {
            DataSource = path,
            ForeignKeys = true,
            Pooling = true,
            DefaultTimeout = 30,
        }.ToString();
        try
        {
            using (var probe = new SqliteConnection(connection))
            {
                probe.Open();
                using var command = probe.CreateCommand();
                command.CommandText = "pragma journal_mode = wal";
                command.ExecuteScalar();
            }

            Migrations.Apply(connection, path);
        }
        catch (SqliteException e) when (e.SqliteErrorCode == 26)
        {
            throw new StorageException($"{path} is not a Tollgate database (SQLite: file is not a database). " +
                "Move it away, or point --data at another folder.", e);
        }
        catch (SqliteException e)
        {
            throw new StorageException($"{path} cannot be opened: {e.Message}", e);
        }

        return new Database(SqliteFactory.Instance.CreateDataSource(connection), path);
    }

    /// <summary>Reads on a connection of its own. All reads in it see one state: what was committed before the first.
    /// </summary>
    public async Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read, CancellationToken cancel = default)
    {
        await using var connection = await _source.OpenConnectionAsync(cancel);
        // deferred: it takes no lock of a writer's; commands on the connection are part of it by themselves
        await using var snapshot = ((SqliteConnection)connection).BeginTransaction(deferred: true);
        return await read(connection);
    }

    /// <summary>
    /// Runs the work in one transaction and commits it when the work returns; an exception rolls all of it back.
    /// The work must not do anything but SQL: what follows from the commit comes after this call.
    /// </summary>
    /// <exception cref="StorageException">Another writer held the store for longer than <see cref="WriteWait"/>.</exception>
    public async Task<T> WriteAsync<T>(Func<DbConnection, Task<T>> write, CancellationToken cancel = default)
    {
        if (!await _writer.WaitAsync(WriteWait, cancel))
            throw new StorageException($"{Path} is busy: a writer has held it for {WriteWait.TotalSeconds} s.");
        try
        {
            await using var connection = await _source.OpenConnectionAsync(cancel);
            await using var transaction = await connection.BeginTransactionAsync(cancel);
            var result = await write(connection);
            await transaction.CommitAsync(cancel);
            return result;
        }
        finally
        {
            _writer.Release();
        }
    }

    public Task WriteAsync(Func<DbConnection, Task> write, CancellationToken cancel = default) =>
        WriteAsync(async connection => { await write(connection); return 0; }, cancel);

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        SqliteConnection.ClearAllPools();
        _writer.Dispose();
    }
}

/// <summary>The store cannot be used; the message is for the operator and names the file.</summary>
public sealed class StorageException : Exception
{
    public StorageException() { }

    public StorageException(string message) : base(message) { }

    public StorageException(string message, Exception inner) : base(message, inner) { }
}
