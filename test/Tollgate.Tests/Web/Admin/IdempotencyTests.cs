using System.Net;
using System.Net.Http.Json;
using System.Text;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Admin;

/// <summary>A request that is sent again with its Idempotency-Key has its effect once.</summary>
public sealed class IdempotencyTests
{
    [Fact]
    public async Task The_same_request_has_its_effect_once_and_is_answered_alike()
    {
        await using var server = await TestServer.StartAsync();
        var first = await PostAsync(server, "k1", "/v1/customers", new { name = "ann" });
        var second = await PostAsync(server, "k1", "/v1/customers", new { name = "ann" });
        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.Equal(HttpStatusCode.Created, second.StatusCode);
        Assert.Equal(await first.Content.ReadAsStringAsync(), await second.Content.ReadAsStringAsync());
        Assert.Equal(first.Headers.Location, second.Headers.Location);
        Assert.Equal(first.Headers.ETag, second.Headers.ETag);
        Assert.False(first.Headers.Contains("Idempotent-Replayed"));
        Assert.Equal("true", Assert.Single(second.Headers.GetValues("Idempotent-Replayed")));
        Assert.Equal(1, (await server.GetAsync("/v1/customers")).GetProperty("data").GetArrayLength());
        Assert.Equal(1, (await server.GetAsync("/v1/audit_log")).GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task A_key_that_is_shown_once_is_shown_again_to_who_sends_the_same_request_and_stored_for_nobody()
    {
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(folder: folder))
        {
            await server.PostAsync("/v1/consumers", new { username = "ann" });
            var first = await (await PostAsync(server, "secret-name", "/v1/consumers/ann/keys", new { }))
                .Content.ReadFromJsonAsync<System.Text.Json.JsonElement>();
            key = first.GetProperty("key").GetString()!;
        }

        // also after a restart
        await using (var server = await TestServer.StartAsync(folder: folder))
        {
            var again = await PostAsync(server, "secret-name", "/v1/consumers/ann/keys", new { });
            Assert.Contains(key, await again.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        foreach (var file in Directory.GetFiles(folder.Path, "*", SearchOption.AllDirectories))
        {
            var text = Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file));
            Assert.DoesNotContain(key, text, StringComparison.Ordinal);
            Assert.DoesNotContain(key[8..40], text, StringComparison.Ordinal);
            Assert.DoesNotContain("secret-name", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_name_stands_for_one_request()
    {
        await using var server = await TestServer.StartAsync();
        await PostAsync(server, "k1", "/v1/customers", new { name = "ann" });
        Assert.Equal(422, (int)(await PostAsync(server, "k1", "/v1/customers", new { name = "bob" })).StatusCode);
        Assert.Equal(422, (int)(await PostAsync(server, "k1", "/v1/consumers", new { name = "ann" })).StatusCode);
        Assert.Equal(400, (int)(await PostAsync(server, "two words", "/v1/customers", new { name = "x" })).StatusCode);
        Assert.Equal(400, (int)(await PostAsync(server, new string('k', 256), "/v1/customers", new { name = "x" })).StatusCode);
    }

    [Fact]
    public async Task A_refused_request_may_be_mended_under_its_name()
    {
        await using var server = await TestServer.StartAsync();
        Assert.Equal(400, (int)(await PostAsync(server, "k1", "/v1/customers", new { nam = "ann" })).StatusCode);
        Assert.Equal(201, (int)(await PostAsync(server, "k1", "/v1/customers", new { name = "ann" })).StatusCode);
    }

    [Fact]
    public async Task After_a_day_a_name_is_free_again()
    {
        await using var server = await TestServer.StartAsync();
        await PostAsync(server, "k1", "/v1/customers", new { name = "ann" });
        await server.AdvanceAsync("PT23H59M");
        Assert.Equal(201, (int)(await PostAsync(server, "k1", "/v1/customers", new { name = "ann" })).StatusCode);
        await server.AdvanceAsync("PT1M");
        Assert.Equal(409, (int)(await PostAsync(server, "k1", "/v1/customers", new { name = "ann" })).StatusCode);
    }

    [Fact]
    public async Task Requests_that_arrive_together_have_one_effect()
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/v1/consumers", new { username = "ann" });
        for (var round = 0; round < 10; round++)
        {
            var all = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
                PostAsync(server, $"r{round}", "/v1/consumers/ann/keys", new { })));
            Assert.All(all, a => Assert.Equal(HttpStatusCode.Created, a.StatusCode));
            var bodies = await Task.WhenAll(all.Select(a => a.Content.ReadAsStringAsync()));
            Assert.Single(bodies.Distinct());
            var made = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
                PostAsync(server, $"c{round}", "/v1/customers", new { name = $"c{round}" })));
            Assert.All(made, a => Assert.Equal(HttpStatusCode.Created, a.StatusCode));
        }

        Assert.Equal(10, (await server.GetAsync("/v1/consumers/ann/keys")).GetProperty("data").GetArrayLength());
        Assert.Equal(10, (await server.GetAsync("/v1/customers")).GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task Kongs_calls_have_it_too()
    {
        await using var server = await TestServer.StartAsync();
        var first = await PostAsync(server, "k1", "/consumers", new { username = "bob" });
        var second = await PostAsync(server, "k1", "/consumers", new { username = "bob" });
        Assert.Equal(HttpStatusCode.Created, second.StatusCode);
        Assert.Equal(await first.Content.ReadAsStringAsync(), await second.Content.ReadAsStringAsync());
    }

    private static async Task<HttpResponseMessage> PostAsync(TestServer server, string name, string path, object body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        request.Headers.TryAddWithoutValidation("Idempotency-Key", name);
        return await server.Admin.SendAsync(request);
    }
}
