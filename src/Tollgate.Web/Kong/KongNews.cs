using System.Collections.Concurrent;
using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>
/// Tells the gate what was written, after the commit and before the answer. News that did not get through stay owed,
/// so that whoever tries again gets them through, also when the row that they are about is gone.
/// </summary>
internal sealed class KongNews(Publisher publisher, ChangeFeed feed, TimeProvider clock)
{
    private readonly ConcurrentDictionary<Change, bool> _owed = new();

    /// <summary>Business time in microseconds.</summary>
    public long Now => Micros.Now(clock);

    /// <summary>What the gate decides by now.</summary>
    public Published Published => publisher.Current;

    public Task ConfigAsync() => publisher.RepublishAsync();

    public Task ConsumerAsync(long key) => TellAsync(new Change.OfConsumer((int)key));

    /// <summary>Changes what the consumer of a path has. A removal of what is gone already is told too: an earlier try may have
    /// ended before the gate was told.</summary>
    public async Task<KongAnswer> OfConsumerAsync(
        Database database, KongRequest request, Func<DbConnection, ConsumerRow, Task<KongAnswer>> change)
    {
        ConsumerRow? owner = null;
        var answer = await database.WriteAsync(async db =>
        {
            owner = await ConsumerStore.FindAsync(db, request["c"]);
            return owner is null ? KongAnswer.NotFound() : await change(db, owner);
        });
        if (owner is not null && answer.Wrote) await ConsumerAsync(owner.Key);
        return answer;
    }

    public Task CustomerAsync(long key) => TellAsync(new Change.OfCustomer((int)key));

    /// <summary>Tells what an earlier call could not.</summary>
    public async Task OwedAsync()
    {
        foreach (var change in _owed.Keys) await TellAsync(change);
    }

    private async Task TellAsync(Change change)
    {
        _owed[change] = true;
        await feed.AnnounceAsync(change);
        _owed.TryRemove(change, out _);
    }
}
