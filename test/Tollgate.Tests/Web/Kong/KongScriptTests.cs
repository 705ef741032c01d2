using Dapper;
using Tollgate.Billing;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Tests.Web.Kong;

public sealed class KongScriptTests
{
    [Fact]
    public async Task The_script_succeeds_and_each_POST_of_it_repeated_is_a_409()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        foreach (var (path, fields) in KongScript.Steps)
        {
            var again = (await kong.PostAsync(path, fields)).Expect(409);
            Assert.Equal("unique constraint violation", again.Body["name"]!.GetValue<string>());
            Assert.Equal(5, again.Body["code"]!.GetValue<int>());
            Assert.StartsWith("UNIQUE violation detected on '{", again.Message);
            Assert.NotEmpty(again.Body["fields"]!.AsObject());
            Assert.DoesNotContain("_user_1-key", again.Text);
        }
    }

    [Fact]
    public async Task A_409_writes_nothing()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        var before = await ContentAsync(kong);
        var changes = kong.Changes.Count;
        foreach (var (path, fields) in KongScript.Steps) (await kong.PostAsync(path, fields)).Expect(409);
        Assert.Equal(before, await ContentAsync(kong));
        Assert.Equal(changes, kong.Changes.Count);
    }

    [Fact]
    public async Task What_is_published_after_the_script_is_what_it_says()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        AssertPublished(kong.Published);
    }

    [Fact]
    public async Task A_restart_changes_nothing()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        string[] lists =
        [
            "/services", "/routes", "/consumers", "/consumer_groups", "/plugins", "/services/my-api-service/plugins",
            "/consumers/free_user_1/key-auth", "/consumers/free_user_1/consumer_groups",
            "/consumer_groups/enterprise/consumers",
        ];
        var before = new List<string>();
        foreach (var list in lists) before.Add((await kong.GetAsync(list)).Expect(200).Text);
        var published = kong.Published;

        await kong.RestartAsync();

        for (var i = 0; i < lists.Length; i++) Assert.Equal(before[i], (await kong.GetAsync(lists[i])).Text);
        AssertPublished(kong.Published);
        Assert.Equal(Keys(published), Keys(kong.Published));
        foreach (var (path, fields) in KongScript.Steps) (await kong.PostAsync(path, fields)).Expect(409);
    }

    [Fact]
    public async Task A_member_gets_a_customer_of_its_name_and_a_subscription_by_calendar_months()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);

        var customer = await kong.Get<CustomerStore>().FindAsync("pro_user_1");
        Assert.Equal(("pro_user_1", "USD", "UTC", "kong"),
            (customer!.Name, customer.Currency, customer.Timezone, customer.ManagedBy));
        Assert.Equal(customer.Key, (await kong.Get<ConsumerStore>().FindAsync("pro_user_1"))!.CustomerKey);
        var plan = kong.Published.FindPlan("pro")!;
        var (subscriptions, terms) = await kong.ReadAsync(async db => (
            await SubscriptionStore.OfCustomerAsync(db, customer.Key),
            await EntitlementStore.OfCustomerAsync(db, customer.Key)));
        var subscription = Assert.Single(subscriptions);
        Assert.Equal((plan.Id, "2026-01-01", "UTC"), (subscription.PlanId, subscription.Anchor, subscription.Timezone));
        Assert.Equal((plan.Id, 1), (Assert.Single(terms).PlanId, terms[0].PlanVersion));
        Assert.Contains(new Change.OfCustomer((int)customer.Key), kong.Changes);
    }

    [Fact]
    public async Task A_group_has_a_first_version_without_prices()
    {
        await using var kong = await KongHost.StartAsync();
        await kong.PostAsync("/consumer_groups", "name=free");
        var plan = Assert.Single(kong.Published.Plans);
        var version = Assert.Single(await kong.ReadAsync(db => ConfigStore.VersionsAsync(db, plan.Id)));
        Assert.Equal((1L, "USD", "{}"), (version.Version, version.Currency, version.Prices));
    }

    [Fact]
    public async Task No_key_is_stored_or_shown_again()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        Assert.DoesNotContain("free_user_1-key", await ContentAsync(kong));
        var listed = await kong.GetAsync("/consumers/free_user_1/key-auth");
        Assert.Equal("…-key", listed.Body["data"]![0]!["key"]!.GetValue<string>());

        var made = (await kong.PostAsync("/consumers/free_user_1/key-auth")).Expect(201);
        var key = made.Body["key"]!.GetValue<string>();
        Assert.True(ApiKeys.IsWellFormed(key));
        Assert.DoesNotContain(key, (await kong.GetAsync("/consumers/free_user_1/key-auth")).Text);
        Assert.DoesNotContain(key, (await kong.GetAsync("/consumers/free_user_1/key-auth/" + made.Id)).Text);
    }

    private static void AssertPublished(Published published)
    {
        Assert.Equal(["my-api-service", "ml_prediction_service"], published.Apis.Select(a => a.Name));
        var (api, ml) = (published.Apis[0], published.Apis[1]);
        Assert.Equal((true, true, new Uri("http://localhost:5000")), (api.RequiresKey, api.Gated, api.Upstream));
        Assert.Equal(["apikey", "X-API-Key"], api.KeyHeaders);
        Assert.Equal(
        [
            "everything /v1 prefix any", "everything /api/v1 prefix any", "/v1/public/data /v1/public/data exact any",
            "/v1/premium/analytics /v1/premium/analytics exact any",
            "/v1/enterprise/advanced /v1/enterprise/advanced exact any",
        ], api.Operations.Select(Describe));
        Assert.Equal((false, false, new Uri("http://localhost:8090")), (ml.RequiresKey, ml.Gated, ml.Upstream));
        Assert.EndsWith(" /api/v1/predict prefix POST", Describe(Assert.Single(ml.Operations)));
        Assert.Equal(
        [
            "free: /v1/public/data; 100/minute", "pro: /v1/public/data,/v1/premium/analytics; 1000/minute",
            "enterprise: /v1/public/data,/v1/premium/analytics,/v1/enterprise/advanced; ",
        ], published.Plans.Select(p => $"{p.Name}: " +
            string.Join(',', api.Operations.Where(o => p.Operations.Contains(o.Key)).Select(o => o.Name)) +
            $"; {string.Join(',', p.Limits)}"));
    }

    public static string Describe(PublishedOperation o) =>
        $"{o.Name} {o.Template} {(o.IsPrefix ? "prefix" : "exact")} " +
        (o.Methods is null ? "any" : string.Join(',', o.Methods));

    private static string Keys(Published published) => string.Join(' ',
        from api in published.Apis from o in api.Operations select $"{api.Name} {o.Name} {o.Key}");

    private static Task<string> ContentAsync(KongHost kong) => kong.ReadAsync(async db =>
    {
        var text = new List<string>();
        foreach (var table in (string[])["config_objects", "plan_versions", "operation_keys", "customers", "consumers",
            "credentials", "subscriptions", "entitlements"])
            foreach (IDictionary<string, object> row in await db.QueryAsync($"select * from {table}"))
                text.Add(string.Join('|', row.Values.Select(v => v is byte[] b ? Convert.ToHexString(b) : $"{v}")));
        return string.Join('\n', text);
    });
}
