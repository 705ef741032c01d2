using System.Data.Common;
using System.Text.Json;
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
    private readonly KongObjects _objects = new(database, config, news, ConfigKind.Plan, Write);

    public Task<KongAnswer> AddAsync(KongRequest request, KongFields fields) => _objects.AddAsync(fields, DraftAsync);

    public Task<KongAnswer> PutAsync(KongRequest request, KongFields fields) => _objects.PutAsync(request["g"], fields, DraftAsync);

    /// <summary>A group that gets another name keeps its members, its limits and what they used, and what gates list for it.
    /// </summary>
    public Task<KongAnswer> ChangeAsync(KongRequest request, KongFields sent) =>
        _objects.ChangeAsync(db => ConfigStore.FindAsync(db, ConfigKind.Plan, request["g"]), sent, DraftAsync);

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

    internal static string? Read(KongFields fields)
    {
        var name = fields.Name(required: true);
        fields.None("consumer groups have no tags in this version", "tags");
        fields.GivenByServer("id", "created_at", "updated_at");
        return name;
    }

    private async Task<KongDraft> DraftAsync(DbConnection db, KongFields fields, ConfigRow? row)
    {
        if (row is not null && KongEntity.OtherOwner(row.ManagedBy) is { } owner)
            return KongDraft.Refused(KongAnswer.OwnedElsewhere("consumer group", row.Name, owner));
        var name = Read(fields);
        if (fields.Refusal is { } refusal) return KongDraft.Refused(refusal);
        if (await ConfigStore.FindAsync(db, ConfigKind.Plan, name!) is { } other && other.Id != row?.Id)
            return KongDraft.Refused(KongAnswer.Taken(new JsonObject { ["name"] = name }));
        if (row is null)
        {
            return new KongDraft(name, PlanDocument.Empty.Write())
            {
                Then = added => config.AddVersionAsync(db, Publication.PlanIdOf(added), defaults.Currency.Code, "{}"),
            };
        }

        var gates = row.Name == name ? [] : (await ConfigStore.OfKindAsync(db, ConfigKind.Plugin))
            .Select(r => (Row: r, Plugin: KongJson.Read<KongPlugin>(r)))
            .Where(g => MapOf(g.Plugin)?.ContainsKey(row.Name) == true).ToArray();
        if (gates.Any(g => MapOf(g.Plugin)!.ContainsKey(name!)))
            return KongDraft.Refused(KongAnswer.SchemaViolation(new JsonObject
            {
                ["name"] = $"an endpoint_map lists '{name}' already, and its entries would become this group's; take them out first",
            }));
        return new KongDraft(name, row.Document)
        {
            Then = async _ =>
            {
                foreach (var (stored, plugin) in gates)
                    await config.UpdateAsync(db, stored, KongJson.Write(plugin with { Config = Renamed(plugin, row.Name, name!) }));
            },
        };
    }

    private static JsonObject? MapOf(KongPlugin plugin) =>
        plugin.Name == KongPlugin.EndpointGating ? JsonObject.Create(plugin.Config.GetProperty("endpoint_map")) : null;

    private static JsonElement Renamed(KongPlugin gate, string from, string to) => JsonSerializer.SerializeToElement(new JsonObject
    {
        ["endpoint_map"] = new JsonObject(MapOf(gate)!.Select(e => KeyValuePair.Create(e.Key == from ? to : e.Key, e.Value?.DeepClone()))),
    });

    public static JsonObject Write(ConfigRow row)
    {
        var entity = KongEntity.Of(row);
        entity["tags"] = null;
        return entity.Dated(row);
    }
}
