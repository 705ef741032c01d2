using System.Globalization;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>A journal that is registered in the store.</summary>
/// <param name="Node">Host and process that opened it last.</param>
/// <param name="SeenAt">Machine time of its last sign of life, microseconds.</param>
/// <param name="CompleteTo">Business time: the calls admitted before are all in the rollups.</param>
/// <param name="Closed">1: nothing is left in it.</param>
public sealed record RegisteredJournal(long Id, string Node, long Position, long SeenAt, long CompleteTo, long Closed)
{
    public string Name => ((uint)Id).ToString("x8", CultureInfo.InvariantCulture);
}

/// <summary>
/// Which journals an installation has, and how far each is in the rollups. Nothing is invoiced whose usage may still
/// stand in one of them: a node that died with calls in its journal holds invoices back until it is back, or until
/// somebody drains its journal for it.
/// </summary>
public sealed class JournalRegistry(Database database, Clocks clocks)
{
    private const string Columns = "id, node, position, seen_at, complete_to, closed";

    /// <summary>A journal that is opened for calls: from now on its node is expected to give signs of life.</summary>
    public Task OpenAsync(uint id, string node) => WriteAsync(id,
        "update journals set node = @node, seen_at = @seen, closed = 0, " +
        "complete_to = case when closed = 1 or complete_to = 0 then @now else complete_to end where id = @id", node);

    /// <summary>Says that everything admitted before an instant is in the rollups.</summary>
    /// <param name="completeTo">Business time, taken before the drain began to catch up.</param>
    public Task BeatAsync(uint id, long completeTo) => database.WriteAsync(Turn.OfJournal(id), db => db.ExecuteAsync(
        "update journals set seen_at = @seen, complete_to = @completeTo where id = @id and closed = 0",
        new { id = (long)id, seen = Micros.Now(clocks.Machine), completeTo }));

    /// <summary>A sign of life, before the first call.</summary>
    public Task SeenAsync(uint id) => WriteAsync(id, "update journals set seen_at = @seen where id = @id and closed = 0");

    /// <summary>A journal with nothing left in it: drained, and no call is under way.</summary>
    public Task CloseAsync(uint id) => WriteAsync(id, 
        "update journals set closed = 1, seen_at = @seen where id = @id " +
        "and not exists (select 1 from open_admissions where journal = @id)");

    /// <summary>A journal that nobody will read any more: its open admissions stay unknown, and nobody waits for it.
    /// </summary>
    public Task RetireAsync(uint id) => WriteAsync(id, "update journals set closed = 1 where id = @id");

    /// <summary>The journals of other nodes, whose calls this one does not have.</summary>
    /// <param name="db">The store.</param>
    /// <param name="own">The journal of this node.</param>
    public static async Task<IReadOnlyList<RegisteredJournal>> OthersAsync(System.Data.Common.DbConnection db, uint own) =>
        (await db.QueryAsync<RegisteredJournal>($"select {Columns} from journals where id <> @own and position > 0 order by id",
            new { own = (long)own })).AsList();

    public Task<IReadOnlyList<RegisteredJournal>> AllAsync() => database.ReadAsync<IReadOnlyList<RegisteredJournal>>(
        async db => (await db.QueryAsync<RegisteredJournal>($"select {Columns} from journals order by id")).AsList());

    /// <summary>How many journals may have calls, those of nodes that are silent among them; 1 or more.</summary>
    public static async Task<int> CountOpenAsync(Database database) => Math.Max(1, (int)await database.ReadAsync(
        db => db.ExecuteScalarAsync<long>("select count(*) from journals where closed = 0")));

    /// <summary>How many nodes have given a sign of life lately; 1 or more.</summary>
    public async Task<int> AliveAsync(TimeSpan lately)
    {
        var since = Micros.Now(clocks.Machine) - (lately.Ticks / TimeSpan.TicksPerMicrosecond);
        return Math.Max(1, (await AllAsync()).Count(j => j.Closed == 0 && j.SeenAt >= since));
    }

    /// <summary>Up to when invoices may be made: now, or as long after the slowest of the other journals as invoices
    /// wait after their period.</summary>
    /// <param name="own">The journal of this node, which drains before it invoices.</param>
    public async Task<(long Horizon, RegisteredJournal? Slowest)> HorizonAsync(uint own, long now, TimeSpan window)
    {
        var others = (await AllAsync()).Where(j => j.Closed == 0 && j.Id != own).ToArray();
        var slowest = others.MinBy(j => j.CompleteTo);
        var horizon = slowest is null ? now : slowest.CompleteTo + (window.Ticks / TimeSpan.TicksPerMicrosecond);
        return horizon < now ? (horizon, slowest) : (now, null);
    }

    private Task<int> WriteAsync(uint id, string sql, string node = "") => database.WriteAsync(Turn.OfJournal(id),
        db => db.ExecuteAsync(sql, new
        {
            id = (long)id,
            node,
            seen = Micros.Now(clocks.Machine),
            now = Micros.Now(clocks.Business),
        }));
}
