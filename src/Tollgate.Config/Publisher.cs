using Tollgate.Storage;

namespace Tollgate.Config;

/// <summary>
/// Holds what is published now. A write to the configuration is followed by <see cref="RepublishAsync"/>; when that
/// returns, the gate decides by the new state.
/// </summary>
public sealed class Publisher(Database database, ChangeFeed feed) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);

    /// <summary>Swapped whole; read it once per decision.</summary>
    public Published Current { get; private set; } = Published.Nothing;

    /// <summary>Reads what is stored, gives new operations their keys, swaps, and tells the listeners.</summary>
    public async Task RepublishAsync()
    {
        await _turn.WaitAsync();
        try
        {
            Current = await database.WriteAsync(async db =>
            {
                var publication = new Publication(await ConfigStore.AllAsync(db));
                var keys = await ConfigStore.OperationKeysAsync(db, publication.Operations);
                var meters = await MeterKeys.GiveAsync(db, publication.Meters);
                return publication.Publish(keys, meters, await ConfigStore.LatestVersionsAsync(db));
            });
            await feed.AnnounceAsync(new Change.Publication());
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();
}
