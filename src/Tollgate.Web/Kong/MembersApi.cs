using System.Data.Common;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>
/// Who is in which group. A consumer that is put into a group gets a customer of the same name, unless it has one,
/// and a subscription of that customer to the plan that the group is, by calendar months in UTC.
/// </summary>
internal sealed class MembersApi(
    Database database, ConsumerStore consumers, CustomerStore customers, SubscriptionStore subscriptions,
    SystemCurrency defaults)
{
    /// <summary>Set once, when the API is put together.</summary>
    public required KongNews News { get; init; }

    /// <summary>POST /consumers/{c}/consumer_groups (group=), and the tutorials' …/consumer_group (name=).</summary>
    public async Task<KongAnswer> AddGroupAsync(KongRequest request, KongFields fields)
    {
        var field = fields.Has("group") || !fields.Has("name") ? "group" : "name";
        var group = fields.Text(field, required: true, most: 128);
        if (fields.Refusal is { } refusal) return refusal;
        return await JoinAsync(async db =>
        {
            if (await ConsumerStore.FindAsync(db, request["c"]) is not { } consumer)
                return new Joined(KongAnswer.NotFound());
            if (await ConfigStore.FindAsync(db, ConfigKind.Plan, group!) is not { } plan)
                return Missing(field, group!, "consumer_groups");
            return await AddAsync(db, consumer, plan, field, new JsonObject
            {
                ["consumer"] = ConsumersApi.Write(consumer),
                ["consumer_groups"] = new JsonArray(GroupsApi.Write(plan)),
            });
        });
    }

    /// <summary>POST /consumer_groups/{g}/consumers (consumer=).</summary>
    public async Task<KongAnswer> AddConsumerAsync(KongRequest request, KongFields fields)
    {
        var name = fields.Text("consumer", required: true, most: 256);
        if (fields.Refusal is { } refusal) return refusal;
        return await JoinAsync(async db =>
        {
            if (await ConfigStore.FindAsync(db, ConfigKind.Plan, request["g"]) is not { } plan)
                return new Joined(KongAnswer.NotFound());
            if (await ConsumerStore.FindAsync(db, name!) is not { } consumer)
                return Missing("consumer", name!, "consumers");
            return await AddAsync(db, consumer, plan, "consumer", new JsonObject
            {
                ["consumer_group"] = GroupsApi.Write(plan),
                ["consumers"] = new JsonArray(ConsumersApi.Write(consumer)),
            });
        });
    }

    public async Task<KongAnswer> ListGroupsAsync(KongRequest request, KongPage page)
    {
        if (await consumers.FindAsync(request["c"]) is not { } consumer) return KongAnswer.NotFound();
        var rows = await database.ReadAsync(async db =>
        {
            var running = consumer.CustomerKey is { } key ? await SubscriptionStore.OfCustomerAsync(db, key) : [];
            var plans = running.Where(s => s.EndAt is null || s.EndAt > News.Now).Select(s => s.PlanId).ToHashSet();
            var all = await ConfigStore.AllAsync(db);
            return all.Where(r => r.Kind == ConfigKind.Plan && plans.Contains(Publication.PlanIdOf(r))).ToArray();
        });
        return page.Of(rows, GroupsApi.Write);
    }

    public Task<KongAnswer> ListConsumersAsync(KongRequest request, KongPage page) => database.ReadAsync(async db =>
        await ConfigStore.FindAsync(db, ConfigKind.Plan, request["g"]) is not { } plan
            ? KongAnswer.NotFound()
            : page.Of(await consumers.EntitledToAsync(db, Publication.PlanIdOf(plan), page.At, page.Size + 1),
                ConsumersApi.Write, c => $"{c.Key}"));

    /// <summary>Takes a consumer out of a group: the subscription ends now, and what was used is billed. The
    /// subscription is the customer's, so a customer's only consumer may leave it, not one of several.</summary>
    public async Task<KongAnswer> DeleteAsync(KongRequest request)
    {
        long? customer = null;
        var answer = await database.WriteAsync(async db =>
        {
            if (await ConsumerStore.FindAsync(db, request["c"]) is not { CustomerKey: { } key } consumer)
                return KongAnswer.NotFound();
            // also when the membership is gone: an earlier try may have ended before the gate was told
            customer = key;
            if (await ConfigStore.FindAsync(db, ConfigKind.Plan, request["g"]) is not { } plan
                || await subscriptions.FindRunningAsync(db, key, Publication.PlanIdOf(plan)) is not { } running)
                return KongAnswer.NotFound();
            if (KongEntity.OtherOwner(running.ManagedBy) is { } owner)
                return KongAnswer.OwnedElsewhere("subscription", running.Id, owner);
            if ((await ConsumerStore.OfCustomerAsync(db, key)).Count > 1)
                return KongAnswer.Refused(StatusCodes.Status409Conflict, "operation unsupported", 12,
                    $"the consumer '{KongText.Shown(consumer.Username)}' is in this group with the other consumers of " +
                    "its customer, who would leave it too: delete the consumer, or its keys, instead");
            await SubscriptionStore.EndAsync(db, running, News.Now);
            return KongAnswer.NoContent;
        });
        if (customer is { } changed) await News.CustomerAsync(changed);
        return answer;
    }

    private async Task<KongAnswer> JoinAsync(Func<DbConnection, Task<Joined>> join)
    {
        var joined = await database.WriteAsync(join);
        if (joined.Customer is not { } customer) return joined.Answer;
        await News.CustomerAsync(customer.Key);
        await News.ConsumerAsync(joined.Consumer!.Key);
        return joined.Answer;
    }

    /// <param name="field">Where the request names the other side: what is wrong between the two is said there.</param>
    private async Task<Joined> AddAsync(
        DbConnection db, ConsumerRow consumer, ConfigRow group, string field, JsonObject answer)
    {
        var id = Publication.PlanIdOf(group);
        // a group that is not published yet is one whose creation nobody was told of yet
        if (News.Published.FindPlan(id) is null) return new Joined(KongAnswer.NotFound());
        var found = await FindCustomerAsync(db, consumer);
        // before anything is written: what is refused leaves no customer behind
        var offer = await SubscriptionStore.OfferAsync(db, id, found?.Currency ?? defaults.Currency.Code);
        if (!offer.Ok) return Wrong(field, offer.Problems[0]);
        var customer = found
            ?? (await customers.AddAsync(db, consumer.Username, defaults.Currency, "UTC", ManagedBy.Kong))!;
        var started = await subscriptions.StartAsync(db, new NewSubscription(customer, id, ManagedBy.Kong));
        if (!started.Ok)
            return started.Problems[0].Code != SubscriptionStore.AlreadySubscribed
                ? Wrong(field, started.Problems[0])
                : new Joined(KongAnswer.Taken(new JsonObject
                {
                    ["consumer"] = new JsonObject { ["id"] = KongEntity.UuidOf<Consumer>(consumer.Id) },
                    ["consumer_group"] = new JsonObject { ["id"] = group.Uuid },
                }));
        if (consumer.CustomerKey is null) await ConsumerStore.SetCustomerAsync(db, consumer.Key, customer.Key);
        return new Joined(KongAnswer.Created(answer), consumer, customer);
    }

    private static Joined Wrong(string field, Problem problem) =>
        new(KongAnswer.SchemaViolation(new JsonObject { [field] = problem.Detail }));

    private static Joined Missing(string field, string name, string kind) =>
        new(KongAnswer.NoSuch(field, JsonValue.Create(KongText.Shown(name)), kind));

    /// <summary>The customer who pays for a consumer: its own, else the one of its name, else nobody yet.</summary>
    private static async Task<CustomerRow?> FindCustomerAsync(DbConnection db, ConsumerRow consumer) =>
        consumer.CustomerKey is { } key && await CustomerStore.FindAsync(db, key) is { } own
            ? own
            : await CustomerStore.FindAsync(db, consumer.Username);

    /// <summary>What became of it; the two are set when somebody joined.</summary>
    private sealed record Joined(KongAnswer Answer, ConsumerRow? Consumer = null, CustomerRow? Customer = null);
}
