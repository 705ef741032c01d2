using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Tells the gate what was written, after the commit and before the answer.</summary>
internal sealed class KongNews(Publisher publisher, ChangeFeed feed, TimeProvider clock)
{
    /// <summary>Business time in microseconds.</summary>
    public long Now => Micros.Now(clock);

    /// <summary>What the gate decides by now.</summary>
    public Published Published => publisher.Current;

    public Task ConfigAsync() => publisher.RepublishAsync();

    public Task ConsumerAsync(long key) => feed.AnnounceAsync(new Change.OfConsumer((int)key));

    public Task CustomerAsync(long key) => feed.AnnounceAsync(new Change.OfCustomer((int)key));
}
