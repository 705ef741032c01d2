using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>What Kong's tools ask before they write: which fields there are, which plugins, and whether something would do.</summary>
public sealed class KongSchemaTests
{
    [Fact]
    public async Task A_schema_of_a_plugin_has_the_fields_that_are_taken_with_their_defaults()
    {
        await using var kong = await KongHost.StartAsync();
        var limiting = (await kong.GetAsync("/schemas/plugins/rate-limiting")).Expect(200).Body["fields"]!;
        var config = FieldOf(limiting, "config");
        Assert.Equal("record", config["type"]!.ToString());
        Assert.Equal("""{"type":"integer","between":[1,1000000000000]}""", FieldOf(config["fields"]!, "minute").ToJsonString());
        Assert.Equal("local", FieldOf(config["fields"]!, "policy")["default"]!.ToString());
        Assert.Equal("""{"type":"boolean","eq":false,"default":false}""", FieldOf(config["fields"]!, "hide_client_headers").ToJsonString());
        Assert.Null(FieldOf(config["fields"]!, "header_name", missing: true));
        Assert.Equal("""{"type":"foreign","reference":"consumers"}""", FieldOf(limiting, "consumer").ToJsonString());
        Assert.Equal("""{"type":"foreign","reference":"services","eq":null}""", FieldOf(limiting, "service").ToJsonString());
        Assert.Equal("set", FieldOf(limiting, "protocols")["type"]!.ToString());

        var advanced = FieldOf((await kong.GetAsync("/schemas/plugins/rate-limiting-advanced")).Body["fields"]!, "config")["fields"]!;
        Assert.Equal("""{"type":"array","elements":{"type":"integer"},"required":true}""", FieldOf(advanced, "limit").ToJsonString());
        Assert.Equal("""["fixed","sliding"]""", FieldOf(advanced, "window_type")["one_of"]!.ToJsonString());
        var gating = FieldOf((await kong.GetAsync("/schemas/plugins/endpoint_gating")).Body["fields"]!, "config")["fields"]!;
        Assert.Equal("map", FieldOf(gating, "endpoint_map")["type"]!.ToString());

        Assert.Equal("""{"message":"No plugin named 'zipkin'"}""", (await kong.GetAsync("/schemas/plugins/zipkin")).Expect(404).Text);
        Assert.Equal("""{"message":"No entity named 'vaults'"}""", (await kong.GetAsync("/schemas/vaults")).Expect(404).Text);
    }

    [Fact]
    public async Task What_a_schema_says_is_what_is_read_back_of_a_plugin_of_which_nothing_was_said()
    {
        await using var kong = await KongPutTests.StartAsync();
        var names = (await kong.GetAsync("/plugins/enabled")).Body["enabled_plugins"]!.AsArray().Select(n => n!.ToString()).ToArray();
        var needed = new Dictionary<string, (string Path, string Config)>
        {
            ["rate-limiting"] = ("/consumers/c/plugins", """{"minute":5}"""),
            ["rate-limiting-advanced"] = ("/consumer_groups/g/plugins", """{"limit":[5],"window_size":[60]}"""),
            ["endpoint_gating"] = ("/services/s/plugins", """{"endpoint_map":{}}"""),
            ["acl"] = ("/services/s/plugins", """{"allow":["a"]}"""),
            ["jwt"] = ("/routes/r/plugins", "{}"),
        };
        foreach (var name in names)
        {
            var (path, said) = needed.GetValueOrDefault(name, ("/plugins", "{}"));
            var sent = $$"""{"name":"{{name}}","config":{{said}}}""";
            if (path == "/plugins" && name != "prometheus")
                (await kong.PostJsonAsync("/schemas/plugins/validate", sent)).Expect(200);
            var made = (await kong.PostJsonAsync(path, sent));
            if (made.Code == 400) continue; // key-auth and jwt are never both
            var stored = made.Expect(201).Body["config"]!.AsObject();
            var schemas = (await kong.GetAsync($"/schemas/plugins/{name}")).Expect(200).Body["fields"]!;
            var told = FieldOf(schemas, "config")["fields"]!.AsArray()
                .Select(f => f!.AsObject().Single()).ToDictionary(f => f.Key, f => f.Value!);
            foreach (var (field, value) in stored.Where(f => JsonNode.Parse(said)![f.Key] is null))
            {
                Assert.True(told.ContainsKey(field) || value is null, $"{name} has {field}, and its schema has not");
                if (told.TryGetValue(field, out var schema))
                    Assert.Equal($"{name} {field} {value?.ToJsonString()}", $"{name} {field} {schema["default"]?.ToJsonString()}");
            }
        }
    }

    [Theory]
    [InlineData("services", "protocol string, host string required, port integer, retries integer, tags array")]
    [InlineData("routes", "service foreign required, paths array required, strip_path boolean, path_handling string")]
    [InlineData("consumers", "username string required, custom_id string")]
    [InlineData("consumer_groups", "name string required")]
    [InlineData("upstreams", "name string required, algorithm string, healthchecks record")]
    public async Task A_schema_of_a_kind_has_the_fields_that_are_taken(string kind, string expected)
    {
        await using var kong = await KongHost.StartAsync();
        var fields = (await kong.GetAsync("/schemas/" + kind)).Expect(200).Body["fields"]!;
        foreach (var field in expected.Split(", "))
        {
            var told = FieldOf(fields, field.Split(' ')[0]);
            Assert.Equal(field, $"{field.Split(' ')[0]} {told["type"]}" + (told["required"] is null ? "" : " required"));
        }

        Assert.DoesNotContain("regex_flags", fields.ToJsonString(), StringComparison.Ordinal);
        if (kind == "services") Assert.Equal("80", FieldOf(fields, "port")["default"]!.ToJsonString());
    }

    [Theory]
    [InlineData("plugins", """{"name":"cors","config":{"max_age":5},"id":"5f9a1b6c-0d2e-4f38-8a47-56b9c0d1e2f3"}""", 200, null)]
    [InlineData("plugins", """{"name":"cors","config":{"max_age":"x","colour":1}}""", 400, "config.max_age config.colour")]
    [InlineData("plugins", """{"name":"zipkin"}""", 400, "name")]
    [InlineData("services", """{"name":"a","host":"b"}""", 200, null)]
    [InlineData("services", """{"name":"a b","port":-1}""", 400, "name port host")]
    [InlineData("routes", """{"service":{"id":"5f9a1b6c-0d2e-4f38-8a47-56b9c0d1e2f3"},"paths":["/a"]}""", 200, null)]
    [InlineData("routes", """{"paths":["a"]}""", 400, "paths")]
    [InlineData("consumers", """{}""", 400, "username")]
    [InlineData("upstreams", """{"name":"u","hash_on":"ip"}""", 400, "hash_on")]
    [InlineData("vaults", """{}""", 404, null)]
    public async Task What_would_be_refused_is_told_before_it_is_sent_and_nothing_is_made(
        string kind, string body, int code, string? faults)
    {
        await using var kong = await KongHost.StartAsync();
        var reply = (await kong.PostJsonAsync($"/schemas/{kind}/validate", body)).Expect(code);
        if (code == 200) Assert.Equal("""{"message":"schema validation successful"}""", reply.Text);
        foreach (var fault in faults?.Split(' ') ?? []) Assert.NotNull(reply.Fault(fault));
        foreach (var list in (string[])["services", "routes", "plugins", "consumers", "upstreams"])
            Assert.Empty((await kong.GetAsync("/" + list)).Body["data"]!.AsArray());
    }

    [Fact]
    public async Task The_root_says_which_plugins_there_are_and_which_are_anywhere()
    {
        await using var kong = await KongPutTests.StartAsync();
        (await kong.PostAsync("/plugins", "name=cors")).Expect(201);
        (await kong.PostAsync("/services/s/plugins", "name=key-auth", "enabled=false")).Expect(201);
        var root = (await kong.GetAsync("/")).Expect(200).Body;
        Assert.Equal("""["cors"]""", root["plugins"]!["enabled_in_cluster"]!.ToJsonString());
        Assert.Equal(root["version"]!.ToString(), root["plugins"]!["available_on_server"]!["jwt"]!["version"]!.ToString());
        Assert.Equal("true", root["configuration"]!["loaded_plugins"]!["acl"]!.ToJsonString());
    }

    [Theory]
    [InlineData("form")]
    [InlineData("multipart")]
    [InlineData("json")]
    [InlineData("json in json")]
    [InlineData("yaml")]
    public async Task A_declarative_file_is_applied_in_every_way_that_Kongs_tools_send_it(string how)
    {
        await using var server = await TestServer.StartAsync();
        const string yaml = """
            _format_version: "3.0"
            services:
            - name: s
              url: http://127.0.0.1:9
              routes: [{ name: r, paths: [/v1], request_buffering: true }]
            consumers:
            - { username: fred, keyauth_credentials: [{ key: the-key-of-fred }] }
            """;
        const string json = """
            {
              "_format_version": "3.0",
              "services": [
                {"name": "s", "url": "http://127.0.0.1:9", "routes": [{"name": "r", "paths": ["/v1"], "request_buffering": true}]}
              ],
              "consumers": [{"username": "fred", "keyauth_credentials": [{"key": "the-key-of-fred"}]}]
            }
            """;
        using HttpContent content = how switch
        {
            "form" => new FormUrlEncodedContent([new("config", yaml)]),
            "multipart" => new MultipartFormDataContent { { new StringContent(yaml), "config", "kong.yml" } },
            "json" => new StringContent(json, Encoding.UTF8, "application/json"),
            "json in json" => new StringContent(new JsonObject { ["config"] = yaml }.ToJsonString(), Encoding.UTF8, "application/json"),
            _ => new StringContent(yaml, Encoding.UTF8, "text/yaml"),
        };
        using var answer = await server.Admin.PostAsync("/config?flatten_errors=1", content, TestContext.Current.CancellationToken);
        var body = JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.True(answer.StatusCode == HttpStatusCode.Created, body.ToJsonString());
        var service = Assert.Single(body["services"]!.AsObject());
        Assert.Equal((service.Key, "s"), (service.Value!["id"]!.ToString(), service.Value["name"]!.ToString()));
        Assert.Equal(["consumers", "differences", "keyauth_credentials", "routes", "services"],
            body.AsObject().Select(b => b.Key).Order(StringComparer.Ordinal));
        Assert.StartsWith("services[0].routes[0] request_buffering: true says nothing", body["differences"]![0]!.ToString());
        Assert.Equal("r", (await server.GetAsync("/services/s/routes")).GetProperty("data")[0].GetProperty("name").GetString());
        Assert.DoesNotContain("the-key-of-fred", (await server.GetAsync("/v1/audit_log")).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_declarative_file_that_cannot_be_taken_over_changes_nothing_and_every_fault_stands_in_its_place()
    {
        await using var server = await TestServer.StartAsync();
        await server.FormAsync("/services", 201, ("name", "there"), ("url", "http://127.0.0.1:9"));
        const string yaml = """
            _format_version: "3.0"
            services:
            - { name: good, url: "http://127.0.0.1:9" }
            - { name: there, url: "http://127.0.0.1:9", routes: [{ paths: [/a] }, { paths: ["~/x"], colour: red }] }
            vaults: []
            """;
        using var content = new FormUrlEncodedContent([new("config", yaml)]);
        using var answer = await server.Admin.PostAsync("/config", content, TestContext.Current.CancellationToken);
        var body = JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Equal((HttpStatusCode.BadRequest, "invalid declarative configuration", "14"),
            (answer.StatusCode, body["name"]!.ToString(), body["code"]!.ToJsonString()));
        Assert.StartsWith("declarative config is invalid: ", body["message"]!.ToString());
        var fields = body["fields"]!;
        Assert.Null(fields["services"]![0]);
        Assert.StartsWith("UNIQUE violation", fields["services"]![1]!["@entity"]!.ToString());
        Assert.Equal("unknown field", fields["services"]![1]!["routes"]![1]!["colour"]!.ToString());
        Assert.NotNull(fields["services"]![1]!["routes"]![1]!["paths"]);
        Assert.NotNull(fields["vaults"]);
        Assert.Equal("there", Assert.Single((await server.GetAsync("/services")).GetProperty("data").EnumerateArray())
            .GetProperty("name").GetString());
        foreach (var (text, type) in new[]
        {
            ("", "text/yaml"), ("[1]", "application/json"), ("config=", "application/x-www-form-urlencoded"),
            ("--x\r\n", "multipart/form-data; boundary=x"), ("x", "multipart/form-data"), ("{\"config\":\"[1]\"}", "application/json"),
        })
        {
            using var bad = new ByteArrayContent(Encoding.UTF8.GetBytes(text));
            bad.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
            using var refused = await server.Admin.PostAsync("/config", bad, TestContext.Current.CancellationToken);
            Assert.Equal((text, HttpStatusCode.BadRequest), (text, refused.StatusCode));
        }
    }

    private static JsonNode FieldOf(JsonNode fields, string name, bool missing = false)
    {
        var found = fields.AsArray().SingleOrDefault(f => f!.AsObject().Single().Key == name)?[name];
        Assert.True(missing == (found is null), $"{name} in {fields.ToJsonString()}");
        return found!;
    }
}
