using System.Text.Json.Nodes;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Tests.Web.Kong;

/// <summary>Reading back what was set up, and taking it away again.</summary>
public sealed class KongUndoTests
{
    [Fact]
    public async Task Everything_that_was_created_can_be_read_by_name_and_by_id_and_in_its_list()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        foreach (var (list, name) in ((string, string?)[])[("/services", "name"), ("/routes", "name"),
            ("/consumers", "username"), ("/consumer_groups", "name"), ("/plugins", null),
            ("/services/my-api-service/plugins", null), ("/consumer_groups/free/plugins", null),
            ("/services/my-api-service/routes", "name"), ("/consumers/free_user_1/key-auth", null)])
        {
            var data = (await kong.GetAsync(list)).Expect(200).Body["data"]!.AsArray();
            Assert.NotEmpty(data);
            foreach (var entity in data)
            {
                var id = entity!["id"]!.GetValue<string>();
                Assert.Equal(36, id.Length);
                Assert.Equal(1768046400, entity["created_at"]!.GetValue<long>(), 60.0);
                var one = (await kong.GetAsync($"{list}/{id}")).Expect(200);
                Assert.Equal(entity.ToJsonString(), one.Body.ToJsonString());
                if (name is not null && entity[name] is { } named)
                    Assert.Equal(entity.ToJsonString(), (await kong.GetAsync($"{list}/{named}")).Body.ToJsonString());
            }
        }
    }

    [Fact]
    public async Task A_list_comes_in_pages_that_together_are_the_list()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        for (var i = 0; i < 5; i++) await kong.PostAsync("/services/my-api-service/routes", $"paths=/p{i}");
        foreach (var list in (string[])["/routes", "/consumers", "/plugins", "/consumer_groups"])
        {
            var whole = (await kong.GetAsync(list)).Body;
            Assert.Null(whole["next"]);
            Assert.False(whole.AsObject().ContainsKey("offset"));
            var paged = new JsonArray();
            for (var next = list + "?size=2"; next is not null;)
            {
                var page = (await kong.GetAsync(next)).Expect(200).Body;
                foreach (var entity in page["data"]!.AsArray()) paged.Add(entity!.DeepClone());
                next = page["next"]?.GetValue<string>();
            }

            Assert.Equal(whole["data"]!.ToJsonString(), paged.ToJsonString());
        }
    }

    [Fact]
    public async Task What_was_set_up_can_be_taken_away_and_set_up_again()
    {
        await using var kong = await KongHost.StartAsync();
        for (var round = 0; round < 2; round++)
        {
            await KongScript.RunAsync(kong);
            foreach (var list in (string[])["/plugins", "/consumers", "/consumer_groups", "/routes", "/services"])
            {
                foreach (var entity in (await kong.GetAsync(list)).Body["data"]!.AsArray())
                    (await kong.DeleteAsync($"{list}/{entity!["id"]}")).Expect(204);
                Assert.Empty((await kong.GetAsync(list)).Body["data"]!.AsArray());
            }

            Assert.Empty(kong.Published.Apis);
            Assert.Empty(kong.Published.Plans);
        }
    }

    [Fact]
    public async Task A_service_with_routes_stays()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        var reply = (await kong.DeleteAsync("/services/my-api-service")).Expect(400);
        Assert.Equal("an existing 'routes' entity references this 'services' entity", reply.Message);
        Assert.Equal(4, reply.Body["code"]!.GetValue<int>());
        (await kong.DeleteAsync("/services/ml_prediction_service/routes/everything")).Expect(404);
        (await kong.DeleteAsync("/services/my-api-service/routes/everything")).Expect(204);
        (await kong.DeleteAsync("/services/my-api-service")).Expect(204);
        Assert.DoesNotContain("endpoint_gating", (await kong.GetAsync("/plugins")).Text);
    }

    [Theory]
    [InlineData("/consumers/free_user_1/consumer_groups/free")]
    [InlineData("/consumer_groups/free/consumers/free_user_1")]
    [InlineData("/consumers/free_user_1")]
    [InlineData("/consumer_groups/free")]
    public async Task A_membership_ends_now_however_it_is_ended(string path)
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        var customer = (await kong.Get<CustomerStore>().FindAsync("free_user_1"))!;
        var before = Micros.Now(kong.Clock);
        kong.Changes.Clear();

        (await kong.DeleteAsync(path)).Expect(204);

        var (subscription, terms) = await kong.ReadAsync(async db => (
            Assert.Single(await SubscriptionStore.OfCustomerAsync(db, customer.Key)),
            Assert.Single(await EntitlementStore.OfCustomerAsync(db, customer.Key))));
        Assert.InRange(subscription.EndAt!.Value, before, Micros.Now(kong.Clock));
        Assert.Equal(subscription.EndAt, terms.EndAt);
        Assert.Contains(new Change.OfCustomer((int)customer.Key), kong.Changes);
        Assert.DoesNotContain("free_user_1", (await kong.GetAsync("/consumer_groups/free/consumers")).Text);
    }

    [Fact]
    public async Task Who_left_a_group_can_join_again_and_keeps_its_customer()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        (await kong.DeleteAsync("/consumers/free_user_1/consumer_groups/free")).Expect(204);
        (await kong.DeleteAsync("/consumers/free_user_1/consumer_groups/free")).Expect(404);
        (await kong.PostAsync("/consumers/free_user_1/consumer_groups", "group=pro")).Expect(201);
        Assert.Equal(["pro"], Names(await kong.GetAsync("/consumers/free_user_1/consumer_groups"), "name"));
        var members = await kong.GetAsync("/consumer_groups/pro/consumers");
        Assert.Equal(["free_user_1", "pro_user_1"], Names(members, "username"));
        (await kong.DeleteAsync("/consumers/free_user_1")).Expect(204);
        (await kong.PostAsync("/consumers", "username=free_user_1")).Expect(201);
        (await kong.PostAsync("/consumers/free_user_1/consumer_groups", "group=pro")).Expect(201);
        Assert.Equal(3, (await kong.Get<CustomerStore>().ListAsync(0, 10)).Count);
    }

    [Fact]
    public async Task A_key_that_was_deleted_may_be_added_again_and_one_that_was_revoked_may_not()
    {
        await using var kong = await KongHost.StartAsync();
        await kong.PostAsync("/consumers", "username=c");
        var first = (await kong.PostAsync("/consumers/c/key-auth", "key=the-key-of-c")).Expect(201);
        (await kong.DeleteAsync("/consumers/c/key-auth/" + first.Id)).Expect(204);
        (await kong.DeleteAsync("/consumers/c/key-auth/" + first.Id)).Expect(204);
        var second = (await kong.PostAsync("/consumers/c/key-auth", "key=the-key-of-c", "ttl=60")).Expect(201);
        Assert.Equal(60, second.Body["ttl"]!.GetValue<int>());
        var consumer = (await kong.Get<ConsumerStore>().FindAsync("c"))!;
        await kong.WriteAsync(
            db => kong.Get<ConsumerStore>().RevokeAsync(db, consumer.Key, second.Id));
        Assert.Empty((await kong.GetAsync("/consumers/c/key-auth")).Body["data"]!.AsArray());
        var again = (await kong.PostAsync("/consumers/c/key-auth", "key=the-key-of-c")).Expect(409);
        Assert.Equal("""{"key":"…of-c"}""", again.Body["fields"]!.ToJsonString(Relaxed));
    }

    [Fact]
    public async Task What_the_file_or_the_API_owns_is_not_changed_from_here()
    {
        await using var kong = await KongHost.StartAsync();
        await kong.WriteAsync(async db =>
        {
            var config = kong.Get<ConfigStore>();
            await config.AddAsync(db, ConfigKind.Plan, "gold", ManagedBy.File, PlanDocument.Empty.Write());
            await config.AddAsync(db, ConfigKind.Api, "market-data", ManagedBy.File,
                """{"upstream":"http://u","operations":{"a":"GET /a"}}""");
            await kong.Get<ConsumerStore>().AddAsync(db, "mine", null, null, ManagedBy.Api);
        });
        await kong.Get<Publisher>().RepublishAsync();

        (await kong.PostAsync("/consumer_groups", "name=gold")).Expect(409);
        (await kong.PostAsync("/services", "name=market-data", "url=http://u")).Expect(409);
        (await kong.PostAsync("/consumer_groups/gold/plugins", "name=rate-limiting", "config.minute=1")).Expect(409);
        var reply = (await kong.DeleteAsync("/consumer_groups/gold")).Expect(409);
        Assert.Equal("the consumer group 'gold' is managed by the configuration file: change it there", reply.Message);
        (await kong.DeleteAsync("/consumers/mine")).Expect(409);
        (await kong.PostAsync("/consumers/mine/consumer_groups", "group=gold")).Expect(201);
        Assert.Equal(["mine"], Names(await kong.GetAsync("/consumer_groups/gold/consumers"), "username"));
    }

    [Fact]
    public async Task A_customer_with_other_consumers_keeps_its_subscription()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        var customer = (await kong.Get<CustomerStore>().FindAsync("free_user_1"))!;
        await kong.WriteAsync(
            db => kong.Get<ConsumerStore>().AddAsync(db, "second", null, customer.Key, ManagedBy.Api));
        (await kong.DeleteAsync("/consumers/free_user_1")).Expect(204);
        var subscription = Assert.Single(await kong.ReadAsync(
            db => SubscriptionStore.OfCustomerAsync(db, customer.Key)));
        Assert.Null(subscription.EndAt);
    }

    private static System.Text.Json.JsonSerializerOptions Relaxed { get; } = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static IEnumerable<string> Names(KongReply list, string field) =>
        list.Expect(200).Body["data"]!.AsArray().Select(e => e![field]!.GetValue<string>());
}
