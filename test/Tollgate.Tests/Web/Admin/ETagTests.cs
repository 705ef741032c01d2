using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Admin;

/// <summary>Who says which state a change is meant for, does not change another.</summary>
public sealed class ETagTests
{
    [Fact]
    public async Task A_change_meant_for_another_state_is_refused_and_changes_nothing()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        await server.SubscribeAsync("ann", "pro");
        var id = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0].GetProperty("id").GetString();
        var path = $"/v1/subscriptions/{id}";
        using var before = await server.Admin.GetAsync(path);
        var tag = before.Headers.ETag!;
        Assert.Equal(HttpStatusCode.PreconditionFailed, await CancelAsync("\"0123\""));
        Assert.Equal(HttpStatusCode.PreconditionFailed, await CancelAsync("W/" + tag));
        using (var still = await server.Admin.GetAsync(path)) Assert.Equal(tag, still.Headers.ETag);
        Assert.Equal(HttpStatusCode.OK, await CancelAsync("\"0123\", " + tag));
        using (var now = await server.Admin.GetAsync(path)) Assert.NotEqual(tag, now.Headers.ETag);
        using (await server.Admin.PostAsJsonAsync("/consumers", new { username = "bob" }))
            Assert.Equal(HttpStatusCode.PreconditionFailed, await DeleteAsync("/consumers/bob", tag.ToString()));
        Assert.Equal(HttpStatusCode.NoContent, await DeleteAsync("/consumers/bob", "*"));

        async Task<HttpStatusCode> CancelAsync(string match) => await SendAsync(HttpMethod.Post, path + "/cancel", match);
        async Task<HttpStatusCode> DeleteAsync(string at, string match) => await SendAsync(HttpMethod.Delete, at, match);

        async Task<HttpStatusCode> SendAsync(HttpMethod method, string at, string match)
        {
            using var request = new HttpRequestMessage(method, at);
            if (method == HttpMethod.Post) request.Content = JsonContent.Create(new { });
            request.Headers.TryAddWithoutValidation("If-Match", match);
            using var answer = await server.Admin.SendAsync(request);
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task What_a_change_answers_carries_the_tag_of_the_new_state()
    {
        await using var server = await TestServer.StartAsync();
        using var made = await server.Admin.PostAsJsonAsync("/v1/customers", new { name = "ann" });
        using var read = await server.Admin.GetAsync("/v1/customers/ann");
        Assert.NotNull(made.Headers.ETag);
        Assert.Equal(made.Headers.ETag, read.Headers.ETag);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/customers/ann");
        request.Headers.IfNoneMatch.Add(new EntityTagHeaderValue(read.Headers.ETag!.Tag));
        using var same = await server.Admin.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        Assert.Empty(await same.Content.ReadAsByteArrayAsync());
    }
}
