using System.Net;
using System.Text;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

public sealed class ConfigApiTests
{
    private const string Priced = """
        version: 1
        currency: EUR
        apis:
          shop: # the shop
            upstream: UPSTREAM
            operations: { data: GET /data, quote: "GET /quotes/{symbol}" }
        plans:
          pro:
            operations: [data]
            limits: [5/minute]
            quotas: [{ meter: calls, allowance: 1_000, per: month }]
            prices: { calls: { model: per_unit, meter: calls, unit_amount: "0.10" } }
        """;

    [Fact]
    public async Task What_is_exported_is_the_file_and_applying_it_is_no_difference()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Priced, upstream);
        foreach (var accept in (string[])["application/yaml", "application/json"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/config/export");
            request.Headers.Accept.ParseAdd(accept);
            using var answer = await server.Admin.SendAsync(request);
            var text = await answer.Content.ReadAsStringAsync();
            Assert.Equal(accept, answer.Content.Headers.ContentType!.MediaType);
            if (accept.EndsWith("yaml", StringComparison.Ordinal)) Assert.Contains("# the shop", text, StringComparison.Ordinal);
            Assert.True((await SentAsync(server, "diff", text)).GetProperty("unchanged").GetBoolean());
            Assert.True((await SentAsync(server, "apply", text)).GetProperty("unchanged").GetBoolean());
        }
    }

    [Fact]
    public async Task A_diff_says_what_would_change_and_changes_nothing_and_an_apply_does_just_that()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Priced, upstream);
        var key = await server.SubscribeAsync("fred", "pro", new { name = "fred", currency = "EUR" });
        var next = Priced.Replace("UPSTREAM", upstream.Address, StringComparison.Ordinal)
            .Replace("[data]", "[data, quote]", StringComparison.Ordinal)
            .Replace("0.10", "0.20", StringComparison.Ordinal) + "\n  free: { operations: [data] }\n";

        var diff = await SentAsync(server, "diff", next);
        Assert.Equal(["free"], Names(diff, "added"));
        Assert.Equal(["pro"], Names(diff, "changed"));
        Assert.Equal(["operations"], diff.GetProperty("changed")[0].GetProperty("fields").EnumerateArray().Select(f => f.GetString()));
        var version = diff.GetProperty("plan_versions").EnumerateArray().Single(v => v.GetProperty("plan").GetString() == "pro");
        Assert.Equal((2, 1, "keep the version that they run on"), (version.GetProperty("version").GetInt32(),
            version.GetProperty("running_subscriptions").GetInt32(), version.GetProperty("subscriptions").GetString()));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(server, "/quotes/x", key));
        Assert.Single((await server.GetAsync("/v1/plans/pro/versions")).GetProperty("data").EnumerateArray());

        var applied = await SentAsync(server, "apply", next);
        Assert.Equal(diff.GetProperty("changed").GetRawText(), applied.GetProperty("changed").GetRawText());
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/quotes/x", key));
        Assert.Equal(2, (await server.GetAsync("/v1/plans/pro")).GetProperty("version").GetInt32());

        var log = (await server.GetAsync("/v1/audit_log?resource=/v1/plans/pro")).GetProperty("data").EnumerateArray()
            .First(e => e.GetProperty("resource").GetString() == "/v1/plans/pro"
                && e.GetProperty("action").GetString() == "POST /v1/config/apply");
        Assert.Equal("loopback", log.GetProperty("actor").GetString());
        Assert.Equal(1, log.GetProperty("before").GetProperty("operations").GetArrayLength());
        Assert.Equal(2, log.GetProperty("after").GetProperty("operations").GetArrayLength());
    }

    [Fact]
    public async Task A_faulty_file_is_refused_with_every_fault_and_its_place_and_nothing_of_it_is_in_force()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Priced, upstream);
        using var answer = await SendAsync(server, "apply?name=new.yaml",
            "version: 1\ncurrency: USD\nplans:\n  gold: { operations: [nothing], limits: [5/fortnight] }\n  free: { operations: [] }\n");
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        var errors = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.GetProperty("errors");
        Assert.Equal([4, 4], errors.EnumerateArray().Select(e => e.GetProperty("line").GetInt32()));
        Assert.Equal(["pro"], (await server.GetAsync("/v1/plans")).GetProperty("data").EnumerateArray()
            .Select(p => p.GetProperty("name").GetString()!));
    }

    [Fact]
    public async Task What_another_side_made_is_a_conflict_unless_it_is_taken_over()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Priced, upstream);
        await server.PostAsync("/consumer_groups", new { name = "gold" });
        var next = Priced.Replace("UPSTREAM", upstream.Address, StringComparison.Ordinal) + "\n  gold: { operations: [data] }\n";
        using (var refused = await SendAsync(server, "apply", next))
        {
            Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
            Assert.Contains("managed_elsewhere", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        var taken = await SentAsync(server, "apply?take_over=true", next);
        Assert.Equal("kong", taken.GetProperty("changed")[0].GetProperty("taken_from").GetString());
        Assert.Equal("file", (await server.GetAsync("/v1/plans/gold")).GetProperty("managed_by").GetString());
        using var kong = await server.Admin.DeleteAsync("/consumer_groups/gold");
        Assert.Equal(HttpStatusCode.Conflict, kong.StatusCode);
    }

    [Theory]
    [InlineData("apply?take_over=yes", "version: 1\ncurrency: USD\n")]
    [InlineData("apply?name=a/b", "version: 1\ncurrency: USD\n")]
    [InlineData("apply", "")]
    [InlineData("apply", "\u0000\u0001")]
    [InlineData("diff", "a: &a [*a, *a]")]
    [InlineData("diff", "{{{{{{")]
    public async Task Hostile_bodies_and_parameters_are_a_400(string path, string body)
    {
        await using var server = await TestServer.StartAsync();
        using var answer = await SendAsync(server, path, body);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        using var none = await server.Admin.GetAsync("/v1/config/export");
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
    }

    private static string[] Names(JsonElement diff, string list) =>
        [.. diff.GetProperty(list).EnumerateArray().Select(o => o.GetProperty("name").GetString()!)];

    private static async Task<HttpStatusCode> StatusAsync(TestServer server, string path, string key)
    {
        using var answer = await server.CallAsync(path, key);
        return answer.StatusCode;
    }

    private static async Task<HttpResponseMessage> SendAsync(TestServer server, string path, string text)
    {
        using var content = new StringContent(text, Encoding.UTF8, "application/yaml");
        return await server.Admin.PostAsync("/v1/config/" + path, content);
    }

    private static async Task<JsonElement> SentAsync(TestServer server, string path, string text)
    {
        using var answer = await SendAsync(server, path, text);
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, body);
        return JsonDocument.Parse(body).RootElement;
    }
}
