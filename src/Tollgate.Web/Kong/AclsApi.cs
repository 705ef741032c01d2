using System.Text.Json.Nodes;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>The groups that a consumer is in for <c>acl</c>. A group has no existence of its own.</summary>
internal sealed class AclsApi(Database database, ConsumerStore consumers, KongNews news, TimeProvider clock)
{
    public async Task<KongAnswer> AddAsync(KongRequest request, KongFields fields)
    {
        var group = fields.Text("group", required: true, most: 128);
        fields.None("groups have no tags in this version", "tags");
        fields.None("ids and instants are given by the server", "id", "created_at");
        if (fields.Refusal is { } refusal) return refusal;
        return await news.OfConsumerAsync(database, request, async (db, consumer) =>
        {
            var id = Id<AccessGroup>.New(clock).ToString();
            if (await AccessGroupStore.AddAsync(db, id, consumer.Key, group!, news.Now) is not { } added)
            {
                return KongAnswer.Taken(new JsonObject
                {
                    ["consumer"] = new JsonObject { ["id"] = KongEntity.UuidOf<Consumer>(consumer.Id) },
                    ["group"] = KongText.Shown(group!),
                });
            }

            return KongAnswer.Created(Write(added, consumer));
        });
    }

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page)
    {
        if (await consumers.FindAsync(request["c"]) is not { } consumer) return KongAnswer.NotFound();
        var rows = await database.ReadAsync(db => AccessGroupStore.OfConsumerAsync(db, consumer.Key));
        var part = rows.Where(r => r.Key > page.At).Take(page.Size + 1).ToArray();
        return page.Of(part, r => Write(r, consumer), r => $"{r.Key}");
    }

    public Task<KongAnswer> GetAsync(KongRequest request) => database.ReadAsync(async db =>
        await ConsumerStore.FindAsync(db, request["c"]) is { } consumer
        && await AccessGroupStore.FindAsync(db, consumer.Key, request["a"]) is { } row
            ? KongAnswer.Ok(Write(row, consumer)) : KongAnswer.NotFound());

    public Task<KongAnswer> DeleteAsync(KongRequest request) =>
        news.OfConsumerAsync(database, request, async (db, consumer) =>
        {
            if (await AccessGroupStore.FindAsync(db, consumer.Key, request["a"]) is { } row) await AccessGroupStore.DeleteAsync(db, row);
            return KongAnswer.NoContent;
        });

    private static JsonObject Write(AccessGroupRow row, ConsumerRow consumer) => new()
    {
        ["id"] = KongEntity.UuidOf<AccessGroup>(row.Id),
        ["group"] = row.Name,
        ["consumer"] = new JsonObject { ["id"] = KongEntity.UuidOf<Consumer>(consumer.Id) },
        ["tags"] = null,
        ["created_at"] = KongEntity.Seconds(row.CreatedAt),
    };
}
