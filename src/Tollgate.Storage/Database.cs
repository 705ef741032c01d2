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

    private volatile bool _attached;

    private Database(Engine engine) => _engine = engine;

    /// <summary>The migrations that opening it ran.</summary>
    public IReadOnlyList<string> Migrated { get; private set; } = [];

    /// <summary>False from <see cref="OpenLater"/> until <see cref="Attach"/>: nothing can be read or written.</summary>
    public bool IsAttached => _attached;

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
        var database = OpenLater(where);
        try
        {
            database.Attach();
            return database;
        }
        catch
        {
            database.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw;
        }
    }

    /// <summary>A server that may be away for now: nothing is asked of it before <see cref="Attach"/>.</summary>
    public static Database OpenLater(string where) => new(Engine.Of(where));

    /// <summary>Reaches the store and brings its tables up to date; from then on it is as if it had been opened so.</summary>
    /// <exception cref="StoreAwayException">Nobody answers there.</exception>
    /// <exception cref="StorageException">It cannot be used; see <see cref="Open"/>.</exception>
    public void Attach()
    {
        try
        {
            _engine.Prepare();
            Migrated = Migrations.Apply(_engine);
            _attached = true;
        }
        catch (DbException e)
        {
            throw _engine.Explain(e);
        }
    }

    /// <summary>Reads on a connection of its own. All reads in it see one state: what was committed before the first.
    /// </summary>
    public async Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read, CancellationToken cancel = default)
    {
        if (OneWrite.Current is { IsOpen: true } one) return await one.ReadAsync(read);
        if (!_attached) throw NotYet();
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
        _attached ? _engine.WriteAsync(turn, write, cancel) : throw NotYet();

    private StoreAwayException NotYet() => new($"{Path} has not answered since this node was started.");

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

    /// <summary>With whoever remembers which events were counted.</summary>
    public static Turn OfEvents { get; } = new(0x746f6c65, 0);

    // the two halves of the advisory lock of PostgreSQL
    internal int Kind { get; }

    internal int Key { get; }
}

/// <summary>The store cannot be used; the message is for the operator and names it.</summary>
public class StorageException : Exception
{
    public StorageException() { }

    public StorageException(string message) : base(message) { }

    public StorageException(string message, Exception? inner) : base(message, inner) { }
}

/// <summary>Nobody answers where the store should be, or it is starting or stopping: trying again may help.</summary>
public sealed class StoreAwayException : StorageException
{
    public StoreAwayException() { }

    public StoreAwayException(string message) : base(message) { }

    public StoreAwayException(string message, Exception inner) : base(message, inner) { }
}
