using Tollgate.Tests.Gateway.Proxy;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>Kong's <c>acl</c>: groups that a service or a route admits, or keeps out.</summary>
public sealed class KongAclTests
{
    [Fact]
    public async Task Groups_are_admitted_or_kept_out_by_the_closest_plugin_and_from_the_next_call_on()
    {
        using var folder = new TempFolder();
        await using var upstream = await TestUpstream.StartAsync();
        await using (var server = await TestServer.StartAsync(folder: folder))
        {
            await server.FormAsync("/services", 201, ("name", "s"), ("url", upstream.Address));
            foreach (var route in (string[])["in", "out", "any"])
                await server.FormAsync("/services/s/routes", 201, ("name", route), ("paths", "/" + route));
            await server.FormAsync("/services/s/plugins", 201, ("name", "key-auth"));
            await server.FormAsync("/services/s/plugins", 201, ("name", "acl"), ("config.allow", "staff,friends"));
            await server.FormAsync("/routes/out/plugins", 201, ("name", "acl"), ("config.deny", "staff"));
            foreach (var name in (string[])["ann", "bob", "cid"]) await server.ConsumerAsync(name, name);
            await server.FormAsync("/consumers/ann/acls", 201, ("group", "staff"));
            await server.FormAsync("/consumers/ann/acls", 409, ("group", "staff"));
            await server.FormAsync("/consumers/bob/acls", 201, ("group", "friends"));
            await ExpectAsync(server, "/in", 200, 200, 403, 401);
            await ExpectAsync(server, "/out", 403, 200, 200, 401);
            await ExpectAsync(server, "/in/../out/%2e", 403, 200, 200, 401);

            using var told = await server.SendAsync(server.Request("/in", "cid"));
            Assert.Contains("You cannot consume this service", await told.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
            var explained = await server.PostAsync("/v1/explain", new { consumer = "cid", method = "GET", path = "/in" });
            Assert.Equal("not_in_group", explained.GetProperty("verdict").GetProperty("code").GetString());
            (await server.Admin.DeleteAsync("/consumers/ann/acls/staff")).Dispose();
            await server.FormAsync("/consumers/cid/acls", 201, ("group", "staff"));
            Assert.Single((await server.GetAsync("/consumers/cid/acls")).GetProperty("data").EnumerateArray());
            await ExpectAsync(server, "/in", 403, 200, 200, 401);
            await ExpectAsync(server, "/out", 200, 200, 403, 401);
        }

        await using var again = await TestServer.StartAsync(folder: folder);
        await ExpectAsync(again, "/in", 403, 200, 200, 401);
        (await again.Admin.DeleteAsync("/consumers/bob")).Dispose();
        await again.ConsumerAsync("bob", "bob");
        await ExpectAsync(again, "/in", 403, 403, 200, 401);
    }

    [Fact]
    public async Task Plans_are_groups_too_where_a_plugin_says_so_and_where_nobody_is_known_nobody_is_admitted()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await server.FormAsync("/services", 201, ("name", "s"), ("url", upstream.Address));
        await server.FormAsync("/services/s/routes", 201, ("name", "keyed"), ("paths", "/keyed"));
        await server.FormAsync("/services/s/routes", 201, ("name", "open"), ("paths", "/open"));
        await server.FormAsync("/routes/keyed/plugins", 201, ("name", "key-auth"));
        await server.FormAsync("/plugins", 201, ("name", "acl"), ("config.allow", "gold"), ("config.include_consumer_groups", "true"));
        await server.FormAsync("/consumer_groups", 201, ("name", "gold"));
        foreach (var name in (string[])["ann", "bob", "cid"]) await server.ConsumerAsync(name, name);
        await server.FormAsync("/consumers/ann/consumer_groups", 201, ("group", "gold"));
        await server.FormAsync("/consumers/bob/acls", 201, ("group", "gold"));
        await ExpectAsync(server, "/keyed", 200, 200, 403, 401);
        await ExpectAsync(server, "/open", 403, 403, 403, 403);
        (await server.Admin.DeleteAsync("/consumers/ann/consumer_groups/gold")).Dispose();
        await ExpectAsync(server, "/keyed", 403, 200, 403, 401);
        Assert.Equal(3, await server.UsageAsync());
        Assert.Equal(3, upstream.Seen.Count);
    }

    private static async Task ExpectAsync(TestServer server, string path, params int[] expected)
    {
        var got = new List<int>();
        foreach (var key in (string?[])["ann", "bob", "cid", null]) got.Add(await server.StatusAsync(path, key));
        Assert.Equal((path, string.Join(' ', expected)), (path, string.Join(' ', got)));
    }
}
