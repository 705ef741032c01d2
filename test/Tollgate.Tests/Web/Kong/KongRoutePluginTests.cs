using System.Net.Sockets;
using System.Text;
using Tollgate.Tests.Gateway.Proxy;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>A plugin on a route holds for whatever that route serves, in the place of its service's, and nobody walks around it.
/// </summary>
public sealed class KongRoutePluginTests
{
    [Theory]
    [InlineData("http")]
    [InlineData("h2c")]
    public async Task A_key_that_a_route_demands_cannot_be_walked_around(string protocol)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });
        await server.FormAsync("/services", 201, ("name", "s"), ("url", upstream.Address));
        await server.FormAsync("/services/s/routes", 201, ("name", "open"), ("paths", "/v1"), ("strip_path", "false"));
        await server.FormAsync("/services/s/routes", 201, ("name", "admin"), ("paths", "/v1/admin"), ("strip_path", "false"));
        await server.FormAsync("/services/s/routes", 201, ("name", "host"), ("hosts", "admin.test"), ("strip_path", "false"));
        await server.FormAsync(
            "/services/s/routes", 201, ("name", "get"), ("paths", "/v1/got"), ("methods", "GET"), ("strip_path", "false"));
        foreach (var route in (string[])["admin", "host", "get"])
            await server.FormAsync($"/routes/{route}/plugins", 201, ("name", "key-auth"));
        var at = server.Proxies.Single(p => p.Scheme == protocol);
        (string Method, string Path, string Host)[] closed =
        [
            .. from path in (string[])
               [
                   "/v1/admin", "/v1/admin/", "/v1/admin/x", "/v1/admin?x=/v1/x", "/v1//admin/x", "//v1/admin", "/v1/./admin",
                   "/v1/a/../admin/x", "/v1/a/%2e%2e/admin", "/v1/%61dmin/x", "/v1/admin/../admin", "/v1/admin%2Fx", "/v1/admin%5Cx",
                   "/v1/admin;x", "/v1/admin%00", "/v1%2Fadmin", "/v1/x/..;/admin", "/v1\\admin", "/v1/%2561dmin/..%2fadmin",
               ]
               from method in (string[])["GET", "HEAD", "POST", "OPTIONS", "PURGE"]
               select (method, path, "any.test"),
            .. from host in (string[])["admin.test", "ADMIN.test", "admin.test.", "admin.test:80", "Admin.Test.:8080"]
               from path in (string[])["/", "/v1/x", "/v1/admin", "/v2"]
               select ("GET", path, host),
            ("GET", "/v1/got", "any.test"), ("HEAD", "/v1/got", "any.test"), ("get", "/v1/admin", "any.test"),
        ];
        foreach (var (method, path, host) in closed)
        {
            var status = await CallAsync(at, method, path, host);
            Assert.True(status is 401 or 400 or 404 or 405 or 0 && upstream.Seen.IsEmpty, $"{method} {path} at {host}: {status}");
        }

        Assert.Equal(401, await CallAsync(at, "GET", "/v1/a/../admin/x", "any.test"));
        Assert.Equal(401, await CallAsync(at, "GET", "/v1/x", "ADMIN.test.:80"));
        await server.ConsumerAsync("fred", "fred-key");
        foreach (var (path, host) in new[] { ("/v1/admin/x", "any.test"), ("/v1/x", "admin.test"), ("/v1/got", "any.test") })
        {
            Assert.Equal(200, await server.StatusAsync(path, "fred-key", host: host));
            Assert.True(upstream.Seen.TryDequeue(out var seen));
            Assert.Equal(path, seen.Target);
            Assert.False(seen.Headers.ContainsKey("apikey"));
            Assert.Equal("fred", seen.Headers["X-Consumer-Username"]);
        }

        // what is open is a route of its own: other paths, and methods that the closed one does not serve
        foreach (var (method, path) in new[] { ("GET", "/v1/x"), ("GET", "/v1/administrator"), ("POST", "/v1/got"), ("GET", "/v1/Admin") })
            Assert.Equal(200, await CallAsync(at, method, path, "any.test"));
        Assert.Equal(7, await server.UsageAsync());
    }

    [Fact]
    public async Task What_a_gate_lists_below_a_route_is_called_as_the_route_says()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await server.FormAsync("/services", 201, ("name", "s"), ("url", upstream.Address));
        await server.FormAsync("/services/s/routes", 201, ("name", "wide"), ("paths", "/v1"), ("strip_path", "false"));
        await server.FormAsync("/services/s/routes", 201, ("name", "secret"), ("paths", "/v1/secret"), ("strip_path", "false"));
        await server.FormAsync("/services/s/plugins", 201, ("name", "key-auth"), ("config.anonymous", "guest"));
        await server.FormAsync("/routes/secret/plugins", 201, ("name", "key-auth"), ("config.key_names", "X-Secret"));
        await server.FormAsync("/consumer_groups", 201, ("name", "g"));
        await server.FormAsync("/services/s/plugins", 201, ("name", "endpoint_gating"), ("config.endpoint_map.g[]", "/v1/{thing}"));
        foreach (var name in (string[])["fred", "guest"])
        {
            await server.ConsumerAsync(name, name + "-key");
            await server.FormAsync($"/consumers/{name}/consumer_groups", 201, ("group", "g"));
        }

        (string Path, string? Name, string? Key, int Status)[] cases =
        [
            ("/v1/open", null, null, 200), ("/v1/open", "apikey", "fred-key", 200), ("/v1/open", "X-Secret", "fred-key", 200),
            ("/v1/secret", null, null, 401), ("/v1/secret", "apikey", "fred-key", 401), ("/v1/secret", "X-Secret", "fred-key", 200),
            ("/v1//secret", "apikey", "fred-key", 401), ("/v1/secret/deep", "X-Secret", "fred-key", 403),
            ("/v1/secret/deep", null, null, 401),
        ];
        foreach (var (path, name, key, status) in cases)
        {
            var got = await server.StatusAsync(path, null, headers: name is null ? [] : [(name, key!)]);
            Assert.True(status == got, $"{path} with {name} {key}: {got} instead of {status}");
        }

        Assert.DoesNotContain(upstream.Seen, s => s.Headers.ContainsKey("X-Secret") || s.Headers.ContainsKey("apikey"));
        // a header that only some other route reads says nothing here, and reaches nobody either
        Assert.Equal(["guest", "fred", "guest", "fred"], upstream.Seen.Select(s => s.Headers["X-Consumer-Username"]));
        Assert.Equal(["/v1/{thing}"], (await server.GetAsync("/v1/usage?meter=calls&group_by=operation")).GetProperty("data")
            .EnumerateArray().Select(r => r.GetProperty("operation").GetString()).Distinct());
    }

    [Fact]
    public async Task The_closest_plugin_of_a_name_holds_alone()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await server.FormAsync("/services", 201, ("name", "s"), ("url", upstream.Address));
        await server.FormAsync("/services", 201, ("name", "other"), ("url", upstream.Address));
        await server.FormAsync("/services/s/routes", 201, ("name", "near"), ("paths", "/near"));
        await server.FormAsync("/services/s/routes", 201, ("name", "far"), ("paths", "/far"));
        await server.FormAsync("/services/other/routes", 201, ("name", "away"), ("paths", "/away"));
        var plugins = new Dictionary<string, string>();
        foreach (var (path, size) in new[] { ("/plugins", 2), ("/services/s/plugins", 4), ("/routes/near/plugins", 8) })
        {
            var made = await server.FormAsync(path, 201, ("name", "request-size-limiting"),
                ("config.allowed_payload_size", $"{size}"), ("config.size_unit", "bytes"));
            await server.FormAsync(path, 409, ("name", "request-size-limiting"));
            plugins[path] = (string)made["id"]!;
        }

        await AllowsAsync(near: 8, far: 4, away: 2);
        Assert.Equal(plugins["/routes/near/plugins"], (await server.GetAsync("/routes/near/plugins")).GetProperty("data")[0]
            .GetProperty("id").GetString());
        (await server.Admin.DeleteAsync("/routes/far/plugins/" + plugins["/services/s/plugins"])).Dispose();
        await AllowsAsync(near: 8, far: 4, away: 2);
        (await server.Admin.DeleteAsync("/services/s/plugins/" + plugins["/services/s/plugins"])).Dispose();
        await AllowsAsync(near: 8, far: 2, away: 2);

        // one that is not enabled is not there
        await server.FormAsync("/services/s/plugins", 201, ("name", "request-size-limiting"), ("config.allowed_payload_size", "6"),
            ("config.size_unit", "bytes"), ("enabled", "false"));
        await AllowsAsync(near: 8, far: 2, away: 2);
        // a route takes its plugins with it
        (await server.Admin.DeleteAsync("/routes/near")).Dispose();
        Assert.DoesNotContain(plugins["/routes/near/plugins"], (await server.GetAsync("/plugins")).ToString());
        await server.FormAsync("/services/s/routes", 201, ("name", "near"), ("paths", "/near"));
        await AllowsAsync(near: 2, far: 2, away: 2);

        async Task AllowsAsync(int near, int far, int away)
        {
            foreach (var (path, most) in new[] { ("/near", near), ("/far", far), ("/away", away) })
            {
                foreach (var more in (int[])[0, 1])
                {
                    var request = server.Request(path, null, HttpMethod.Post);
                    request.Content = new StringContent(new string('x', most + more));
                    using var answer = await server.SendAsync(request);
                    Assert.Equal((path, more == 0 ? 200 : 413), (path, (int)answer.StatusCode));
                }
            }
        }
    }

    [Fact]
    public async Task Cors_and_termination_on_a_route_are_for_that_route()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await server.FormAsync("/services", 201, ("name", "s"), ("url", upstream.Address));
        await server.FormAsync("/services/s/routes", 201, ("name", "page"), ("paths", "/page"));
        await server.FormAsync("/services/s/routes", 201, ("name", "plain"), ("paths", "/plain"));
        await server.FormAsync("/services/s/routes", 201, ("name", "gone"), ("paths", "/gone"));
        await server.FormAsync("/routes/page/plugins", 201, ("name", "cors"), ("config.origins", "https://a.example"));
        await server.FormAsync("/routes/page/plugins", 201, ("name", "key-auth"));
        await server.FormAsync("/plugins", 201, ("name", "request-termination"), ("route.name", "gone"), ("config.status_code", "410"),
            ("config.message", "It is gone"));
        (string Name, string Value)[] asks = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT")];
        using var preflight = await server.SendAsync(server.Request("/page/x", null, HttpMethod.Options, null, asks));
        Assert.Equal(("https://a.example", 204), (preflight.Header("Access-Control-Allow-Origin"), (int)preflight.StatusCode));
        using var elsewhere = await server.SendAsync(server.Request("/plain/x", null, HttpMethod.Options, null, asks));
        Assert.Null(elsewhere.Header("Access-Control-Allow-Origin"));
        Assert.Equal(401, await server.StatusAsync("/page/x", null, HttpMethod.Options));
        Assert.Equal(401, await server.StatusAsync("/page/x", null));
        Assert.Equal(410, await server.StatusAsync("/gone", null));
        Assert.Equal(410, await server.StatusAsync("/plain/../gone/x", null));
        Assert.Equal(200, await server.StatusAsync("/plain", null));
        Assert.Equal(["/x", "/"], upstream.Seen.Select(s => s.Target));

        var asked = await server.GetAsync("/v1/apis/s");
        Assert.Equal(["page True", "plain False", "gone False"], asked.GetProperty("operations").EnumerateArray()
            .Select(o => $"{o.GetProperty("name")} {o.GetProperty("requires_key")}"));
    }

    [Fact]
    public async Task Routes_with_plugins_of_their_own_share_the_servers_and_the_turns_of_their_service()
    {
        await using var first = await TestUpstream.StartAsync();
        await using var second = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await server.FormAsync("/upstreams", 201, ("name", "servers"));
        foreach (var upstream in (TestUpstream[])[first, second])
            await server.FormAsync("/upstreams/servers/targets", 201, ("target", new Uri(upstream.Address).Authority));
        await server.FormAsync("/services", 201, ("name", "s"), ("host", "servers"));
        foreach (var route in (string[])["a", "b"])
        {
            await server.FormAsync("/services/s/routes", 201, ("name", route), ("paths", "/" + route));
            await server.FormAsync($"/routes/{route}/plugins", 201, ("name", "request-size-limiting"));
        }

        for (var i = 0; i < 4; i++) Assert.Equal(200, await server.StatusAsync("/a", null));
        Assert.Equal((2, 2), (first.Seen.Count, second.Seen.Count));
        // with turns of its own /b would begin where /a began
        foreach (var path in (string[])["/a", "/b"]) Assert.Equal(200, await server.StatusAsync(path, null));
        Assert.Equal((3, 3), (first.Seen.Count, second.Seen.Count));
    }

    [Theory]
    [InlineData("/services/s/plugins", "route", "a plugin is on one thing, and this one is on a service already")]
    [InlineData("/routes/r/plugins", "service", "a plugin is on one thing, and this one is on a route already")]
    [InlineData("/routes/r/plugins", "consumer_group", "key-auth works on a service, on a route, everywhere in this version")]
    public async Task A_plugin_is_on_one_thing(string path, string field, string fault)
    {
        await using var kong = await KongHost.StartAsync();
        (await kong.PostAsync("/services", "name=s", "url=http://u")).Expect(201);
        (await kong.PostAsync("/services/s/routes", "name=r", "paths=/r")).Expect(201);
        (await kong.PostAsync("/consumer_groups", "name=g")).Expect(201);
        var name = field switch { "service" => "s", "route" => "r", _ => "g" };
        Assert.Contains(fault, (await kong.PostAsync(path, "name=key-auth", $"{field}.name={name}")).Expect(400).Fault(field));
        var missing = (await kong.PostAsync("/plugins", "name=key-auth", "route.name=x")).Expect(400);
        Assert.Equal("""the foreign key '{name="x"}' does not reference an existing 'routes' entity.""", missing.Message);
        (await kong.PostAsync("/routes/x/plugins", "name=key-auth")).Expect(404);
        Assert.Empty((await kong.GetAsync("/plugins")).Body["data"]!.AsArray());
    }

    private static async Task<int> CallAsync(Uri at, string method, string path, string host)
    {
        if (at.Scheme == "h2c")
        {
            await using var http2 = await RawHttp2.ConnectAsync(at);
            return (await http2.CallAsync([(":method", method), (":scheme", "http"), (":path", path), (":authority", host)])).Status;
        }

        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(at.Host, at.Port);
        await client.GetStream().WriteAsync(
            Encoding.Latin1.GetBytes($"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        using var reader = new StreamReader(client.GetStream());
        var line = await reader.ReadLineAsync();
        return line is null ? 0 : int.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
    }
}
