using System.Text.Json.Nodes;
using Tollgate.Billing;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>
/// Kong's consumer groups: plans. A group begins with version 1 of its prices, which is empty: its calls are counted
/// and cost nothing until somebody adds a price.
/// </summary>
internal sealed class GroupsApi(
    Database database, ConfigStore config, SubscriptionStore subscriptions, SystemCurrency defaults, KongNews news)
{
    public async Task<KongAnswer> AddAsync(KongRequest request, KongFields fields)
    {
        var name = fields.Name(required: true);
        fields.None("consumer groups have no tags in this version", "tags");
        fields.None("ids and instants are given by the server", "id", "created_at", "updated_at");
        if (fields.Refusal is { } refusal) return refusal;
        var answer = await database.WriteAsync(async db =>
        {
            var taken = await ConfigStore.FindAsync(db, ConfigKind.Plan, name!) is not null;
            var row = taken ? null : await config.AddAsync(
                db, ConfigKind.Plan, name, ManagedBy.Kong, PlanDocument.Empty.Write());
            if (row is null) return KongAnswer.Taken(new JsonObject { ["name"] = name });
            await config.AddVersionAsync(db, Publication.PlanIdOf(row), defaults.Currency.Code, "{}");
            return KongAnswer.Created(Write(row));
        });
        if (answer.Wrote) await news.ConfigAsync();
        return answer;
    }

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page) =>
        page.Of(await config.OfKindAsync(ConfigKind.Plan), Write);

    public async Task<KongAnswer> GetAsync(KongRequest request) =>
        await config.FindAsync(ConfigKind.Plan, request["g"]) is { } row
            ? KongAnswer.Ok(Write(row)) : KongAnswer.NotFound();

    /// <summary>Removes a group with its plugins, and ends its memberships now. What its members used stays, and so
    /// do the versions of its prices, by which that is billed.</summary>
    public async Task<KongAnswer> DeleteAsync(KongRequest request)
    {
        IReadOnlyList<SubscriptionRow> ended = [];
        var answer = await database.WriteAsync(async db =>
        {
            if (await ConfigStore.FindAsync(db, ConfigKind.Plan, request["g"]) is not { } row)
                return KongAnswer.NoContent;
            if (KongEntity.OtherOwner(row.ManagedBy) is { } owner)
                return KongAnswer.OwnedElsewhere("consumer group", row.Name, owner);
            foreach (var plugin in await ConfigStore.AllAsync(db))
                if (plugin.Kind == ConfigKind.Plugin && KongJson.Read<KongPlugin>(plugin).ConsumerGroup == row.Id)
                    await ConfigStore.DeleteAsync(db, plugin);
            ended = await subscriptions.RunningOnPlanAsync(db, Publication.PlanIdOf(row));
            foreach (var subscription in ended) await SubscriptionStore.EndAsync(db, subscription, news.Now);
            await ConfigStore.DeleteAsync(db, row);
            return KongAnswer.NoContent;
        });
        if (!answer.Wrote) return answer;
        await news.ConfigAsync();
        foreach (var customer in ended.Select(s => s.CustomerKey).Distinct()) await news.CustomerAsync(customer);
        return answer;
    }

    public static JsonObject Write(ConfigRow row)
    {
        var entity = KongEntity.Of(row);
        entity["tags"] = null;
        return entity.Dated(row);
    }
}
