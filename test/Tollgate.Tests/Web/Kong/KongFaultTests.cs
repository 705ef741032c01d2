namespace Tollgate.Tests.Web.Kong;

/// <summary>What is wrong is said by name, all of it at once, in Kong's form; nothing is half written.</summary>
public sealed class KongFaultTests
{
    [Fact]
    public async Task All_faults_of_a_request_come_at_once()
    {
        await using var kong = await StartAsync();
        var reply = (await kong.PostJsonAsync("/routes", """
            {"name":"no good","service":{"id":"7"},"paths":["/a","b","/c//d","~/e","/f/*"],"methods":["get"],
             "strip_path":"yes","hosts":["x y"],"preserve_host":"no","colour":"red"}
            """)).Expect(400);
        Assert.Equal(2, reply.Body["code"]!.GetValue<int>());
        Assert.Equal("schema violation", reply.Body["name"]!.GetValue<string>());
        Assert.StartsWith("11 schema violations (colour: unknown field; hosts[1]: 'x y' is not a host", reply.Message);
        Assert.StartsWith("invalid value 'no good': the only accepted ascii characters", reply.Fault("name"));
        Assert.Equal("expected a valid UUID", reply.Fault("service.id"));
        Assert.Equal("""[null,"should start with: /","must not have empty segments","not supported: regular """ +
            """expressions; write a path that calls begin with","not supported: wildcards; a path covers all below """ +
            """it"]""", reply.Fault("paths"));
        Assert.Equal("""["expected a method in capitals"]""", reply.Fault("methods"));
        Assert.Equal("expected a boolean", reply.Fault("strip_path"));
        Assert.Equal("expected a boolean", reply.Fault("preserve_host"));
    }

    [Theory]
    [InlineData("/services", "", "host", "required field missing")]
    [InlineData("/services", "url=ftp://x", "url", "expected http://")]
    [InlineData("/services", "url=localhost:5000", "url", "expected http://")]
    [InlineData("/services", "url=http://a:b@x", "url", "a user, a query or a fragment")]
    [InlineData("/services", "url=http://x/a?b=c", "url", "a user, a query or a fragment")]
    [InlineData("/services", "url=http://x:0", "url", "expected http://")]
    [InlineData("/services", "url=http://x&port=1", "port", "expected either url or")]
    [InlineData("/services", "host=x&port=65536", "port", "value should be between 1 and 65535")]
    [InlineData("/services", "host=x&protocol=grpc", "protocol", "expected one of: http, https")]
    [InlineData("/services", "host=a+b", "host", "invalid value")]
    [InlineData("/services", "host=x&retries=6", "retries", "value should be between 0 and 5")]
    [InlineData("/services", "url=http://x&read_timeout=1&write_timeout=2", "write_timeout", "not supported: a time of its own")]
    [InlineData("/services", "url=http://x&enabled=false", "enabled", "not supported")]
    [InlineData("/services", "url=http://x&id=1", "id", "not supported")]
    [InlineData("/upstreams", "name=u&algorithm=consistent-hashing", "algorithm", "expected one of: round-robin")]
    [InlineData("/upstreams", "name=u&hash_on=ip", "hash_on", "not supported")]
    [InlineData("/upstreams", "name=u&healthchecks.passive.type=http", "healthchecks.passive", "not supported")]
    [InlineData("/upstreams", "name=u&healthchecks.active.http_path=/h", "healthchecks.active.healthy.interval", "required here")]
    [InlineData("/upstreams", "name=u&healthchecks.active.healthy.interval=1&healthchecks.active.unhealthy.interval=2",
        "healthchecks.active.unhealthy.interval", "not supported: one of its own")]
    [InlineData("/services/s/plugins", "name=cors&config.credentials=true", "config.credentials", "true needs origins")]
    [InlineData("/services/s/plugins", "name=cors&config.origins=example.com", "config.origins", "[\"'example.com' is not an origin")]
    [InlineData("/services/s/plugins", "name=cors&config.preflight_continue=true", "config.preflight_continue", "not supported")]
    [InlineData("/services/s/plugins", "name=request-size-limiting&config.size_unit=gigabytes", "config.size_unit", "expected one of")]
    [InlineData("/services/s/plugins", "name=request-size-limiting&config.allowed_payload_size=-1",
        "config.allowed_payload_size", "value should be between")]
    [InlineData("/services/s/plugins", "name=request-termination&config.status_code=99", "config.status_code", "value should be")]
    [InlineData("/services/s/plugins", "name=request-termination&config.message=a&config.body=b", "config.message", "cannot be used")]
    [InlineData("/services/s/plugins", "name=request-termination&config.trigger=x", "config.trigger", "not supported")]
    [InlineData("/routes", "paths=/a", "service", "required field missing")]
    [InlineData("/routes", "service=s&paths=/a", "service", "expected a record")]
    [InlineData("/services/s/routes", "methods=GET", "paths", "required field missing")]
    [InlineData("/services/s/routes", "paths=/a/{id}", "paths", "[\"only letters, digits")]
    [InlineData("/services/s/routes", "paths=/a/../b", "paths", "[\"must not have '.' or '..'")]
    [InlineData("/services/s/routes", "paths=/a%2541", "paths", "[\"not supported: escapes")]
    [InlineData("/services/s/routes", "paths=/a&protocols=https", "protocols", "not supported")]
    [InlineData("/services/s/routes", "paths=/a&regex_priority=1", "regex_priority", "not supported")]
    [InlineData("/services/s/routes", "paths=/a&headers.x=1", "headers", "not supported")]
    [InlineData("/consumers", "custom_id=1", "username", "required field missing")]
    [InlineData("/consumers", "username=a%00b", "username", "expected printable characters only")]
    [InlineData("/consumers", "username=a%E2%80%AEb", "username", "expected printable characters only")]
    [InlineData("/consumers", "username=a&tags=x", "tags", "not supported")]
    [InlineData("/consumers/c/key-auth", "key=%C3%A4", "key", "must be visible ASCII")]
    [InlineData("/consumers/c/key-auth", "key=+a", "key", "must be visible ASCII")]
    [InlineData("/consumers/c/key-auth", "key=a&ttl=-1", "ttl", "value should be between 0")]
    [InlineData("/consumer_groups", "", "name", "required field missing")]
    [InlineData("/consumers/c/consumer_groups", "", "group", "required field missing")]
    [InlineData("/consumers/c/consumer_groups", "group=g&name=g", "name", "unknown field")]
    [InlineData("/consumer_groups/g/consumers", "name=c", "consumer", "required field missing")]
    [InlineData("/plugins", "name=acl", "config.allow", "exactly one of these fields must be set: allow, deny")]
    [InlineData("/plugins", "name=acl&config.allow=a&config.deny=b", "config.deny", "only one of these fields may be set")]
    [InlineData("/plugins", "name=acl&config.allow=a&config.hide_groups_header=false", "config.hide_groups_header", "not supported")]
    [InlineData("/consumers/c/acls", "", "group", "required field missing")]
    [InlineData("/plugins", "name=ldap-auth", "name", "plugin 'ldap-auth' not enabled; add it to the 'plugins' configuration " +
        "property (supported here: key-auth, rate-limiting, endpoint_gating, cors, " +
        "request-size-limiting, request-termination, jwt, acl, rate-limiting-advanced, prometheus)")]
    [InlineData("/plugins", "name=response-ratelimiting", "name", "plugin 'response-ratelimiting' not enabled; add it to the " +
        "'plugins' configuration property (supported here: key-auth, rate-limiting, endpoint_gating, cors, request-size-limiting, " +
        "request-termination, jwt, acl, rate-limiting-advanced, prometheus); units that an answer tells in X-Kong-Limit are counted")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting-advanced", "config.limit", "required field missing")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting-advanced&config.limit=1,2&config.window_size=60", "config.limit",
        "2 limits for 1 windows")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting-advanced&config.limit=1&config.window_size=90", "config.window_size",
        "not supported: 90; windows here are of 1, 60, 3600, 86400 seconds")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting-advanced&config.limit=1,2&config.window_size=60,60",
        "config.window_size", "the same window twice")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting-advanced&config.limit=x&config.window_size=60", "config.limit",
        "expected an integer")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting-advanced&config.limit=1&config.window_size=60&config.strategy=redis",
        "config.strategy", "not supported: this server is started without --redis")]
    [InlineData("/services/s/plugins", "name=prometheus", "service", "prometheus works everywhere in this version: POST /plugins")]
    [InlineData("/plugins", "name=prometheus&config.bandwidth_metrics=true", "config.bandwidth_metrics", "not supported")]
    [InlineData("/plugins", "name=endpoint_gating", "service", "required field missing: endpoint_gating works on a service in " +
        "this version: POST /services/{service}/plugins")]
    [InlineData("/consumer_groups/g/plugins", "name=key-auth", "consumer_group",
        "key-auth works on a service, on a route, everywhere in this version: POST /services/{service}/plugins, " +
        "/routes/{route}/plugins, /plugins")]
    [InlineData("/services/s/plugins", "name=rate-limiting&config.minute=1", "service", "rate-limiting works on a " +
        "consumer group, on a consumer in this version: POST /consumer_groups/{group}/plugins, /consumers/{consumer}/plugins")]
    [InlineData("/consumers/c/plugins", "name=rate-limiting&config.minute=1&route.name=r", "route", "rate-limiting works on a " +
        "consumer group, on a consumer in this version")]
    [InlineData("/consumers/c/plugins", "name=rate-limiting&config.minute=1&consumer.username=c", "consumer", "the path names it already")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting&config.minute=1&consumer.username=c", "consumer",
        "not supported: a plugin is on one thing, and this one is on a consumer_group already")]
    [InlineData("/consumers/c/plugins", "name=request-termination", "consumer", "request-termination works on a service, on a route, " +
        "everywhere in this version")]
    [InlineData("/consumers/c/plugins", "name=rate-limiting&config.minute=1&config.policy=redis", "config.policy",
        "not supported: this server is started without --redis")]
    [InlineData("/services/s/plugins", "name=key-auth&route.name=r", "route",
        "not supported: a plugin is on one thing")]
    [InlineData("/services/s/plugins", "name=key-auth&consumer.username=c", "consumer",
        "key-auth works on a service, on a route, everywhere in this version")]
    [InlineData("/services/s/plugins", "name=key-auth&config.hide_credentials=false", "config.hide_credentials",
        "not supported: a key never reaches the upstream")]
    [InlineData("/services/s/plugins", "name=key-auth&config.key_in_body=true", "config.key_in_body",
        "not supported")]
    [InlineData("/services/s/plugins", "name=key-auth&config.key_names=a:b", "config.key_names",
        "[\"expected the name")]
    [InlineData("/services/s/plugins", "name=key-auth&config.x=1", "config.x", "unknown field")]
    [InlineData("/services/s/plugins", "name=key-auth&config=x", "config", "expected a record")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting", "@entity", "at least one of these fields")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting&config.minute=x", "config.minute",
        "expected an integer")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting&config.minute=9&config.month=8", "config.month",
        "the limit for month (8) cannot be lower than the limit for minute (9)")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting&config.minute=1&config.policy=redis", "config.policy",
        "not supported: this server is started without --redis, so its counters are kept on this node; send local, or start it")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting&config.minute=1&config.policy=cluster", "config.policy",
        "not supported: counters are kept on this node (local), or shared over the Redis that the server is started with (redis)")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting&config.minute=1&config.policy=local&config.redis.host=a",
        "config.redis", "not supported: this is of the server")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting&config.minute=1&config.redis_host=a", "config.redis_host",
        "not supported: this is of the server")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting&config.minute=1&config.limit_by=ip",
        "config.limit_by", "not supported")]
    [InlineData("/services/s/plugins", "name=endpoint_gating", "config.endpoint_map", "required field missing")]
    [InlineData("/services/s/plugins", "name=endpoint_gating&config.endpoint_map.gold[]=/a", "config.endpoint_map.gold",
        "no consumer group has this name")]
    [InlineData("/services/s/plugins", "name=endpoint_gating&config.endpoint_map.g[]=/a/*", "config.endpoint_map.g",
        "[\"not supported: wildcards; {name}")]
    [InlineData("/services/s/plugins", "name=endpoint_gating&config.endpoint_map.g[]=get+/a", "config.endpoint_map.g",
        "[\"before the path stands a method in capitals")]
    [InlineData("/services/s/plugins", "name=endpoint_gating&config.endpoint_map.g[]=/a/x{b}", "config.endpoint_map.g",
        "[\"a parameter is a whole segment")]
    [InlineData("/services/s/plugins", "name=endpoint_gating&config.endpoint_map.g[]=/{a}/{a}", "config.endpoint_map.g",
        "[\"the parameter {a} stands twice")]
    public async Task A_fault_is_named(string path, string form, string field, string fault)
    {
        await using var kong = await StartAsync();
        var reply = (await kong.PostAsync(path, form)).Expect(400);
        Assert.StartsWith(fault, reply.Fault(field)?.Replace("\\u0027", "'", StringComparison.Ordinal));
        Assert.Contains($"{field}", reply.Message);
        Assert.Equal(["g"], kong.Published.Plans.Select(p => p.Name));
        Assert.Empty((await kong.GetAsync("/plugins")).Body["data"]!.AsArray());
    }

    [Theory]
    [InlineData("/routes", "service.name=x&paths=/a", "service", "services", "{name=\"x\"}")]
    [InlineData("/routes", "service.id=0198f2c1-0000-7000-8000-000000000000&paths=/a", "service", "services",
        "{id=\"0198f2c1-0000-7000-8000-000000000000\"}")]
    [InlineData("/plugins", "name=key-auth&service.name=x", "service", "services", "{name=\"x\"}")]
    [InlineData("/plugins", "name=rate-limiting&config.minute=1&consumer_group.name=x", "consumer_group",
        "consumer_groups", "{name=\"x\"}")]
    [InlineData("/plugins", "name=rate-limiting&config.minute=1&consumer.username=x", "consumer", "consumers", "{username=\"x\"}")]
    [InlineData("/consumers/c/consumer_groups", "group=x", "group", "consumer_groups", "{name=\"x\"}")]
    [InlineData("/consumer_groups/g/consumers", "consumer=x", "consumer", "consumers", "{name=\"x\"}")]
    public async Task A_reference_that_leads_nowhere_is_a_foreign_key_violation(
        string path, string form, string field, string kind, string shown)
    {
        await using var kong = await StartAsync();
        var reply = (await kong.PostAsync(path, form)).Expect(400);
        Assert.Equal($"the foreign key '{shown}' does not reference an existing '{kind}' entity.", reply.Message);
        Assert.Equal("foreign key violation", reply.Body["name"]!.GetValue<string>());
        Assert.Equal(4, reply.Body["code"]!.GetValue<int>());
        Assert.NotNull(reply.Body["fields"]![field]);
    }

    [Theory]
    [InlineData("name=key-auth", "name", "not supported: this is rate-limiting")]
    [InlineData("consumer.username=c", "consumer", "not supported: a plugin stays where it is")]
    [InlineData("service.name=s", "service", "not supported: a plugin stays where it is")]
    [InlineData("config.minute=x", "config.minute", "expected an integer")]
    [InlineData("config.minute=9", "config.hour", "the limit for hour (7) cannot be lower than the limit for minute (9)")]
    [InlineData("config.hour=&config.minute=", "@entity", "at least one of these fields")]
    [InlineData("config.policy=redis", "config.policy", "not supported: this server is started without --redis")]
    [InlineData("config.burst=1", "config.burst", "unknown field")]
    [InlineData("id=1", "id", "not supported")]
    public async Task A_fault_in_a_change_is_named_and_nothing_is_changed(string form, string field, string fault)
    {
        await using var kong = await StartAsync();
        var made = (await kong.PostAsync("/consumer_groups/g/plugins", "name=rate-limiting", "config.minute=5", "config.hour=7",
            "tags=a")).Expect(201);
        var reply = (await kong.PatchAsync($"/plugins/{made.Id}", form)).Expect(400);
        Assert.StartsWith(fault, reply.Fault(field));
        Assert.Equal(made.Text, (await kong.GetAsync($"/consumer_groups/g/plugins/{made.Id}")).Text);
        (await kong.PatchAsync($"/services/s/plugins/{made.Id}", "enabled=false")).Expect(404);
        var changed = (await kong.PatchAsync($"/consumer_groups/g/plugins/{made.Id}", "config.hour=", "config.minute=8", "enabled=false"))
            .Expect(200).Body;
        Assert.Equal("8 null false [\"a\"]", $"{changed["config"]!["minute"]} {changed["config"]!["hour"]?.ToString() ?? "null"} " +
            $"{changed["enabled"]!.ToJsonString()} {changed["tags"]!.ToJsonString()}");
        Assert.Empty(kong.Published.FindPlan("g")!.Limits);
    }

    [Theory]
    [InlineData("/services/x/routes", "paths=/a")]
    [InlineData("/services/x/plugins", "name=key-auth")]
    [InlineData("/consumers/x/key-auth", "key=a")]
    [InlineData("/consumers/x/consumer_groups", "group=g")]
    [InlineData("/consumers/x/consumer_group", "name=g")]
    [InlineData("/consumer_groups/x/consumers", "consumer=c")]
    [InlineData("/consumer_groups/x/plugins", "name=rate-limiting&config.minute=1")]
    [InlineData("/upstreams/x/targets", "target=a:1")]
    [InlineData("/consumers/x/acls", "group=g")]
    [InlineData("/consumers/x/plugins", "name=rate-limiting&config.minute=1")]
    [InlineData("/consumers/c/basic-auth", "username=g")]
    public async Task What_is_not_there_is_not_found(string path, string form)
    {
        await using var kong = await StartAsync();
        Assert.Equal("""{"message":"Not found"}""", (await kong.PostAsync(path, form)).Expect(404).Text);
    }

    [Theory]
    [InlineData("PUT", "/services")]
    [InlineData("PATCH", "/ca_certificates/a")]
    [InlineData("DELETE", "/schemas/plugins/jwt")]
    [InlineData("GET", "/schemas/services/validate")]
    [InlineData("DELETE", "/consumers")]
    [InlineData("POST", "/status")]
    [InlineData("GET", "/consumer_groups/g/consumers/c")]
    public async Task A_method_that_a_path_does_not_have_is_a_405(string method, string path)
    {
        await using var kong = await StartAsync();
        var reply = (await kong.SendAsync(new HttpMethod(method), path)).Expect(405);
        Assert.Equal("""{"message":"Method not allowed"}""", reply.Text);
    }

    private static async Task<KongHost> StartAsync()
    {
        var kong = await KongHost.StartAsync();
        (await kong.PostAsync("/services", "name=s", "url=http://u")).Expect(201);
        (await kong.PostAsync("/consumers", "username=c")).Expect(201);
        (await kong.PostAsync("/consumer_groups", "name=g")).Expect(201);
        return kong;
    }
}
