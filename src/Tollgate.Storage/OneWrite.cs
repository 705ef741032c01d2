using System.Data.Common;
using Dapper;

namespace Tollgate.Storage;

/// <summary>
/// Makes everything that one piece of work reads and writes, in whichever rooms, one transaction: it opens at the first
/// <see cref="Database.WriteAsync{T}(Func{DbConnection, Task{T}}, CancellationToken)"/> below <see cref="Begin"/>,
/// every later read and write of the same flow joins it, and what would be announced waits until it is committed. So an
/// answer, the log of a change and the change itself stand or fall together, without any room knowing of the others.
/// </summary>
/// <remarks>It holds the writer's turn until it ends: what waits for another writer must not run inside.</remarks>
public sealed class OneWrite : IAsyncDisposable
{
    private static readonly AsyncLocal<OneWrite?> s_current = new();

    private readonly Func<Task> _opening;
    private readonly TaskCompletionSource<bool> _verdict = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<(object About, Func<Task> Work)> _afterwards = [];
    private readonly Dictionary<object, object> _proposed = [];
    private DbConnection? _connection;
    private Task? _transaction;
    private volatile bool _ended;

    private OneWrite(Func<Task> opening) => _opening = opening;

    /// <summary>The one that this flow is in; null outside of any and when it has ended.</summary>
    public static OneWrite? Current => s_current.Value is { _ended: false } one ? one : null;

    /// <summary>Whether anything was written, or was tried to be.</summary>
    public bool IsOpen => _connection is not null;

    /// <summary>From here on the caller's flow is one transaction, until <see cref="CommitAsync"/> or disposal.</summary>
    /// <param name="opening">Runs inside the transaction before the first write; an exception stops the work.</param>
    public static OneWrite Begin(Func<Task> opening)
    {
        if (Current is not null) throw new InvalidOperationException("A piece of work is one transaction already.");
        return s_current.Value = new OneWrite(opening);
    }

    /// <summary>For work that takes turns with other writers: inside it would wait for itself for ever.</summary>
    public static void RefuseInside(string what)
    {
        if (Current is { IsOpen: true })
            throw new InvalidOperationException($"{what} cannot run inside a request that is one transaction; map its " +
                "route with .InOwnTransactions().");
    }

    /// <summary>Runs what follows from the work once that is committed; now, when there is nothing to wait for.</summary>
    /// <param name="about">Of several about equal things only the last is run.</param>
    /// <param name="work">What is to be done.</param>
    public static Task AfterwardsAsync(object about, Func<Task> work)
    {
        if (Current is not { IsOpen: true } one) return work();
        one._afterwards.RemoveAll(a => a.About.Equals(about));
        one._afterwards.Add((about, work));
        return Task.CompletedTask;
    }

    /// <summary>Keeps what will be the state of an object once the work is committed, for the flow itself.</summary>
    public void Propose(object owner, object state) => _proposed[owner] = state;

    public T? Proposed<T>(object owner) where T : class => _proposed.GetValueOrDefault(owner) as T;

    /// <summary>Commits, when anything was written.</summary>
    /// <returns>What follows from it, still to be run, in order.</returns>
    public async Task<IReadOnlyList<Func<Task>>> CommitAsync()
    {
        _verdict.TrySetResult(true);
        if (_transaction is not null) await _transaction;
        _ended = true;
        return [.. _afterwards.Select(a => a.Work)];
    }

    /// <summary>Rolls back what was not committed.</summary>
    public async ValueTask DisposeAsync()
    {
        _verdict.TrySetResult(false);
        try
        {
            if (_transaction is not null) await _transaction;
        }
        catch (Exception e) when (e is RolledBackException or StorageException or DbException)
        {
            // that is what was asked for; what broke before has its own exception on the way
        }

        _ended = true;
    }

    internal Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read) => read(_connection!);

    internal async Task<T> WriteAsync<T>(Database database, Func<DbConnection, Task<T>> write, CancellationToken cancel)
    {
        var connection = _connection ?? await OpenAsync(database, cancel);
        await connection.ExecuteAsync("savepoint one_write");
        try
        {
            var result = await write(connection);
            await connection.ExecuteAsync("release savepoint one_write");
            return result;
        }
        catch
        {
            await connection.ExecuteAsync("rollback to savepoint one_write");
            await connection.ExecuteAsync("release savepoint one_write");
            throw;
        }
    }

    private async Task<DbConnection> OpenAsync(Database database, CancellationToken cancel)
    {
        var opened = new TaskCompletionSource<DbConnection>(TaskCreationOptions.RunContinuationsAsynchronously);
        _transaction = database.WriteAloneAsync(
            Turn.OfAll,
            async connection =>
            {
                opened.SetResult(connection);
                return await _verdict.Task ? 0 : throw new RolledBackException();
            }, cancel);
        if (await Task.WhenAny(opened.Task, _transaction) == _transaction) await _transaction;
        _connection = await opened.Task;
        await _opening();
        return _connection;
    }

    private sealed class RolledBackException : Exception;
}
