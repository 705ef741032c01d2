using System.Data.Common;
using DbUp;
using DbUp.Builder;
using Microsoft.Data.Sqlite;

namespace Tollgate.Storage;

/// <summary>The embedded store: one file. Writers of this process take turns at a semaphore, those of others at the
/// file's own lock.</summary>
internal sealed class SqliteEngine : Engine
{
    private readonly string _connection;
    private readonly DbDataSource _source;
    private readonly SemaphoreSlim _writer = new(1, 1);

    public SqliteEngine(string path) : base(path)
    {
        _connection = new SqliteConnectionStringBuilder
        {
            DataSource = path,
            ForeignKeys = true,
            Pooling = true,
            DefaultTimeout = (int)Database.WriteWait.TotalSeconds,
        }.ToString();
        _source = SqliteFactory.Instance.CreateDataSource(_connection);
    }

    public override string JournalTable => "SchemaVersions";

    public override void Prepare()
    {
        using var probe = new SqliteConnection(_connection);
        probe.Open();
        using var command = probe.CreateCommand();
        command.CommandText = "pragma journal_mode = wal";
        command.ExecuteScalar();
    }

    public override StorageException Explain(DbException e) => e is SqliteException { SqliteErrorCode: 26 }
        ? new StorageException($"{Name} is not a Tollgate database (SQLite: file is not a database). " +
            "Move it away, or point --data at another folder.", e)
        : new StorageException($"{Name} cannot be opened: {e.Message}", e);

    public override ValueTask<DbConnection> OpenAsync(CancellationToken cancel) => _source.OpenConnectionAsync(cancel);

    // deferred: it takes no lock of a writer's
    public override ValueTask<DbTransaction> SnapshotAsync(DbConnection connection, CancellationToken cancel) =>
        new(((SqliteConnection)connection).BeginTransaction(deferred: true));

    public override async Task<T> WriteAsync<T>(
        Turn turn, Func<DbConnection, Task<T>> write, CancellationToken cancel)
    {
        if (!await _writer.WaitAsync(Database.WriteWait, cancel))
            throw new StorageException(
                $"{Name} is busy: a writer has held it for {Database.WriteWait.TotalSeconds} s.");
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

    // a data folder is one process's
    public override IDisposable LockMigrations() => new MemoryStream(0);

    public override UpgradeEngineBuilder Migrator() => DeployChanges.To.SqliteDatabase(_connection);

    public override IReadOnlyList<string> Tables() =>
        Names("select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name");

    public override IReadOnlyList<string> Names(string sql)
    {
        using var open = new SqliteConnection(_connection);
        open.Open();
        return NamesOf(open, sql);
    }

    public override async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        // of this file alone: others of this process go on
        using var ours = new SqliteConnection(_connection);
        SqliteConnection.ClearPool(ours);
        _writer.Dispose();
    }
}
