using System.Net;
using System.Text.Json.Nodes;
using Tollgate.Tests.Gateway.Proxy;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>What Kong's users set up with <c>curl</c> on the admin port works on the proxy port, with Kong's answers.</summary>
public sealed class KongProxyTests
{
    [Fact]
    public async Task Routes_of_two_hosts_lead_to_their_services_and_strip_and_preserve_as_they_say()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await PostAsync(server, "/services", 201, ("name", "shop"), ("url", upstream.Address + "/shop"));
        await PostAsync(server, "/services", 201, ("name", "rest"), ("url", upstream.Address + "/rest"));
        await PostAsync(server, "/services/shop/routes", 201, ("hosts", "shop.test,*.shop.test"), ("paths", "/v1"));
        await PostAsync(server, "/services/shop/routes", 201, ("hosts", "whole.test"), ("preserve_host", "true"));
        await PostAsync(server, "/services/rest/routes", 201, ("paths", "/v1"), ("strip_path", "false"));
        (string Host, string Path, string? Got)[] cases =
        [
            ("shop.test", "/v1/a", "/shop/a"), ("eu.shop.test:80", "/v1/a", "/shop/a"), ("other.test", "/v1/a", "/rest/v1/a"),
            ("whole.test", "/any", "/shop/any"), ("shop.test", "/other", null), ("notshop.test", "/v1/a", "/rest/v1/a"),
        ];
        foreach (var (host, path, got) in cases)
        {
            upstream.Seen.Clear();
            (await server.SendAsync(server.Request(path, null, host: host))).Dispose();
            Assert.Equal(got, upstream.Seen.SingleOrDefault()?.Target);
            var own = new Uri(upstream.Address).Authority;
            if (got is not null) Assert.Equal(host == "whole.test" ? host : own, upstream.Seen.Single().Headers["Host"]);
        }
    }

    [Fact]
    public async Task A_gate_on_a_service_holds_under_its_hosts_and_opens_nothing_elsewhere()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await PostAsync(server, "/services", 201, ("name", "shop"), ("url", upstream.Address));
        await PostAsync(server, "/services/shop/routes", 201, ("hosts", "shop.test"), ("paths", "/"), ("strip_path", "false"));
        await PostAsync(server, "/consumer_groups", 201, ("name", "free"));
        await PostAsync(server, "/services/shop/plugins", 201, ("name", "key-auth"));
        await PostAsync(server, "/services/shop/plugins", 201, ("name", "endpoint_gating"), ("config.endpoint_map.free[]", "/v1/open"));
        await PostAsync(server, "/consumers", 201, ("username", "fred"));
        await PostAsync(server, "/consumers/fred/consumer_groups", 201, ("group", "free"));
        await PostAsync(server, "/consumers/fred/key-auth", 201, ("key", "fred-key"));
        (string Host, string Path, string? Key, int Status)[] cases =
        [
            ("shop.test", "/v1/open", "fred-key", 200), ("shop.test", "/v1/closed", "fred-key", 403),
            ("shop.test", "/v1/open", null, 401), ("SHOP.test.", "/v1/closed", "fred-key", 403), ("else.test", "/v1/open", "fred-key", 404),
        ];
        foreach (var (host, path, key, status) in cases)
        {
            using var answer = await server.SendAsync(server.Request(path, key, host: host));
            Assert.Equal((host, path, status), (host, path, (int)answer.StatusCode));
        }

        Assert.Equal(1, await server.UsageAsync());
    }

    [Fact]
    public async Task Targets_of_an_upstream_take_calls_by_weight_and_checks_put_them_aside()
    {
        await using var first = await TestUpstream.StartAsync();
        await using var second = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await PostAsync(server, "/upstreams", 201, ("name", "servers"), ("healthchecks.active.http_path", "/status"),
            ("healthchecks.active.healthy.interval", "1"), ("healthchecks.active.unhealthy.http_failures", "1"));
        await PostAsync(server, "/upstreams", 409, ("name", "servers"));
        await PostAsync(server, "/upstreams/servers/targets", 201, ("target", new Uri(first.Address).Authority), ("weight", "30"));
        await PostAsync(server, "/upstreams/servers/targets", 201, ("target", new Uri(second.Address).Authority), ("weight", "10"));
        await PostAsync(server, "/upstreams/servers/targets", 409, ("target", new Uri(second.Address).Authority));
        await PostAsync(server, "/services", 201, ("name", "s"), ("host", "servers"), ("path", "/base"));
        await PostAsync(server, "/services/s/routes", 201, ("paths", "/v1"));
        for (var i = 0; i < 8; i++)
            Assert.Equal(200, (int)(await server.SendAsync(server.Request("/v1/a", null))).StatusCode);
        Assert.Equal((6, 2), (Calls(first), Calls(second)));

        first.Answer = context => Task.FromResult(context.Response.StatusCode = 500);
        for (var i = 0; i < 300 && first.Seen.Count(s => s.Target == "/base/status") < 2; i++)
            await Task.Delay(20, TestContext.Current.CancellationToken);
        var before = Calls(first);
        for (var i = 0; i < 100 && Calls(first) == before + i; i++)
            (await server.SendAsync(server.Request("/v1/a", null))).Dispose();
        before = Calls(first);
        for (var i = 0; i < 6; i++) (await server.SendAsync(server.Request("/v1/a", null))).Dispose();
        Assert.Equal(before, Calls(first));

        using var removed = await server.Admin.DeleteAsync($"/upstreams/servers/targets/{new Uri(first.Address).Authority}");
        Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        Assert.Single((await server.GetAsync("/upstreams/servers/targets")).GetProperty("data").EnumerateArray());

        static int Calls(TestUpstream upstream) => upstream.Seen.Count(s => s.Target == "/base/a");
    }

    [Fact]
    public async Task Time_limits_and_retries_of_a_service_work()
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = async context =>
        {
            try { await Task.Delay(3_000, context.RequestAborted); }
            catch (OperationCanceledException) { }
        };
        await using var server = await TestServer.StartAsync();
        var made = await PostAsync(server, "/services", 201, ("name", "s"), ("url", upstream.Address), ("read_timeout", "150"),
            ("write_timeout", "150"), ("connect_timeout", "100"), ("retries", "2"));
        Assert.Equal((150, 150, 100, 2), ((int)made["read_timeout"]!, (int)made["write_timeout"]!, (int)made["connect_timeout"]!,
            (int)made["retries"]!));
        await PostAsync(server, "/services/s/routes", 201, ("paths", "/v1"));
        using var answer = await server.SendAsync(server.Request("/v1/a", null));
        Assert.Equal(HttpStatusCode.GatewayTimeout, answer.StatusCode);
        Assert.Equal(3, upstream.Seen.Count);
        Assert.Equal(0, await server.UsageAsync());
    }

    [Fact]
    public async Task Cors_size_limiting_and_termination_answer_as_Kong_does()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await PostAsync(server, "/services", 201, ("name", "s"), ("url", upstream.Address));
        await PostAsync(server, "/services/s/routes", 201, ("paths", "/v1"));
        await PostAsync(server, "/services/s/plugins", 201, ("name", "key-auth"));
        await PostAsync(server, "/services/s/plugins", 201, ("name", "cors"), ("config.origins", "https://a.example"),
            ("config.max_age", "60"), ("config.credentials", "true"));
        using var preflight = await server.SendAsync(server.Request("/v1/x", null, HttpMethod.Options, null,
            ("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT")));
        Assert.True(preflight.IsSuccessStatusCode);
        Assert.Equal("https://a.example", preflight.Header("Access-Control-Allow-Origin"));

        await PostAsync(server, "/consumers", 201, ("username", "c"));
        await PostAsync(server, "/consumers/c/key-auth", 201, ("key", "k"));
        await PostAsync(server, "/services/s/plugins", 201, ("name", "request-size-limiting"), ("config.allowed_payload_size", "4"),
            ("config.size_unit", "bytes"));
        foreach (var (body, status) in new[] { ("four", 200), ("fives", 413) })
        {
            var request = server.Request("/v1/x", "k", HttpMethod.Post);
            request.Content = new StringContent(body);
            using var answer = await server.SendAsync(request);
            Assert.Equal(status, (int)answer.StatusCode);
            if (status == 413) Assert.Equal("Request size limit exceeded", await MessageAsync(answer));
        }

        var plugin = await PostAsync(server, "/services/s/plugins", 201, ("name", "request-termination"), ("config.status_code", "418"),
            ("config.message", "So long"));
        var before = upstream.Seen.Count;
        using var keyless = await server.SendAsync(server.Request("/v1/x", null));
        Assert.Equal(HttpStatusCode.Unauthorized, keyless.StatusCode);
        using var over = await server.SendAsync(server.Request("/v1/x", "k"));
        Assert.Equal((418, "So long"), ((int)over.StatusCode, await MessageAsync(over)));
        Assert.Equal(before, upstream.Seen.Count);
        (await server.Admin.DeleteAsync($"/services/s/plugins/{plugin["id"]}")).Dispose();
        using var again = await server.SendAsync(server.Request("/v1/x", "k"));
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        Assert.Equal(2, await server.UsageAsync());
    }

    private static async Task<string?> MessageAsync(HttpResponseMessage answer) => (string?)JsonNode.Parse(
        await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["message"];

    private static async Task<JsonNode> PostAsync(
        TestServer server, string path, int status, params (string Name, string Value)[] fields)
    {
        using var form = new FormUrlEncodedContent(fields.Select(f => KeyValuePair.Create(f.Name, f.Value)));
        using var answer = await server.Admin.PostAsync(path, form, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True((int)answer.StatusCode == status, $"POST {path}: {(int)answer.StatusCode} {text}");
        return JsonNode.Parse(text)!;
    }
}
