using System.Net;
using System.Net.Http.Json;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>A removal whose announcement was lost takes effect when it is tried again, and nobody else is removed.
/// </summary>
public sealed class KongRetryTests
{
    [Fact]
    public async Task A_key_that_is_gone_from_the_store_is_gone_for_the_gate_after_a_retry()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        await server.SubscribeAsync("fred", "free");
        await server.PostAsync("/consumers/fred/key-auth", new { key = "fred-key" });
        var fred = (await server.Node.Consumers.FindAsync("fred"))!;
        var row = (await server.Node.Database.ReadAsync(db => ConsumerStore.CredentialsAsync(db, fred.Key)))[^1];
        await server.Node.Database.WriteAsync(db => ConsumerStore.DeleteCredentialAsync(db, row));
        // a PostgreSQL tells its nodes itself, within a second
        if (!TestDatabase.OnPostgres) Assert.Equal(HttpStatusCode.OK, await CallAsync());
        var id = Id<Credential>.TryParse(row.Id, out var read) ? read.Value : Guid.Empty;
        Assert.Equal(HttpStatusCode.NoContent, await DeleteAsync(server, $"/consumers/fred/key-auth/{id}"));
        Assert.Equal(HttpStatusCode.Unauthorized, await CallAsync());

        async Task<HttpStatusCode> CallAsync()
        {
            using var answer = await server.CallAsync("/v1/public/data", "fred-key");
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task A_consumer_or_membership_whose_removal_was_not_heard_of_is_announced_again()
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/consumer_groups", new { name = "g" });
        await server.PostAsync("/consumers", new { username = "fred" });
        await server.PostAsync("/consumer_groups/g/consumers", new { consumer = "fred" });
        var fred = (await server.Node.Consumers.FindAsync("fred"))!;
        var deaf = true;
        var heard = new List<Change>();
        server.Node.Feed.Listen(change =>
        {
            if (deaf) throw new InvalidOperationException("not heard");
            heard.Add(change);
            return Task.CompletedTask;
        });

        Assert.Equal(HttpStatusCode.InternalServerError, await DeleteAsync(server, "/consumers/fred/consumer_groups/g"));
        deaf = false;
        Assert.Equal(HttpStatusCode.NotFound, await DeleteAsync(server, "/consumers/fred/consumer_groups/g"));
        Assert.Contains(new Change.OfCustomer((int)fred.CustomerKey!.Value), heard);

        deaf = true;
        Assert.Equal(HttpStatusCode.InternalServerError, await DeleteAsync(server, "/consumers/fred"));
        deaf = false;
        Assert.Equal(HttpStatusCode.NoContent, await DeleteAsync(server, "/consumers/fred"));
        Assert.Contains(new Change.OfConsumer((int)fred.Key), heard);
    }

    [Fact]
    public async Task A_consumer_with_siblings_does_not_take_them_out_of_the_group()
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/consumer_groups", new { name = "g" });
        await server.PostAsync("/v1/customers", new { name = "acme" });
        foreach (var username in (string[])["a", "b"])
            await server.PostAsync("/v1/consumers", new { username, customer = "acme" });
        await server.PostAsync("/consumer_groups/g/consumers", new { consumer = "a" });
        using var answer = await server.Admin.DeleteAsync("/consumer_groups/g/consumers/b");
        Assert.Equal(HttpStatusCode.Conflict, answer.StatusCode);
        Assert.Contains("other consumers of its customer", await answer.Content.ReadAsStringAsync());
        Assert.Equal(2, (await server.GetAsync("/consumer_groups/g/consumers")).GetProperty("data").GetArrayLength());
    }

    [Theory]
    [InlineData("Content-Length")]
    [InlineData("content-type")]
    [InlineData("Transfer-Encoding")]
    [InlineData("Connection")]
    [InlineData("Host")]
    [InlineData("TE")]
    [InlineData("Trailer")]
    [InlineData("Upgrade")]
    [InlineData("Expect")]
    [InlineData("Keep-Alive")]
    [InlineData("Proxy-Authorization")]
    [InlineData("Cookie")]
    [InlineData("Authorization")]
    [InlineData("X-Request-Id")]
    [InlineData("X-Consumer-Username")]
    [InlineData("X-Forwarded-For")]
    public async Task A_header_that_is_needed_for_something_else_cannot_carry_a_key(string name)
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/services", new { name = "s", url = "http://127.0.0.1:5000" });
        using var answer = await server.Admin.PostAsJsonAsync("/services/s/plugins",
            new { name = "key-auth", config = new { key_names = (string[])["apikey", name] } });
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains($"'{name}' cannot carry a key: ", await answer.Content.ReadAsStringAsync());
    }

    private static async Task<HttpStatusCode> DeleteAsync(TestServer server, string path)
    {
        using var answer = await server.Admin.DeleteAsync(path);
        return answer.StatusCode;
    }
}
