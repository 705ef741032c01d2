using System.Data.Common;
using System.Text.Json.Nodes;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Kong's consumers.</summary>
internal sealed class ConsumersApi(Database database, ConsumerStore consumers, KongNews news)
{
    public async Task<KongAnswer> AddAsync(KongRequest request, KongFields fields)
    {
        var (username, customId) = Read(fields);
        if (fields.Refusal is { } refusal) return refusal;
        ConsumerRow? added = null;
        var answer = await database.WriteAsync(async db =>
        {
            var known = await ConsumerStore.FindAsync(db, username!);
            if (known is not null && (known.Username == username || known.CustomId != username))
                return KongAnswer.Taken(new JsonObject { ["username"] = username });
            added = await consumers.AddAsync(db, username!, customId, null, ManagedBy.Kong);
            return added is null
                ? KongAnswer.Taken(new JsonObject { ["custom_id"] = customId })
                : KongAnswer.Created(Write(added));
        });
        if (added is not null) await news.ConsumerAsync(added.Key);
        return answer;
    }

    /// <summary>A path that is a UUID means an id, any other a username.</summary>
    public Task<KongAnswer> PutAsync(KongRequest request, KongFields fields)
    {
        var (at, isId) = (request["c"], Guid.TryParseExact(request["c"], "D", out var id));
        return ChangedAsync(async db =>
        {
            var found = await ConsumerStore.FindAsync(db, isId ? new Id<Consumer>(id).ToString() : at);
            if (found is not null && !isId && found.Username != at) found = null;
            if (!isId) fields.NamedBy("username", at);
            var given = isId ? id.ToString() : fields.GivenId();
            fields.Stored = found is null ? new JsonObject { ["id"] = given } : Write(found);
            var (username, customId) = Read(fields);
            if (fields.Refusal is { } refusal) return (refusal, null);
            if (found is not null) return await RenameAsync(db, found, username!, customId);
            Id<Consumer>? wanted = given is null ? null : new Id<Consumer>(Guid.Parse(given));
            if (await consumers.AddAsync(db, username!, customId, null, ManagedBy.Kong, wanted) is { } added)
                return (KongAnswer.Ok(Write(added)), added);
            return (KongAnswer.Taken(await TakenAsync(db, username!, null)
                ?? await TakenAsync(db, customId, null, "custom_id") ?? new JsonObject { ["id"] = given }), null);
        });
    }

    /// <summary>Keys, groups and limits of a consumer stay, whatever it is called.</summary>
    public Task<KongAnswer> ChangeAsync(KongRequest request, KongFields sent) => ChangedAsync(async db =>
    {
        if (await ConsumerStore.FindAsync(db, request["c"]) is not { } row) return (KongAnswer.NotFound(), null);
        var fields = sent.Over(Write(row));
        fields.Stored = Write(row);
        var (username, customId) = Read(fields);
        return fields.Refusal is { } refusal ? (refusal, null) : await RenameAsync(db, row, username!, customId);
    });

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page) =>
        page.Of(await consumers.ListAsync(page.At, page.Size + 1), Write, c => $"{c.Key}");

    public async Task<KongAnswer> GetAsync(KongRequest request) =>
        await consumers.FindAsync(request["c"]) is { } row ? KongAnswer.Ok(Write(row)) : KongAnswer.NotFound();

    /// <summary>Removes a consumer with its credentials and plugins, and ends its memberships now: what was used is billed.
    /// </summary>
    public async Task<KongAnswer> DeleteAsync(KongRequest request)
    {
        ConsumerRow? deleted = null;
        var limited = false;
        var answer = await database.WriteAsync(async db =>
        {
            if (await ConsumerStore.FindAsync(db, request["c"]) is not { } row) return KongAnswer.NoContent;
            if (KongEntity.OtherOwner(row.ManagedBy) is { } owner)
                return KongAnswer.OwnedElsewhere("consumer", row.Username, owner);
            // a customer may have other consumers, who go on calling on the same subscriptions
            if (row.CustomerKey is { } customer && (await ConsumerStore.OfCustomerAsync(db, customer)).Count == 1)
                await EndMembershipsAsync(db, customer);
            foreach (var plugin in await ConfigStore.OfKindAsync(db, ConfigKind.Plugin))
            {
                if (KongJson.Read<KongPlugin>(plugin).Consumer != row.Id) continue;
                await ConfigStore.DeleteAsync(db, plugin);
                limited = true;
            }

            await ConsumerStore.DeleteAsync(db, row.Key);
            deleted = row;
            return KongAnswer.NoContent;
        });
        if (deleted is null)
        {
            await news.OwedAsync();
            return answer;
        }

        if (limited) await news.ConfigAsync();
        await news.ConsumerAsync(deleted.Key);
        if (deleted.CustomerKey is { } key) await news.CustomerAsync(key);
        return answer;
    }

    internal static (string? Username, string? CustomId) Read(KongFields fields)
    {
        var names = (fields.Text("username", required: true, most: 256), fields.Text("custom_id", most: 256));
        fields.None("consumers have no tags in this version", "tags");
        fields.GivenByServer("id", "created_at", "updated_at");
        return names;
    }

    private async Task<KongAnswer> ChangedAsync(Func<DbConnection, Task<(KongAnswer, ConsumerRow?)>> change)
    {
        var (answer, changed) = await database.WriteAsync(change);
        if (changed is not null) await news.ConsumerAsync(changed.Key);
        return answer;
    }

    private static async Task<(KongAnswer, ConsumerRow?)> RenameAsync(DbConnection db, ConsumerRow row, string username, string? customId)
    {
        if (KongEntity.OtherOwner(row.ManagedBy) is { } owner) return (KongAnswer.OwnedElsewhere("consumer", row.Username, owner), null);
        if (!await ConsumerStore.RenameAsync(db, row, username, customId))
            return (KongAnswer.Taken(await TakenAsync(db, username, row) ?? new JsonObject { ["custom_id"] = customId }), null);
        var changed = row with { Username = username, CustomId = customId };
        return (KongAnswer.Ok(Write(changed)), changed);
    }

    /// <summary>The field by which a name is another's already; null: it is free.</summary>
    private static async Task<JsonObject?> TakenAsync(DbConnection db, string? name, ConsumerRow? but, string field = "username") =>
        name is not null && await ConsumerStore.FindAsync(db, name) is { } other && other.Key != but?.Key
        && (field == "username" ? other.Username : other.CustomId) == name ? new JsonObject { [field] = name } : null;

    private async Task EndMembershipsAsync(DbConnection db, long customer)
    {
        var now = news.Now;
        foreach (var subscription in await SubscriptionStore.OfCustomerAsync(db, customer))
            if (KongEntity.OtherOwner(subscription.ManagedBy) is null
                && (subscription.EndAt is null || subscription.EndAt > now))
                await SubscriptionStore.EndAsync(db, subscription, now);
    }

    public static JsonObject Write(ConsumerRow row) => new()
    {
        ["id"] = KongEntity.UuidOf<Consumer>(row.Id),
        ["username"] = row.Username,
        ["custom_id"] = row.CustomId,
        ["tags"] = null,
        ["created_at"] = KongEntity.Seconds(row.CreatedAt),
        ["updated_at"] = KongEntity.Seconds(row.CreatedAt),
    };
}
