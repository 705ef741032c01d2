using System.Net;
using System.Text;
using System.Text.Json;
using Tollgate.Tests.Gateway.Proxy;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>Kong's declarative file is taken over whole or not at all, and all that is not so here is told.</summary>
public sealed class KongImportTests
{
    // as decK dumps it: ids, nulls and defaults that nobody asked for
    private const string Dump = """
        _format_version: "3.0"
        _info: { defaults: {}, select_tags: [] }
        upstreams:
        - id: 11111111-1111-4111-8111-111111111111
          name: servers
          algorithm: round-robin
          targets:
          - { target: "UPSTREAM", weight: 100 }
        services:
        - id: 22222222-2222-4222-8222-222222222222
          name: shop
          host: servers
          port: 80
          protocol: http
          path: null
          retries: 5
          connect_timeout: 60000
          read_timeout: 60000
          write_timeout: 60000
          enabled: true
          routes:
          - id: 33333333-3333-4333-8333-333333333333
            name: shop-v1
            paths: [/v1]
            protocols: [http, https]
            strip_path: true
            preserve_host: false
            path_handling: v0
            regex_priority: 0
            request_buffering: true
            response_buffering: true
            https_redirect_status_code: 426
            plugins:
            - name: request-size-limiting
              config: { allowed_payload_size: 1, size_unit: kilobytes, require_content_length: false }
              protocols: [http, https]
          plugins:
          - name: key-auth
            config:
              { key_names: [apikey], hide_credentials: false, anonymous: null, key_in_header: true, run_on_preflight: true, realm: null }
            enabled: true
            protocols: [grpc, grpcs, http, https]
        routes:
        - name: pages
          paths: [/pages]
          service: { id: 22222222-2222-4222-8222-222222222222 }
        consumer_groups:
        - name: gold
          plugins:
          - name: rate-limiting-advanced
            config:
              { limit: [3], window_size: [60], window_type: fixed, strategy: local, namespace: x, redis: { host: null, port: 6379 } }
        consumers:
        - username: fred
          tags: [vip]
          keyauth_credentials:
          - { key: fred-key-from-kong }
          acls:
          - { group: staff }
          groups:
          - { name: gold }
        plugins:
        - name: acl
          route: shop-v1
          config: { allow: [staff], hide_groups_header: false }
        """;

    [Fact]
    public async Task A_dump_is_taken_over_and_calls_go_as_it_says()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        var file = Dump.Replace("UPSTREAM", new Uri(upstream.Address).Authority, StringComparison.Ordinal);
        var (status, checkedOnly) = await SendAsync(server, file, "?check=true");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.False(checkedOnly.GetProperty("applied").GetBoolean());
        Assert.Empty((await server.GetAsync("/services")).GetProperty("data").EnumerateArray());

        (status, var report) = await SendAsync(server, file);
        Assert.True(status == HttpStatusCode.OK, report.ToString());
        Assert.Equal(checkedOnly.GetProperty("differences").ToString(), report.GetProperty("differences").ToString());
        Assert.Equal("acls 1, consumer_groups 1, consumers 1, key-auths 1, memberships 1, plugins 4, routes 2, services 1, " +
            "targets 1, upstreams 1",
            string.Join(", ", report.GetProperty("added").EnumerateObject().Select(a => $"{a.Name} {a.Value}")));
        Assert.Equal(
            [
                "services[0].routes[0] request_buffering", "services[0].routes[0] response_buffering", "consumers[0] tags",
                "plugins[0] config.hide_groups_header", "services[0].plugins[0] config.hide_credentials",
            ],
            report.GetProperty("differences").EnumerateArray().Where(d => !d.GetProperty("refused").GetBoolean())
                .Select(d => $"{d.GetProperty("place").GetString()} {d.GetProperty("field").GetString()}"));

        Assert.Equal(401, await server.StatusAsync("/v1/a", null));
        Assert.Equal(401, await server.StatusAsync("/pages", null));
        Assert.Equal(3, await server.PassAsync("/v1/a", "fred-key-from-kong", 5));
        Assert.Equal("/a", upstream.Seen.Last().Target);
        var large = server.Request("/v1/a", "fred-key-from-kong", HttpMethod.Post);
        large.Content = new StringContent(new string('x', 1_025));
        using var refused = await server.SendAsync(large);
        Assert.Contains((int)refused.StatusCode, new[] { 413, 429 });
        Assert.DoesNotContain("fred-key-from-kong", (await server.GetAsync("/v1/audit_log")).ToString());
    }

    [Fact]
    public async Task What_cannot_be_taken_over_is_told_by_place_and_field_and_nothing_of_the_file_is()
    {
        await using var server = await TestServer.StartAsync();
        const string file = """
            _format_version: "3.0"
            vaults: []
            services:
            - name: good
              url: http://127.0.0.1:1
              routes: [{ name: r, paths: ["~/regex$"], plugins: [{ name: zipkin }] }]
              plugins: [{ name: bot-detection }, { name: cors, config: { preflight_continue: true, colour: red } }]
            - id: 22222222-2222-4222-8222-222222222222
              name: bad
              host: "a b"
              plugins: [{ name: cors, config: { colour: red } }]
              routes: [{ paths: [/bad], protocols: [tcp] }, { paths: [/fine] }]
            consumers:
            - { username: fred, keyauth_credentials: [{ key: "" }], basicauth_credentials: [{ username: x }] }
            - { custom_id: "", keyauth_credentials: [{ key: a, colour: red }], groups: [{ name: nobody }] }
            plugins: [{ name: key-auth, service: nowhere }, 7, { name: key-auth, service: 22222222-2222-4222-8222-222222222222 }]
            """;
        var (status, report) = await SendAsync(server, file);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal(
            [
                "consumers[0].basicauth_credentials", "consumers[0].keyauth_credentials[0].key", "consumers[1].custom_id",
                "consumers[1].groups[0]", "consumers[1].keyauth_credentials[0].colour", "consumers[1].username", "plugins[0]",
                "plugins[1]", "services[0].plugins[0].name",
                "services[0].plugins[1].config.colour", "services[0].plugins[1].config.preflight_continue", "services[0].routes[0].paths",
                "services[0].routes[0].plugins[0].name", "services[1].host", "services[1].plugins[0].config.colour",
                "services[1].routes[0].protocols", "vaults",
            ],
            report.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("field").GetString()!).Distinct()
                .Order(StringComparer.Ordinal));
        Assert.Empty((await server.GetAsync("/services")).GetProperty("data").EnumerateArray());
        Assert.Empty((await server.GetAsync("/consumers")).GetProperty("data").EnumerateArray());

        (status, report) = await SendAsync(server, file, "?check=true");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Contains(report.GetProperty("differences").EnumerateArray(), d => d.GetProperty("place").GetString() == "services[1]");
        Assert.Equal("""{"services":1}""", report.GetProperty("added").GetRawText());
        (status, _) = await SendAsync(server, file, "?check=maybe");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        (string Text, string Code)[] wrong =
        [
            ("", "not_readable"), ("[1]", "not_readable"), ("a: &x 1", "not_readable"), ("_format_version: \"9\"", "not_taken_over"),
        ];
        foreach (var (text, code) in wrong)
        {
            (status, report) = await SendAsync(server, text);
            Assert.Equal((HttpStatusCode.BadRequest, code), (status, report.GetProperty("code").GetString()));
        }
    }

    [Fact]
    public async Task A_redis_of_a_plugin_is_told_and_never_kept_and_needs_one_of_the_server()
    {
        await using var server = await TestServer.StartAsync();
        const string file = """
            _format_version: "3.0"
            consumer_groups:
            - name: gold
              plugins:
              - name: rate-limiting-advanced
                config:
                  { limit: [3], window_size: [60], strategy: WHERE, sync_rate: 10, namespace: x, redis: { host: r, password: hunter2 } }
            - name: iron
              plugins:
              - name: rate-limiting
                config: { minute: 5, policy: WHERE, sync_rate: -1, redis_host: r, redis_password: hunter2 }
            """;
        var (status, report) = await SendAsync(server, file.Replace("WHERE", "redis", StringComparison.Ordinal), "?check=true");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(
            [
                "config.policy True", "config.redis False", "config.redis_host False", "config.redis_password False",
                "config.strategy True", "config.sync_rate False",
            ],
            report.GetProperty("differences").EnumerateArray()
                .Select(d => $"{d.GetProperty("field")} {d.GetProperty("refused")}").Order(StringComparer.Ordinal));
        Assert.DoesNotContain("hunter2", report.ToString(), StringComparison.Ordinal);
        (status, report) = await SendAsync(server, file.Replace("WHERE", "local", StringComparison.Ordinal));
        Assert.True(status == HttpStatusCode.OK, report.ToString());
        Assert.DoesNotContain("hunter2", (await server.GetAsync("/plugins")).ToString(), StringComparison.Ordinal);
    }

    private static async Task<(HttpStatusCode, JsonElement)> SendAsync(TestServer server, string file, string query = "")
    {
        using var content = new StringContent(file, Encoding.UTF8, "application/yaml");
        using var answer = await server.Admin.PostAsync("/v1/config/kong" + query, content, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return (answer.StatusCode, JsonDocument.Parse(text).RootElement);
    }
}
