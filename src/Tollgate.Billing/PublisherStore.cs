using System.Data.Common;
using System.Globalization;
using System.Text.Json;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

public sealed class RevenuePublisher : IIdentified { public static string IdPrefix => "pub"; private RevenuePublisher() { } }

public sealed class PublisherShare : IIdentified { public static string IdPrefix => "shr"; private PublisherShare() { } }

/// <summary>Who owns a part of what is sold.</summary>
public sealed record PublisherRow(long Key, string Id, string Name, long CreatedAt);

/// <summary>What a publisher has of the lines of a plan.</summary>
/// <param name="Prices">JSON: names of prices; null for all of the plan.</param>
/// <param name="StartAt">Bills from then on; microseconds, half-open.</param>
public sealed record ShareRow(
    long Key, string Id, long PublisherKey, string PlanId, string? Prices, string Bands, long StartAt, long? EndAt, long CreatedAt)
{
    public IReadOnlyList<string>? PriceNames => Prices is null ? null : JsonSerializer.Deserialize<string[]>(Prices);

    public IReadOnlyList<ShareBand> ReadBands() => [.. JsonDocument.Parse(Bands).RootElement.EnumerateArray().Select(b =>
        new ShareBand(b.TryGetProperty("up_to", out var upTo) ? Number(upTo) : null, Number(b.GetProperty("percent"))))];

    public bool Holds(string planId, long at) => PlanId == planId && StartAt <= at && !(EndAt <= at);

    public bool Covers(string price) => PriceNames is not { } names || names.Contains(price);

    private static decimal Number(JsonElement text) => decimal.Parse(text.GetString()!, CultureInfo.InvariantCulture);
}

/// <summary>A share to be agreed.</summary>
public sealed record NewShare(long PublisherKey, string PlanId, IReadOnlyList<string>? Prices, IReadOnlyList<ShareBand> Bands)
{
    public required long StartAt { get; init; }

    public long? EndAt { get; init; }
}

/// <summary>A line of a statement.</summary>
/// <param name="Document">Id of the invoice, credit note or void; <paramref name="Number"/> that of the invoice.</param>
/// <param name="Line">Of the invoice, from 1; 0 for what takes a part of it back.</param>
public sealed record ShareEntryRow(
    long Key, string Share, string Document, string Number, long Line, string Currency, long Base, long Amount, long PostedAt);

/// <summary>The SQL of publishers and of what they earn.</summary>
public sealed class PublisherStore(Database database, TimeProvider clock)
{
    private const string Columns = "key, id, name, created_at";

    private const string ShareColumns = "key, id, publisher_key, plan_id, prices, bands, start_at, end_at, created_at";

    /// <summary>By id or by name.</summary>
    public Task<PublisherRow?> FindAsync(string idOrName) => database.ReadAsync(db =>
        db.QueryFirstOrDefaultAsync<PublisherRow?>(
            $"select {Columns} from publishers where id = @idOrName or name = @idOrName", new { idOrName }));

    public Task<IReadOnlyList<PublisherRow>> ListAsync(long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<PublisherRow>)(await db.QueryAsync<PublisherRow>(
            $"select {Columns} from publishers where key > @after order by key limit @limit", new { after, limit })).AsList());

    /// <returns>Null when the name is taken.</returns>
    public Task<PublisherRow?> AddAsync(string name) => database.WriteAsync(db => db.QueryFirstOrDefaultAsync<PublisherRow?>(
        "insert into publishers (id, name, created_at) values (@id, @name, @now) on conflict (name) do nothing " +
        $"returning {Columns}", new { id = Id<RevenuePublisher>.New(clock).ToString(), name, now = Micros.Now(clock) }));

    public Task<IReadOnlyList<ShareRow>> SharesAsync(long publisherKey, long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<ShareRow>)(await db.QueryAsync<ShareRow>(
            $"select {ShareColumns} from revenue_shares where publisher_key = @publisherKey and key > @after order by key limit @limit",
            new { publisherKey, after, limit })).AsList());

    public Task<ShareRow?> FindShareAsync(long publisherKey, string id) => database.ReadAsync(db =>
        db.QueryFirstOrDefaultAsync<ShareRow?>(
            $"select {ShareColumns} from revenue_shares where publisher_key = @publisherKey and id = @id", new { publisherKey, id }));

    /// <summary>All that were agreed; there are few.</summary>
    public static async Task<IReadOnlyList<ShareRow>> AllSharesAsync(DbConnection db) =>
        (await db.QueryAsync<ShareRow>($"select {ShareColumns} from revenue_shares order by key")).AsList();

    /// <returns>Or <c>share_too_large</c>: with others of the same lines and time it would be more than the whole.</returns>
    public async Task<Result<ShareRow>> AddShareAsync(DbConnection db, NewShare share)
    {
        var others = (await AllSharesAsync(db)).Where(o => o.PlanId == share.PlanId && !(o.EndAt <= share.StartAt)
            && !(share.EndAt <= o.StartAt)
            && (o.PriceNames is null || share.Prices is null || o.PriceNames.Intersect(share.Prices).Any()));
        if (others.Sum(o => o.ReadBands().Max(b => b.Percent)) + share.Bands.Max(b => b.Percent) > 100)
            return new Problem("share_too_large", "With the other shares of these prices it would be more than 100 %.", "percent");
        return await db.QuerySingleAsync<ShareRow>(
            "insert into revenue_shares (id, publisher_key, plan_id, prices, bands, start_at, end_at, created_at) " +
            $"values (@id, @PublisherKey, @PlanId, @prices, @bands, @StartAt, @EndAt, @now) returning {ShareColumns}",
            new
            {
                id = Id<PublisherShare>.New(clock).ToString(),
                share.PublisherKey,
                share.PlanId,
                prices = share.Prices is null ? null : JsonSerializer.Serialize(share.Prices),
                bands = Text(share.Bands),
                share.StartAt,
                share.EndAt,
                now = Micros.Now(clock),
            });
    }

    /// <summary>Bills from now on are without it.</summary>
    /// <returns>Null when there is none that has not ended.</returns>
    public async Task<ShareRow?> EndShareAsync(DbConnection db, long publisherKey, string id) =>
        await db.QueryFirstOrDefaultAsync<ShareRow?>(
        "update revenue_shares set end_at = case when start_at > @now then start_at else @now end where id = @id " +
        $"and publisher_key = @publisherKey and (end_at is null or end_at > @now) returning {ShareColumns}",
        new { id, publisherKey, now = Micros.Now(clock) });

    /// <summary>What a publisher has earned with the documents of a time, half-open.</summary>
    public Task<IReadOnlyList<ShareEntryRow>> EntriesAsync(long publisherKey, (long From, long To) time, long after, int limit) =>
        database.ReadAsync(async db => (IReadOnlyList<ShareEntryRow>)(await db.QueryAsync<ShareEntryRow>(
            "select e.key, s.id as share, e.document, i.number, e.line, e.currency, e.base, e.amount, e.posted_at " +
            "from share_entries e join revenue_shares s on s.key = e.share_key join invoices i on i.key = e.invoice_key " +
            "where s.publisher_key = @publisherKey and e.posted_at >= @From and e.posted_at < @To and e.key > @after " +
            "order by e.key limit @limit", new { publisherKey, time.From, time.To, after, limit })).AsList());

    /// <summary>By currency: net amounts of the lines, and what is owed of them.</summary>
    public Task<IReadOnlyList<(string Currency, long Base, long Amount)>> TotalsAsync(
        long publisherKey, (long From, long To) time) =>
        database.ReadAsync(async db => (IReadOnlyList<(string, long, long)>)(await db.QueryAsync<(string, long, long)>(
            "select e.currency, cast(sum(e.base) as bigint), cast(sum(e.amount) as bigint) from share_entries e " +
            "join revenue_shares s on s.key = e.share_key where s.publisher_key = @publisherKey " +
            "and e.posted_at >= @From and e.posted_at < @To group by e.currency order by e.currency",
            new { publisherKey, time.From, time.To })).AsList());

    private static string Text(IReadOnlyList<ShareBand> bands) => JsonSerializer.Serialize(bands.Select(b =>
        b.UpTo is { } upTo
            ? new Dictionary<string, string> { ["up_to"] = DecimalText.Of(upTo), ["percent"] = DecimalText.Of(b.Percent) }
            : new Dictionary<string, string> { ["percent"] = DecimalText.Of(b.Percent) }));
}
