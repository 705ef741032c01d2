using System.Data.Common;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Config;

/// <summary>
/// Holds what is published now. A write to the configuration is followed by <see cref="RepublishAsync"/>; when that
/// returns, the gate decides by the new state.
/// </summary>
public sealed class Publisher(Database database, ChangeFeed feed) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Lock _coming = new();

    // has not begun to read: whoever writes before it does is served by it
    private Task? _next;

    private volatile Published _current = Published.Nothing;

    /// <summary>Swapped whole; read it once per decision. Inside of <see cref="OneWrite"/> it is what will be published
    /// by its commit.</summary>
    public Published Current => OneWrite.Current?.Proposed<Published>(this) ?? _current;

    /// <summary>Reads what is stored, gives new operations their keys, swaps, and tells the listeners.</summary>
    public async Task RepublishAsync()
    {
        if (OneWrite.Current is { } one)
        {
            one.Propose(this, await ReadAsync(database));
            await OneWrite.AfterwardsAsync(this, RepublishAsync);
            return;
        }

        await NextAsync();
    }

    /// <summary>Many changes at a time are read once: those that came while one reading was on wait for the next.
    /// </summary>
    private Task NextAsync()
    {
        lock (_coming) return _next ??= TakeTurnAsync();
    }

    private async Task TakeTurnAsync()
    {
        await Task.Yield(); // out of the lock
        await _turn.WaitAsync();
        try
        {
            lock (_coming) _next = null;
            _current = await ReadAsync(database);
            await feed.AnnounceAsync(new Change.Publication());
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Publishes what a copy of the store holds, while the store is away.</summary>
    public async Task PublishAsync(Database copy)
    {
        _current = await ReadAsync(copy);
        await feed.AnnounceAsync(new Change.Publication());
    }

    private static Task<Published> ReadAsync(Database from) => from.WriteAsync(async db =>
    {
        var publication = new Publication(await ConfigStore.AllAsync(db));
        var keys = await ConfigStore.OperationKeysAsync(db, publication.Operations);
        var meters = await MeterKeys.GiveAsync(db, publication.Meters);
        return publication.Publish(keys, meters, await ConfigStore.LatestVersionsAsync(db)) with
        {
            Versions = await VersionsAsync(db),
        };
    });

    private static async Task<IReadOnlyDictionary<(string, int), PublishedVersion>> VersionsAsync(DbConnection db) =>
        (await ConfigStore.VersionsWithTermsAsync(db))
        .ToDictionary(v => (v.PlanId, (int)v.Version), v => new PublishedVersion(v.ReadQuotas(), v.ReadTerms()));

    public void Dispose() => _turn.Dispose();
}
