using System.Data.Common;

namespace Tollgate.Storage;

/// <summary>
/// The store: one SQLite file, or a PostgreSQL that several nodes share. Readers run side by side; writers take turns,
/// each in a transaction that commits whole or not at all. The same SQL text runs on both engines.
/// </summary>
public sealed class Database : IAsyncDisposable
{
    /// <summary>How long a writer waits for the one before it, machine time; then the caller hears of it.</summary>
    public static readonly TimeSpan WriteWait = TimeSpan.FromSeconds(30);

    private readonly Engine _engine;

    // columns are snake_case, records are not
    static Database() => Dapper.DefaultTypeMap.MatchNamesWithUnderscores = true;

    private Database(Engine engine, IReadOnlyList<string> migrated) => (_engine, Migrated) = (engine, migrated);

    /// <summary>The migrations that opening it ran.</summary>
    public IReadOnlyList<string> Migrated { get; }

    /// <summary>Where the store is, for messages: the file, or host, port and database; never a password.</summary>
    public string Path => _engine.Name;

    /// <summary>True: a file of this process alone. False: a server that other nodes may use too.</summary>
    public bool IsEmbedded => _engine is SqliteEngine;

    /// <summary>How the engine is called: <c>sqlite</c> or <c>postgres</c>.</summary>
    public string EngineName => IsEmbedded ? "sqlite" : "postgres";

    /// <summary>Whether this names a PostgreSQL, rather than a file.</summary>
    public static bool IsServer(string where) => PostgresAddress.IsOne(where);

    /// <summary>Opens or creates the store and brings its tables up to date. Several nodes may do so at once.</summary>
    /// <param name="where">The path of a SQLite file; or of a PostgreSQL: <c>postgresql://user:password@host/database</c>
    /// or <c>Host=…;Username=…;Database=…</c>.</param>
    /// <exception cref="StorageException">It is no database, or was written by a newer version, or cannot be opened; the
    /// message says which and what to do.</exception>
    public static Database Open(string where)
    {
        var engine = Engine.Of(where);
        try
        {
            engine.Prepare();
            return new Database(engine, Migrations.Apply(engine));
        }
        catch (DbException e)
        {
            engine.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw engine.Explain(e);
        }
        catch
        {
            engine.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw;
        }
    }

    /// <summary>Reads on a connection of its own. All reads in it see one state: what was committed before the first.
    /// </summary>
    public async Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read, CancellationToken cancel = default)
    {
        if (OneWrite.Current is { IsOpen: true } one) return await one.ReadAsync(read);
        await using var connection = await _engine.OpenAsync(cancel);
        // commands on the connection are part of it by themselves
        await using var snapshot = await _engine.SnapshotAsync(connection, cancel);
        return await read(connection);
    }

    /// <summary>
    /// Runs the work in one transaction and commits it when the work returns; an exception rolls all of it back. It
    /// sees what every writer before it has committed. The work must not do anything but SQL: what follows from the
    /// commit comes after this call.
    /// </summary>
    /// <exception cref="StorageException">Another writer held the store for longer than <see cref="WriteWait"/>.</exception>
    public Task<T> WriteAsync<T>(Func<DbConnection, Task<T>> write, CancellationToken cancel = default) =>
        WriteAsync(Turn.OfAll, write, cancel);

    public Task WriteAsync(Func<DbConnection, Task> write, CancellationToken cancel = default) =>
        WriteAsync(Turn.OfAll, async connection => { await write(connection); return 0; }, cancel);

    /// <summary>As above, but takes turns only with the writers that name the same turn (on PostgreSQL; the embedded
    /// store has one writer). For work whose rows nobody else compares before writing.</summary>
    public Task<T> WriteAsync<T>(Turn turn, Func<DbConnection, Task<T>> write, CancellationToken cancel = default) =>
        OneWrite.Current is { } one
            ? one.WriteAsync(this, write, cancel)
            : WriteAloneAsync(turn, write, cancel);

    internal Task<T> WriteAloneAsync<T>(Turn turn, Func<DbConnection, Task<T>> write, CancellationToken cancel) =>
        _engine.WriteAsync(turn, write, cancel);

    /// <summary>Marks where the store is now, to hear what other nodes change from here on; null on a store of our own.
    /// </summary>
    public Task<PostgresChanges?> FollowAsync(ChangeFeed feed, CancellationToken cancel) =>
        _engine.FollowAsync(feed, cancel);

    public ValueTask DisposeAsync() => _engine.DisposeAsync();
}

/// <summary>With whom a writer takes turns.</summary>
public readonly record struct Turn
{
    private Turn(int kind, int key) => (Kind, Key) = (kind, key);

    /// <summary>With every writer of the installation, on all nodes: what it reads stays true until it commits.</summary>
    public static Turn OfAll { get; } = new(0x746f6c6c, 0);

    /// <summary>With whoever carries the same journal into the rollups.</summary>
    public static Turn OfJournal(uint id) => new(0x746f6c6a, unchecked((int)id));

    // the two halves of the advisory lock of PostgreSQL
    internal int Kind { get; }

    internal int Key { get; }
}

/// <summary>The store cannot be used; the message is for the operator and names it.</summary>
public sealed class StorageException : Exception
{
    public StorageException() { }

    public StorageException(string message) : base(message) { }

    public StorageException(string message, Exception inner) : base(message, inner) { }
}
