using System.Data;
using System.Data.Common;
using DbUp;
using DbUp.Builder;
using DbUp.Engine;
using Npgsql;

namespace Tollgate.Storage;

/// <summary>
/// A PostgreSQL that several nodes share. Writers take turns at an advisory lock that ends with their transaction, so
/// code that compares before it writes means the same on both engines; a session that a dead or frozen node left open
/// is ended by the server.
/// </summary>
internal sealed class PostgresEngine : Engine
{
    // shorter than the wait of the others, so that they outlive a node that froze in its turn
    private const int IdleSeconds = 10;

    // whoever wants a table behind a migration that waits for it waits too
    private const int MigrationSeconds = 5;

    /// <summary>So many of a node's writers wait for their turn at the server, each on a connection; the others wait here, so
    /// that readers, and what a writer in its turn reads beside it, find one.</summary>
    private const int WritersAtOnce = 4;

    // its kind and key stand beside those of Turn
    private const string MigrationLock = "1953459308, 1";

    private readonly NpgsqlDataSource _source;
    private readonly NpgsqlConnectionStringBuilder _address;
    private readonly string _connection;
    private readonly SemaphoreSlim _writers = new(WritersAtOnce, WritersAtOnce);

    public PostgresEngine(NpgsqlConnectionStringBuilder address) : base(PostgresAddress.Show(address))
    {
        _address = address;
        _connection = address.ConnectionString;
        _source = NpgsqlDataSource.Create(address);
    }

    public override string JournalTable => "schemaversions";

    /// <summary>For what only this engine can: bulk copies and notifications.</summary>
    public NpgsqlDataSource Source => _source;

    public override async Task<PostgresChanges?> FollowAsync(ChangeFeed feed, CancellationToken cancel) =>
        await PostgresChanges.BeginAsync(_address, feed, cancel);

    public override void Prepare()
    {
        using var probe = _source.OpenConnection();
        if (probe.PostgreSqlVersion.Major < 15)
            throw new StorageException($"{Name} is PostgreSQL {probe.PostgreSqlVersion}; Tollgate needs 15 or newer.");
        var encoding = NamesOf(probe, "select current_setting('server_encoding')")[0];
        if (encoding != "UTF8")
            throw new StorageException($"{Name} keeps its text in {encoding}; make the database with encoding UTF8.");
    }

    // 57P03: it is starting, 57P01 and 57P02: it is stopping; 53300: it has no connection to spare
    public override StorageException Explain(DbException e) => e is PostgresException
        { SqlState: not ("57P01" or "57P02" or "57P03" or "53300") } server
        ? new StorageException($"{Name} refuses: {server.MessageText} ({server.SqlState}).", e)
        : new StoreAwayException($"{Name} cannot be reached: {(e.InnerException ?? e).Message}", e);

    public override async ValueTask<DbConnection> OpenAsync(CancellationToken cancel)
    {
        try
        {
            return new PostgresConnection(await _source.OpenConnectionAsync(cancel));
        }
        catch (NpgsqlException e)
        {
            throw Explain(e);
        }
    }

    public override ValueTask<DbTransaction> SnapshotAsync(DbConnection connection, CancellationToken cancel) =>
        connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancel);

    public override async Task<T> WriteAsync<T>(
        Turn turn, Func<DbConnection, Task<T>> write, CancellationToken cancel)
    {
        if (turn != Turn.OfAll) return await WriteInTurnAsync(turn, write, cancel);
        if (!await _writers.WaitAsync(Database.WriteWait, cancel)) throw Busy();
        try
        {
            return await WriteInTurnAsync(turn, write, cancel);
        }
        finally
        {
            _writers.Release();
        }
    }

    private async Task<T> WriteInTurnAsync<T>(Turn turn, Func<DbConnection, Task<T>> write, CancellationToken cancel)
    {
        await using var connection = await OpenAsync(cancel);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancel);
        await TakeAsync(connection, turn, cancel);
        var result = await write(connection);
        await transaction.CommitAsync(cancel);
        return result;
    }

    private StorageException Busy(Exception? e = null) =>
        new($"{Name} is busy: a writer has held it for {Database.WriteWait.TotalSeconds} s.", e);

    /// <summary>Waits for the turn. Read committed, and the lock before anything else: the first read of the work sees
    /// what the writer before it has committed.</summary>
    private async Task TakeAsync(DbConnection connection, Turn turn, CancellationToken cancel)
    {
        await using var command = connection.CreateCommand();
        command.CommandText =
            $"set local lock_timeout = '{Database.WriteWait.TotalSeconds - 1}s'; " +
            $"set local idle_in_transaction_session_timeout = '{IdleSeconds}s'; " +
            $"select pg_advisory_xact_lock({turn.Kind}, {turn.Key})";
        try
        {
            await command.ExecuteNonQueryAsync(cancel);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            throw Busy(e);
        }
    }

    public override IDisposable LockMigrations()
    {
        var connection = _source.OpenConnection();
        using var command = connection.CreateCommand();
        // as long as the migrations of another node take
        command.CommandTimeout = 3600;
        command.CommandText = $"select pg_advisory_lock({MigrationLock})";
        command.ExecuteNonQuery();
        return new Held(connection);
    }

    public override UpgradeEngineBuilder Migrator()
    {
        var schema = Names("select current_schema()")[0];
        var patient = new NpgsqlConnectionStringBuilder(_connection);
        patient.Options = $"{patient.Options} -c lock_timeout={MigrationSeconds}s".Trim();
        return DeployChanges.To.PostgresqlDatabase(patient.ConnectionString)
            .JournalToPostgresqlTable(schema, JournalTable)
            .WithPreprocessor(new Dialect())
            .WithExecutionTimeout(TimeSpan.FromHours(1));
    }

    public override string? WhyFailed(Exception failure) =>
        failure is PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable }
            ? $"another session has used one of its tables for {MigrationSeconds} s, perhaps a backup. This migration left " +
                "nothing; try again when that has ended."
            : null;

    public override IReadOnlyList<string> Tables() => Names(
        "select table_name from information_schema.tables " +
        "where table_schema = current_schema() and table_type = 'BASE TABLE' order by table_name");

    public override IReadOnlyList<string> Names(string sql)
    {
        using var open = _source.OpenConnection();
        return NamesOf(open, sql);
    }

    /// <summary>A migration that gave rows their keys itself leaves the generator behind them; it is moved past.</summary>
    public override void AfterMigrations()
    {
        using var open = _source.OpenConnection();
        foreach (var table in NamesOf(open, PostgresKeys.Tables)) PostgresKeys.Advance(open, table, atLeast: 0);
        PostgresChanges.Watch(open);
    }

    public override ValueTask DisposeAsync() => _source.DisposeAsync();

    /// <summary>The lock lives with its session; one that dies gives it back.</summary>
    private sealed class Held(NpgsqlConnection connection) : IDisposable
    {
        public void Dispose()
        {
            using (connection)
            {
                using var command = connection.CreateCommand();
                command.CommandText = $"select pg_advisory_unlock({MigrationLock})";
                command.ExecuteNonQuery();
            }
        }
    }

    private sealed class Dialect : IScriptPreprocessor
    {
        public string Process(string contents) => PostgresDialect.Translate(contents);
    }
}
