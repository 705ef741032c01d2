using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;

namespace Tollgate;

/// <content>What the keeper of the ledger asks of a running node.</content>
public sealed partial class TollgateNode
{
    /// <summary>Copies the data folder while it is in use.</summary>
    public async Task<Result<object>> BackupAsync(string folder)
    {
        var taken = await new Backup(this).TakeAsync(folder);
        return taken.Ok ? taken.Value : Result<object>.Refused(taken.Problems);
    }

    /// <summary>Makes all sums again out of archive and journal.</summary>
    /// <param name="write">And stores them where they differ.</param>
    public async Task<Result<Replayed>> ReplayAsync(bool write)
    {
        if (!Database.IsEmbedded)
            return new Problem("replay_elsewhere", "The store is a PostgreSQL, which other nodes drain into as well; " +
                "sums can be made again where the store is a file.");
        return await new Rebuild(Options.Data, Journal, Database, Drain, Archive, Clocks, EntitlementStore.OfCustomerAsync)
            .RunAsync(write);
    }
}
