using Tollgate.Tests.Gateway.Proxy;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>A PATCH changes what is sent and leaves the rest, in force on the next call.</summary>
public sealed class KongChangeTests
{
    [Theory]
    [InlineData("/services/s", """{"retries":3}""", "retries 3, host s, read_timeout 9000, write_timeout 9000, tags [\"a\"]")]
    [InlineData("/services/s", """{"url":"https://t:9/b"}""", "protocol https, host t, port 9, path /b, read_timeout 9000")]
    [InlineData("/services/s", """{"host":"t"}""", "protocol http, host t, port 80, path /a")]
    [InlineData("/services/s", """{"path":null,"tags":null,"read_timeout":null}""",
        "path null, tags null, read_timeout 60000, write_timeout 60000, host s")]
    [InlineData("/services/s", """{"write_timeout":5}""", "read_timeout 5, write_timeout 5")]
    [InlineData("/routes/r", """{"paths":["/q"]}""", "paths [\"/q\"], hosts [\"a.test\"], methods [\"GET\"], strip_path false")]
    [InlineData("/services/s/routes/r", """{"methods":null,"strip_path":null}""", "methods null, strip_path true, paths [\"/r\"]")]
    [InlineData("/routes/r", """{"name":null,"hosts":null,"paths":["/q"]}""", "name null, hosts null, paths [\"/q\"]")]
    [InlineData("/upstreams/u", """{"algorithm":null}""", "algorithm round-robin, name u")]
    [InlineData("/upstreams/u", """{"healthchecks":{"active":{"unhealthy":{"interval":8}}}}""",
        "healthchecks.active.healthy.interval 8, healthchecks.active.unhealthy.interval 8, healthchecks.active.http_path /up")]
    [InlineData("/upstreams/u", """{"healthchecks":{"active":{"healthy":{"interval":9}}}}""",
        "healthchecks.active.unhealthy.interval 9, healthchecks.active.healthy.successes 4, algorithm least-connections")]
    [InlineData("/upstreams/u", """{"healthchecks":null}""", "healthchecks null, algorithm least-connections")]
    [InlineData("/consumers/c", """{"username":"d"}""", "username d, custom_id i")]
    [InlineData("/consumers/i", """{"custom_id":null}""", "username c, custom_id null")]
    [InlineData("/plugins/P", """{"config":{"max_age":null,"credentials":false}}""",
        "config.max_age null, config.origins [\"https://a.example\"], enabled true")]
    public async Task What_is_not_sent_stays_and_null_is_the_default(string path, string change, string expected)
    {
        await using var kong = await StartAsync();
        path = path.Replace("P", await PluginAsync(kong), StringComparison.Ordinal);
        var before = (await kong.GetAsync(path)).Expect(200);
        var changed = (await kong.PatchJsonAsync(path, change)).Expect(200);
        Assert.Equal(before.Id, changed.Id);
        foreach (var pair in expected.Split(", ")) Assert.Equal(pair, $"{pair.Split(' ')[0]} {At(changed, pair.Split(' ')[0])}");
        var root = path.StartsWith("/services/s/", StringComparison.Ordinal) ? "/routes" : path[..path.LastIndexOf('/')];
        Assert.Equal(changed.Text, (await kong.GetAsync($"{root}/{changed.Id}")).Text);
    }

    [Theory]
    [InlineData("/services/s", """{"host":"a b","port":0,"colour":1,"id":"6f9a1b6c-0d2e-4f38-8a47-56b9c0d1e2f3"}""", "host port colour id")]
    [InlineData("/services/s", """{"url":"x","host":"t","read_timeout":1,"write_timeout":2}""", "host url write_timeout")]
    [InlineData("/services/s", """{"host":null,"created_at":7}""", "host created_at")]
    [InlineData("/routes/r", """{"service":null,"paths":["~/x"],"methods":["get"]}""", "service paths methods")]
    [InlineData("/routes/r", """{"hosts":null}""", "paths")]
    [InlineData("/services/s/routes/r", """{"service":{"name":"t"}}""", "service")]
    [InlineData("/routes/r", """{"service":{"name":"t"}}""", "service")]
    [InlineData("/consumers/c", """{"username":null,"tags":["a"]}""", "username tags")]
    [InlineData("/consumer_groups/g", """{"name":"a b","tags":["a"]}""", "name tags")]
    [InlineData("/consumer_groups/g", """{"name":"h"}""", "name")]
    [InlineData("/upstreams/u", """{"algorithm":"x","healthchecks":{"active":{"timeout":0}},"slots":7}""", "algorithm healthchecks slots")]
    [InlineData("/plugins/P", """{"service":null,"name":"acl","config":{"colour":1}}""", "service name config")]
    public async Task A_change_that_is_refused_names_all_its_faults_and_changes_nothing(string path, string change, string fields)
    {
        await using var kong = await StartAsync();
        path = path.Replace("P", await PluginAsync(kong), StringComparison.Ordinal);
        // the key of this route cannot be beside the tokens of that service; this name is in a gate already
        (await kong.PostAsync("/services", "name=t", "url=http://t")).Expect(201);
        (await kong.PostAsync("/services/t/plugins", "name=jwt")).Expect(201);
        (await kong.PostAsync("/routes/r/plugins", "name=key-auth")).Expect(201);
        (await kong.PostAsync("/consumer_groups", "name=h")).Expect(201);
        (await kong.PostAsync("/services/s/plugins", "name=endpoint_gating", "config.endpoint_map.g[]=/r", "config.endpoint_map.h[]=/r/x"))
            .Expect(201);
        (await kong.DeleteAsync("/consumer_groups/h")).Expect(204);
        var before = await AllAsync(kong);
        var refused = (await kong.PatchJsonAsync(path, change)).Expect(400);
        Assert.Equal("schema violation", refused.Body["name"]!.ToString());
        foreach (var field in fields.Split(' ')) Assert.NotNull(refused.Body["fields"]![field]);
        Assert.Equal(fields.Split(' ').Length, refused.Body["fields"]!.AsObject().Count);
        Assert.Contains(fields.Split(' ')[0], refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, await AllAsync(kong));
    }

    [Fact]
    public async Task Names_and_routes_change_under_calls_and_keys_and_what_was_used_stay()
    {
        await using var first = await TestUpstream.StartAsync();
        await using var second = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await server.ChangeAsync("PUT", "/services/shop", ("url", first.Address));
        await server.ChangeAsync("PUT", "/services/other", ("url", second.Address));
        await server.ChangeAsync("PUT", "/services/shop/routes/all", ("paths", "/v1"), ("strip_path", "false"));
        await server.FormAsync("/plugins", 201, ("name", "key-auth"));
        await server.ChangeAsync("PUT", "/consumer_groups/gold");
        await server.FormAsync("/services/shop/plugins", 201, ("name", "endpoint_gating"), ("config.endpoint_map.gold[]", "/v1/a"));
        await server.ChangeAsync("PUT", "/consumers/fred", ("custom_id", "7"));
        await server.FormAsync("/consumers/fred/key-auth", 201, ("key", "the-key-of-fred"));
        await server.FormAsync("/consumers/fred/consumer_groups", 201, ("group", "gold"));
        var plugin = await server.FormAsync("/consumer_groups/gold/plugins", 201, ("name", "rate-limiting"), ("config.hour", "9"));
        Assert.Equal(2, await server.PassAsync("/v1/a", "the-key-of-fred", 2));

        await server.ChangeAsync("PATCH", "/services/shop", ("name", "store"));
        await server.ChangeAsync("PATCH", "/consumers/fred", ("username", "freddy"));
        await server.ChangeAsync("PATCH", "/consumer_groups/gold", ("name", "platinum"));
        using (var answer = await server.CallAsync("/v1/a", "the-key-of-fred"))
            Assert.Equal((200, "6"), ((int)answer.StatusCode, answer.Header("X-RateLimit-Remaining-Hour")));
        var seen = first.Seen.Last();
        Assert.Equal(("freddy", "platinum"), (seen.Headers["X-Consumer-Username"], seen.Headers["X-Consumer-Groups"]));
        Assert.Contains("\"platinum\":[\"/v1/a\"]", (await server.GetAsync("/services/store/plugins")).ToString(),
            StringComparison.Ordinal);
        Assert.Equal("freddy", (await server.GetAsync("/consumer_groups/platinum/consumers")).GetProperty("data")[0]
            .GetProperty("username").GetString());

        // the same plugin put in its place, tighter, and then wider: what was used stays
        await server.ChangeAsync("PUT", $"/consumer_groups/platinum/plugins/{plugin["id"]}", ("name", "rate-limiting"),
            ("config.hour", "3"));
        Assert.Equal(429, await server.StatusAsync("/v1/a", "the-key-of-fred"));
        await server.ChangeAsync("PUT", $"/plugins/{plugin["id"]}", ("name", "rate-limiting"), ("config.hour", "9"),
            ("consumer_group.name", "platinum"));
        Assert.Equal(1, await server.PassAsync("/v1/a", "the-key-of-fred", 1));

        // the route goes to another service, then to another path of it
        await server.ChangeAsync("PATCH", "/routes/all", ("service.name", "other"));
        Assert.Equal(200, await server.StatusAsync("/v1/a", "the-key-of-fred"));
        Assert.Equal((4, 1), (first.Seen.Count, second.Seen.Count));
        await server.ChangeAsync("PATCH", "/services/other/routes/all", ("paths[]", "/v2"), ("strip_path", "true"));
        Assert.Equal(404, await server.StatusAsync("/v1/a", "the-key-of-fred"));
        Assert.Equal(200, await server.StatusAsync("/v2/a", "the-key-of-fred"));
        Assert.Equal("/a", second.Seen.Last().Target);
        await server.ChangeAsync("PATCH", "/services/other", ("url", first.Address + "/below"));
        Assert.Equal(200, await server.StatusAsync("/v2/a", "the-key-of-fred"));
        Assert.Equal("/below/a", first.Seen.Last().Target);
        Assert.Equal(7, await server.UsageAsync());

        // who changes what is not as it was read is told so
        var read = await server.Admin.GetAsync("/services/other", TestContext.Current.CancellationToken);
        await server.ChangeAsync("PATCH", "/services/other", ("retries", "1"));
        using var late = new HttpRequestMessage(HttpMethod.Patch, "/services/other")
        {
            Content = new FormUrlEncodedContent([new("retries", "2")]),
        };
        late.Headers.Add("If-Match", read.Headers.ETag!.Tag);
        using var refused = await server.Admin.SendAsync(late, TestContext.Current.CancellationToken);
        Assert.Equal(412, (int)refused.StatusCode);
        Assert.Equal(1, (await server.GetAsync("/services/other")).GetProperty("retries").GetInt32());
    }

    [Fact]
    public async Task Calls_without_a_key_are_those_of_whoever_has_the_name_now()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await server.ChangeAsync("PUT", "/services/s", ("url", upstream.Address));
        await server.ChangeAsync("PUT", "/services/s/routes/r", ("paths", "/v1"));
        await server.ChangeAsync("PUT", "/consumers/guest");
        await server.ChangeAsync("PUT", "/consumers/anna");
        await server.FormAsync("/services/s/plugins", 201, ("name", "key-auth"), ("config.anonymous", "guest"));
        Assert.Equal(200, await server.StatusAsync("/v1/a", null));
        await server.ChangeAsync("PATCH", "/consumers/guest", ("username", "former"), ("custom_id", "f"));
        Assert.Equal(401, await server.StatusAsync("/v1/a", null));
        await server.ChangeAsync("PATCH", "/consumers/anna", ("username", "guest"));
        await server.ChangeAsync("PATCH", "/consumers/f", ("custom_id", ""));
        Assert.Equal(200, await server.StatusAsync("/v1/a", null));
        Assert.Equal(["guest", "guest"], upstream.Seen.Select(s => s.Headers["X-Consumer-Username"]));
        Assert.NotEqual(upstream.Seen.First().Headers["X-Consumer-ID"], upstream.Seen.Last().Headers["X-Consumer-ID"]);
    }

    [Fact]
    public async Task A_group_that_is_put_again_under_its_id_begins_anew_and_the_old_one_is_billed_as_it_was()
    {
        await using var kong = await StartAsync();
        var id = (await kong.GetAsync("/consumer_groups/g")).Id;
        (await kong.PostAsync("/consumers/c/consumer_groups", "group=g")).Expect(201);
        (await kong.DeleteAsync("/consumer_groups/g")).Expect(204);
        Assert.Equal(id, (await kong.PutAsync($"/consumer_groups/{id}", "name=again")).Expect(200).Id);
        Assert.Empty((await kong.GetAsync("/consumer_groups/again/consumers")).Body["data"]!.AsArray());
        (await kong.PostAsync("/consumers/c/consumer_groups", "group=again")).Expect(201);
    }

    private static async Task<KongHost> StartAsync()
    {
        var kong = await KongHost.StartAsync();
        (await kong.PostAsync("/services", "name=s", "url=http://s/a", "read_timeout=9000", "tags=a")).Expect(201);
        (await kong.PostAsync("/services/s/routes", "name=r", "paths=/r", "hosts=a.test", "methods=GET", "strip_path=false")).Expect(201);
        (await kong.PostAsync("/consumers", "username=c", "custom_id=i")).Expect(201);
        (await kong.PostAsync("/consumer_groups", "name=g")).Expect(201);
        (await kong.PostAsync("/upstreams", "name=u", "algorithm=least-connections", "healthchecks.active.http_path=/up",
            "healthchecks.active.healthy.interval=3", "healthchecks.active.healthy.successes=4")).Expect(201);
        return kong;
    }

    private static async Task<string> PluginAsync(KongHost kong) => (await kong.PostAsync("/services/s/plugins", "name=cors",
        "config.origins=https://a.example", "config.credentials=true", "config.max_age=7")).Expect(201).Id;

    private static async Task<string> AllAsync(KongHost kong)
    {
        var all = "";
        foreach (var list in (string[])["services", "routes", "consumers", "consumer_groups", "upstreams", "plugins"])
            all += (await kong.GetAsync("/" + list)).Text;
        return all;
    }

    private static string At(KongReply reply, string path)
    {
        System.Text.Json.Nodes.JsonNode? node = reply.Body;
        foreach (var name in path.Split('.')) node = node?[name];
        return node is null ? "null" : node.GetValueKind() == System.Text.Json.JsonValueKind.String ? node.ToString() : node.ToJsonString();
    }
}
