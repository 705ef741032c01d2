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
public sealed class ChangeFeed
{
    private Func<Change, Task>[] _listeners = [];

    /// <summary>Called at start-up; listeners live as long as the process.</summary>
    public void Listen(Func<Change, Task> listener) => _listeners = [.. _listeners, listener];

    public async Task AnnounceAsync(Change change)
    {
        foreach (var listener in _listeners) await listener(change);
    }
}
