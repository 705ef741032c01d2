using System.Data.Common;
using System.Text.Json.Nodes;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>
/// Credentials of <c>key-auth</c>. A key stands in the answer that creates it and nowhere else: what is stored is a
/// hash, what is shown later is a hint.
/// </summary>
internal sealed class KeyAuthApi(Database database, ConsumerStore consumers, ApiKeys keys, KongNews news)
{
    // Kong's own bound: three years and two months
    private const long MaxSecondsToLive = 100_000_000;

    public async Task<KongAnswer> AddAsync(KongRequest request, KongFields fields)
    {
        var key = fields.Text("key", most: ApiKeys.MaxLength) ?? (fields.Has("key") ? "" : ApiKeys.Generate());
        var hash = keys.Hash(key);
        if (key.Length > 0 && (hash is null || !ImportedKey.CanBeSent(key))) fields.Note("key", ImportedKey.Expected);
        var seconds = fields.Integer("ttl", 0, MaxSecondsToLive) ?? 0;
        fields.None("credentials have no tags in this version", "tags");
        fields.None("ids and instants are given by the server", "id", "created_at");
        if (fields.Refusal is { } refusal) return refusal;
        return await news.OfConsumerAsync(database, request, async (db, consumer) =>
        {
            long? expiresAt = seconds == 0 ? null : news.Now + seconds * Micros.PerSecond;
            var added = await consumers.AddCredentialAsync(
                db, consumer.Key, hash!, ApiKeys.HintOf(key), ManagedBy.Kong, expiresAt);
            return added is null ? KongAnswer.Taken(new JsonObject { ["key"] = ApiKeys.HintOf(key) })
                : KongAnswer.Created(Write(added, consumer, key));
        });
    }

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page)
    {
        if (await consumers.FindAsync(request["c"]) is not { } consumer) return KongAnswer.NotFound();
        var rows = await database.ReadAsync(db => ConsumerStore.CredentialsAsync(db, consumer.Key));
        var part = rows.Where(r => r.Key > page.At && r.RevokedAt is null).Take(page.Size + 1).ToArray();
        return page.Of(part, r => Write(r, consumer, r.Hint), r => $"{r.Key}");
    }

    public async Task<KongAnswer> GetAsync(KongRequest request)
    {
        var found = await database.ReadAsync(db => FindAsync(db, request));
        return found is var (consumer, row) ? KongAnswer.Ok(Write(row, consumer, row.Hint)) : KongAnswer.NotFound();
    }

    /// <summary>Removes a key: its callers are unknown from the next call on.</summary>
    public Task<KongAnswer> DeleteAsync(KongRequest request) =>
        news.OfConsumerAsync(database, request, async (db, _) =>
        {
            var row = (await FindAsync(db, request))?.Row;
            if (row is not null && KongEntity.OtherOwner(row.ManagedBy) is { } other)
                return KongAnswer.OwnedElsewhere("key", row.Hint, other);
            if (row is not null) await ConsumerStore.DeleteCredentialAsync(db, row);
            return KongAnswer.NoContent;
        });

    private static async Task<(ConsumerRow Consumer, CredentialRow Row)?> FindAsync(
        DbConnection db, KongRequest request)
    {
        if (await ConsumerStore.FindAsync(db, request["c"]) is not { } consumer) return null;
        var rows = await ConsumerStore.CredentialsAsync(db, consumer.Key);
        var row = Id<Credential>.TryParse(request["k"], out var id)
            ? rows.FirstOrDefault(r => r.Id == id.ToString() && r.RevokedAt is null) : null;
        return row is null ? null : (consumer, row);
    }

    private static JsonObject Write(CredentialRow row, ConsumerRow consumer, string key) => new()
    {
        ["id"] = KongEntity.UuidOf<Credential>(row.Id),
        ["key"] = key,
        ["consumer"] = new JsonObject { ["id"] = KongEntity.UuidOf<Consumer>(consumer.Id) },
        ["ttl"] = row.ExpiresAt is { } end ? (end - row.CreatedAt + Micros.PerSecond - 1) / Micros.PerSecond : null,
        ["tags"] = null,
        ["created_at"] = KongEntity.Seconds(row.CreatedAt),
    };
}
