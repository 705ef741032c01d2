using System.Data.Common;
using DbUp.Builder;

namespace Tollgate.Storage;

/// <summary>What differs between the two databases below the SQL: connecting, transactions, turns of writers, and the
/// few words of DDL.</summary>
internal abstract class Engine(string name) : IAsyncDisposable
{
    /// <summary>For messages; never with a password.</summary>
    public string Name { get; } = name;

    public static Engine Of(string where) =>
        PostgresAddress.IsOne(where) ? new PostgresEngine(PostgresAddress.Parse(where)) : new SqliteEngine(where);

    /// <summary>Makes the store reachable, or throws.</summary>
    public abstract void Prepare();

    /// <summary>What went wrong when opening, in words for the operator.</summary>
    public abstract StorageException Explain(DbException e);

    public abstract ValueTask<DbConnection> OpenAsync(CancellationToken cancel);

    /// <summary>A transaction in which all reads see one state.</summary>
    public abstract ValueTask<DbTransaction> SnapshotAsync(DbConnection connection, CancellationToken cancel);

    public abstract Task<T> WriteAsync<T>(Turn turn, Func<DbConnection, Task<T>> write, CancellationToken cancel);

    /// <summary>Held by one process at a time while it migrates.</summary>
    public abstract IDisposable LockMigrations();

    public abstract UpgradeEngineBuilder Migrator();

    /// <summary>In words for the operator, why a migration failed; null where the server's own say it.</summary>
    public virtual string? WhyFailed(Exception failure) => null;

    /// <summary>The names of all tables in the store.</summary>
    public abstract IReadOnlyList<string> Tables();

    /// <summary>Where the names of the migrations that have run are kept.</summary>
    public abstract string JournalTable { get; }

    public abstract IReadOnlyList<string> Names(string sql);

    /// <summary>Changes by other nodes; null when there can be none.</summary>
    public virtual Task<PostgresChanges?> FollowAsync(ChangeFeed feed, CancellationToken cancel) =>
        Task.FromResult<PostgresChanges?>(null);

    /// <summary>Called when migrations have run.</summary>
    public virtual void AfterMigrations()
    {
    }

    public abstract ValueTask DisposeAsync();

    public static IReadOnlyList<string> NamesOf(DbConnection open, string sql)
    {
        using var command = open.CreateCommand();
        command.CommandText = sql;
        using var reader = command.ExecuteReader();
        var names = new List<string>();
        while (reader.Read()) names.Add(reader.GetString(0));
        return names;
    }
}
