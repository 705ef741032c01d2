using System.Text.Json.Nodes;
using Tollgate.Config;

namespace Tollgate.Tests.Web.Kong;

/// <summary>A PUT makes a thing or replaces it, under the name or the id that its path says, and the same one twice is one.</summary>
public sealed class KongPutTests
{
    private const string Id = "5f9a1b6c-0d2e-4f38-8a47-56b9c0d1e2f3";

    /// <summary>Where; what; what else is then there by default.</summary>
    public static TheoryData<string, string, string> Kinds => new()
    {
        {
            "/services", """{"name":"n","host":"u.test","path":"/a","read_timeout":7000,"tags":["x"]}""",
            "port 80, retries 0, protocol http"
        },
        { "/upstreams/v/targets", """{"target":"127.0.0.1:9"}""", "weight 100, tags null" },
        { "/routes", """{"name":"n","service":{"name":"s"},"hosts":["a.test"],"methods":["GET"]}""", "strip_path true, paths [\"/\"]" },
        { "/services/s/routes", """{"name":"n","paths":["/a"],"preserve_host":true}""", "strip_path true, hosts null" },
        { "/consumers", """{"username":"n","custom_id":"i"}""", "tags null" },
        { "/consumer_groups", """{"name":"n"}""", "tags null" },
        {
            "/upstreams", """{"name":"n","healthchecks":{"active":{"http_path":"/up","unhealthy":{"interval":3}}}}""",
            "algorithm round-robin, tags null"
        },
        { "/plugins", """{"name":"cors","service":{"name":"s"},"config":{"max_age":7}}""", "enabled true, route null" },
        { "/services/s/plugins", """{"name":"key-auth"}""", "enabled true, consumer null" },
        { "/routes/r/plugins", """{"name":"jwt","config":{"claims_to_verify":["exp"]}}""", "enabled true" },
        { "/consumer_groups/g/plugins", """{"name":"rate-limiting","config":{"minute":5}}""", "enabled true, service null" },
        { "/consumers/c/plugins", """{"name":"rate-limiting-advanced","config":{"limit":[5],"window_size":[60]}}""", "enabled true" },
    };

    [Theory, MemberData(nameof(Kinds))]
    public async Task A_thing_is_put_under_its_id_and_what_is_read_of_it_may_be_put_back(string path, string body, string defaults)
    {
        await using var kong = await StartAsync();
        var made = (await kong.PutJsonAsync($"{path}/{Id}", body)).Expect(200);
        Assert.Equal(Id, made.Id);
        foreach (var pair in defaults.Split(", "))
            Assert.Equal(pair, $"{pair.Split(' ')[0]} {Plain(made.Body[pair.Split(' ')[0]])}");
        Assert.Equal(made.Text, (await kong.GetAsync($"{path}/{Id}")).Expect(200).Text);
        // the same, and what was read, change nothing: not even when it was changed last
        var (published, rows) = (kong.Published, await RowsAsync(kong));
        kong.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(made.Text, (await kong.PutJsonAsync($"{path}/{Id}", body)).Expect(200).Text);
        Assert.Equal(made.Text, (await kong.PutJsonAsync($"{path}/{Id}", made.Text)).Expect(200).Text);
        Assert.Equal(made.Text, (await kong.PatchJsonAsync($"{path}/{Id}", made.Text)).Expect(200).Text);
        Assert.Equal(made.Text, (await kong.PatchJsonAsync($"{path}/{Id}", "{}")).Expect(200).Text);
        Assert.Equal(rows, await RowsAsync(kong));
        Assert.Equal(published.Apis.SelectMany(a => a.Operations).Select(o => o.Key),
            kong.Published.Apis.SelectMany(a => a.Operations).Select(o => o.Key));
        (await kong.DeleteAsync($"{path}/{Id}")).Expect(204);
        (await kong.GetAsync($"{path}/{Id}")).Expect(404);
    }

    [Theory]
    [InlineData("/services", "name", "url=http://u", "url=http://other")]
    [InlineData("/services/s/routes", "name", "paths=/a", "paths=/b")]
    [InlineData("/consumers", "username", "custom_id=a", "custom_id=b")]
    [InlineData("/upstreams", "name", "tags=a", "tags=b")]
    [InlineData("/consumer_groups", "name", "", "")]
    public async Task A_thing_is_put_under_its_name_and_replaced_whole(string path, string named, string first, string second)
    {
        await using var kong = await StartAsync();
        var made = (await kong.PutAsync($"{path}/new", first, $"id={Id}")).Expect(200);
        Assert.Equal((Id, "new"), (made.Id, made.Body[named]!.ToString()));
        var replaced = (await kong.PutAsync($"{path}/new", second, $"{named}=new")).Expect(200);
        Assert.Equal(Id, replaced.Id);
        Assert.Equal(replaced.Text, (await kong.GetAsync($"{path}/new")).Text);
        if (first.Length > 0) Assert.NotEqual(made.Text, replaced.Text);
        var none = (await kong.PutAsync($"{path}/other", second.Replace("custom_id=b", "", StringComparison.Ordinal)
            .Replace("/b", "/c", StringComparison.Ordinal))).Expect(200);
        Assert.NotEqual(Id, none.Id);

        // what another has, or is called otherwise in the path
        Assert.StartsWith("the path says 'new'", (await kong.PutAsync($"{path}/new", second, $"{named}=old")).Expect(400).Fault(named));
        Assert.StartsWith($"not supported: it is {Id} and stays that",
            (await kong.PutAsync($"{path}/new", second, "id=6f9a1b6c-0d2e-4f38-8a47-56b9c0d1e2f3")).Expect(400).Fault("id"));
        (await kong.PutAsync($"{path}/{Id}", second, $"{named}=other")).Expect(409);
        (await kong.PatchAsync($"{path}/new", $"{named}=other")).Expect(409);
        Assert.Equal(replaced.Text, (await kong.GetAsync($"{path}/new")).Text);
        // a name that is given away is free
        (await kong.PatchAsync($"{path}/new", $"{named}=newer")).Expect(200);
        (await kong.GetAsync($"{path}/new")).Expect(404);
        Assert.Equal(Id, (await kong.GetAsync($"{path}/newer")).Id);
        (await kong.PutAsync($"{path}/new", second.Replace("custom_id=b", "custom_id=c", StringComparison.Ordinal)
            .Replace("/b", "/d", StringComparison.Ordinal))).Expect(200);
    }

    [Fact]
    public async Task An_id_is_given_once_whatever_has_it()
    {
        await using var kong = await StartAsync();
        (await kong.PutAsync($"/services/{Id}", "url=http://u")).Expect(200);
        var refused = (await kong.PutAsync($"/upstreams/{Id}", "name=u")).Expect(409);
        Assert.Equal($$"""{"id":"{{Id}}"}""", refused.Body["fields"]!.ToJsonString());
        // an unnamed thing is put under its id only
        Assert.Null((await kong.GetAsync($"/services/{Id}")).Body["name"]);
        (await kong.PutAsync($"/services/{Id.Replace("-", "", StringComparison.Ordinal)}", "url=http://v")).Expect(200);
        Assert.Equal("v", (await kong.GetAsync($"/services/{Id}")).Body["host"]!.ToString());
        Assert.StartsWith("expected a valid UUID", (await kong.PutAsync("/plugins/mine", "name=cors")).Expect(400).Fault("id"));
        Assert.StartsWith("not supported: it is ", (await kong.PutAsync($"/services/{Id}", "url=http://v", "created_at=1")).Expect(400)
            .Fault("created_at"));
        Assert.StartsWith("not supported: ids and instants", (await kong.PutAsync("/services/t", "url=http://v", "created_at=1"))
            .Expect(400).Fault("created_at"));
    }

    [Fact]
    public async Task Nothing_is_put_under_what_is_not_there_or_what_it_is_not_under()
    {
        await using var kong = await StartAsync();
        (await kong.PostAsync("/services", "name=t", "url=http://t")).Expect(201);
        (await kong.PutAsync("/services/x/routes/a", "paths=/a")).Expect(404);
        (await kong.PutAsync("/services/t/routes/r", "paths=/a")).Expect(404);
        (await kong.PatchAsync("/services/t/routes/r", "paths=/a")).Expect(404);
        var plugin = (await kong.PutAsync($"/routes/r/plugins/{Id}", "name=cors")).Expect(200);
        (await kong.PutAsync($"/services/s/plugins/{Id}", "name=cors")).Expect(404);
        (await kong.PutAsync($"/services/x/plugins/{Id.Replace('5', '6')}", "name=cors")).Expect(404);
        foreach (var path in (string[])["/services/x", "/routes/x", "/consumers/x", "/consumer_groups/x", "/upstreams/x", "/plugins/x"])
            Assert.Equal("""{"message":"Not found"}""", (await kong.PatchAsync(path, "name=y")).Expect(404).Text);
        Assert.Equal(plugin.Text, (await kong.GetAsync("/plugins/" + Id)).Text);

        // at the root it may go elsewhere, and become another, but not where one is
        (await kong.PutAsync($"/plugins/{Id}", "name=key-auth", "service.name=s")).Expect(200);
        Assert.Empty((await kong.GetAsync("/routes/r/plugins")).Body["data"]!.AsArray());
        (await kong.PostAsync("/services/s/plugins", "name=cors")).Expect(201);
        (await kong.PutAsync($"/plugins/{Id}", "name=cors", "service.name=s")).Expect(409);
        (await kong.PutAsync($"/plugins/{Id}", "name=jwt", "service.name=s")).Expect(200);
        Assert.NotNull(Assert.Single(kong.Published.Apis, a => a.Name == "s").Bearers);
    }

    [Fact]
    public async Task A_target_is_put_and_changed_by_its_address_too()
    {
        await using var kong = await StartAsync();
        (await kong.PostAsync("/upstreams", "name=w")).Expect(201);
        var made = (await kong.PutAsync("/upstreams/v/targets/127.0.0.1:9", "weight=7")).Expect(200);
        Assert.Equal(made.Text, (await kong.PutAsync("/upstreams/v/targets/127.0.0.1:9", "weight=7", "target=127.0.0.1:9")).Text);
        var changed = (await kong.PatchAsync("/upstreams/v/targets/127.0.0.1:9", "weight=0")).Expect(200).Body;
        Assert.Equal("0", changed["weight"]!.ToJsonString());
        Assert.StartsWith("the path says", (await kong.PutAsync("/upstreams/v/targets/127.0.0.1:9", "target=127.0.0.1:8")).Expect(400)
            .Fault("target"));
        (await kong.PutAsync("/upstreams/v/targets/127.0.0.1:8", "")).Expect(200);
        (await kong.PatchAsync("/upstreams/v/targets/127.0.0.1:8", "target=127.0.0.1:9")).Expect(409);
        (await kong.PutAsync($"/upstreams/w/targets/{made.Id}", "target=127.0.0.1:9")).Expect(404);
        (await kong.PatchAsync($"/upstreams/w/targets/{made.Id}", "weight=1")).Expect(404);
        (await kong.PutAsync("/upstreams/x/targets/127.0.0.1:9", "")).Expect(404);
        Assert.Equal(2, (await kong.GetAsync("/upstreams/v/targets")).Body["data"]!.AsArray().Count);
    }

    [Theory]
    [InlineData("/services/one", "url=http://u")]
    [InlineData("/services/s/routes/one", "paths=/a")]
    [InlineData("/consumers/one", "custom_id=1")]
    [InlineData("/consumer_groups/one", "")]
    [InlineData("/upstreams/v/targets/127.0.0.1:9", "weight=5")]
    [InlineData("/services/s/plugins/" + Id, "name=cors")]
    public async Task Twenty_that_put_the_same_at_once_make_it_once(string path, string body)
    {
        await using var kong = await StartAsync();
        var replies = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => kong.PutAsync(path, body)));
        Assert.Single(replies.Select(r => r.Expect(200).Text).Distinct());
        var changes = await Task.WhenAll(Enumerable.Range(0, 20).Select(i =>
            path.StartsWith("/consumers", StringComparison.Ordinal) ? kong.PatchAsync(path, $"custom_id=c{i}")
                : path == "/consumer_groups/one" ? kong.PatchAsync(path, "name=one") : kong.PatchAsync(path, $"tags=t{i}")));
        Assert.All(changes, c => Assert.Equal(replies[0].Id, c.Expect(200).Id));
        Assert.Contains((await kong.GetAsync(path)).Text, changes.Select(c => c.Text));
    }

    [Fact]
    public async Task What_was_made_at_one_instant_is_listed_once_whatever_its_ids()
    {
        await using var kong = await StartAsync();
        (await kong.DeleteAsync("/upstreams/v")).Expect(204);
        kong.Clock.AutoAdvanceAmount = TimeSpan.Zero;
        string[] ids = ["9", "3", "7", "1", "5", "8"];
        foreach (var id in ids) (await kong.PutAsync($"/upstreams/{id}{Id[1..]}", $"name=u{id}")).Expect(200);
        var (seen, next) = (new List<string>(), "/upstreams?size=2");
        while (next is not null)
        {
            var page = (await kong.GetAsync(next)).Expect(200).Body;
            seen.AddRange(page["data"]!.AsArray().Select(u => $"{u!["id"]}"[..1]));
            next = (string?)page["next"];
        }

        Assert.Equal(ids, seen);
    }

    [Fact]
    public async Task What_the_file_or_the_API_owns_is_not_put_or_changed_from_here()
    {
        await using var kong = await StartAsync();
        await kong.WriteAsync(async db =>
        {
            await kong.Get<ConfigStore>().AddAsync(db, ConfigKind.Plan, "gold", ManagedBy.File, PlanDocument.Empty.Write());
            await kong.Get<ConsumerStore>().AddAsync(db, "mine", null, null, ManagedBy.Api);
        });
        Assert.Equal("the consumer group 'gold' is managed by the configuration file: change it there",
            (await kong.PatchAsync("/consumer_groups/gold", "name=x")).Expect(409).Message);
        (await kong.PutAsync("/consumer_groups/gold", "")).Expect(409);
        (await kong.PatchAsync("/consumers/mine", "username=x")).Expect(409);
        (await kong.PutAsync("/consumers/mine", "custom_id=x")).Expect(409);
    }

    internal static async Task<KongHost> StartAsync()
    {
        var kong = await KongHost.StartAsync();
        (await kong.PostAsync("/services", "name=s", "url=http://s")).Expect(201);
        (await kong.PostAsync("/services/s/routes", "name=r", "paths=/r")).Expect(201);
        (await kong.PostAsync("/consumers", "username=c")).Expect(201);
        (await kong.PostAsync("/consumer_groups", "name=g")).Expect(201);
        (await kong.PostAsync("/upstreams", "name=v")).Expect(201);
        return kong;
    }

    private static string Plain(JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == System.Text.Json.JsonValueKind.String ? value.ToString()
        : node?.ToJsonString() ?? "null";

    private static Task<string> RowsAsync(KongHost kong) => kong.ReadAsync(async db =>
        string.Join('\n', (await ConfigStore.AllAsync(db)).Select(r => r.ToString())));
}
