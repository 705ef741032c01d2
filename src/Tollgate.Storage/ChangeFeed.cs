namespace Tollgate.Storage;

/// <summary>What changed in the store, after its commit.</summary>
public abstract record Change
{
    private Change() { }

    /// <summary>APIs, operations, plans or access settings.</summary>
    public sealed record Publication : Change;

    /// <summary>A consumer, its credentials, or who pays for it.</summary>
    public sealed record OfConsumer(int Key) : Change;

    /// <summary>The entitlements of a customer, so of all its consumers.</summary>
    public sealed record OfCustomer(int Key) : Change;
}

/// <summary>
/// Tells those who keep a table in memory that the store has changed. A change is announced after its commit and
/// before the call that made it is answered, so that whoever was told "created" sees it work.
/// </summary>
public sealed class ChangeFeed(TimeProvider? machine = null)
{
    private readonly TimeProvider _machine = machine ?? TimeProvider.System;
    private Func<Change, Task>[] _listeners = [];

    // this store is nobody else's, and all of its changes are announced here
    private const long Never = long.MinValue;

    private long _heard = Never;

    /// <summary>How long it is that the store was asked for the changes of other nodes; zero on a store of our own.
    /// </summary>
    public TimeSpan Silence => Volatile.Read(ref _heard) is var heard and not Never
        ? _machine.GetElapsedTime(heard)
        : TimeSpan.Zero;

    /// <summary>All that other nodes have changed until now, or until some time ago, is taken over.</summary>
    public void Heard(TimeSpan ago = default) => Volatile.Write(
        ref _heard, _machine.GetTimestamp() - (long)(ago.TotalSeconds * _machine.TimestampFrequency));

    /// <summary>Called at start-up; listeners live as long as the process.</summary>
    public void Listen(Func<Change, Task> listener) => _listeners = [.. _listeners, listener];

    /// <summary>Tells all listeners; inside of <see cref="OneWrite"/> once that is committed.</summary>
    public Task AnnounceAsync(Change change) => OneWrite.AfterwardsAsync(change, () => TellAsync(change));

    private async Task TellAsync(Change change)
    {
        foreach (var listener in _listeners) await listener(change);
    }
}
