using System.Net;
using System.Text;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>What <c>/v1</c> takes, refuses, and says about it.</summary>
public sealed class AdminApiTests
{
    [Fact]
    public async Task Every_fault_of_a_request_is_told_at_once_and_nothing_is_made()
    {
        await using var server = await TestServer.StartAsync();
        var (status, body) = await PostAsync(server, "/v1/customers",
            """{"name": "", "timezone": "Mars/Olympus", "curency": "USD", "currency": 5}""");
        Assert.Equal(400, status);
        Assert.Equal(
            ["currency", "curency", "name", "timezone"],
            body.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("field").GetString()!)
                .OrderBy(f => f != "currency").ThenBy(f => f));
        Assert.Empty((await server.GetAsync("/v1/customers")).GetProperty("data").EnumerateArray());
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\"text\"")]
    [InlineData("{")]
    [InlineData("{\"name\": \"a\", \"name\": \"b\"}")]
    [InlineData("{\"name\": \"a\\u0000b\"}")]
    [InlineData("{\"name\": {\"$ne\": 1}}")]
    [InlineData("name=a")]
    public async Task A_body_that_is_not_what_is_asked_for_is_a_400(string body)
    {
        await using var server = await TestServer.StartAsync();
        foreach (var path in (string[])["/v1/customers", "/v1/consumers", "/v1/subscriptions"])
        {
            var (status, answer) = await PostAsync(server, path, body);
            Assert.Equal(400, status);
            Assert.NotEmpty(answer.GetProperty("errors").EnumerateArray());
        }
    }

    [Fact]
    public async Task Hostile_bodies_are_bounded()
    {
        await using var server = await TestServer.StartAsync();
        Assert.Equal(413, (await PostAsync(server, "/v1/customers", "{\"name\": \"" + new string('a', 2_000_000) + "\"}")).Status);
        Assert.Equal(400, (await PostAsync(server, "/v1/customers", new string('[', 100_000))).Status);
        using var invalid = new ByteArrayContent([0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x7D]);
        using var answer = await server.Admin.PostAsync("/v1/customers", invalid);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Theory]
    [InlineData("/v1/customers/%27%20or%201=1--", 404)]
    [InlineData("/v1/consumers/..%2f..%2fetc%2fpasswd", 404)]
    [InlineData("/v1/invoices/inv_00000000000000000000000000000000", 404)]
    [InlineData("/v1/subscriptions/x", 404)]
    [InlineData("/v1/plans/x", 404)]
    [InlineData("/v1/customers?limit=0", 400)]
    [InlineData("/v1/customers?limit=1001", 400)]
    [InlineData("/v1/customers?limit=abc", 400)]
    [InlineData("/v1/customers?cursor=-1", 400)]
    [InlineData("/v1/customers?cursor=99999999999999999999999", 400)]
    [InlineData("/v1/usage?meter=tokens", 400)]
    [InlineData("/v1/usage?group_by=secret", 400)]
    [InlineData("/v1/usage?group_by=7", 400)]
    [InlineData("/v1/usage?window=15", 400)]
    [InlineData("/v1/usage?window=day&timezone=..%2f..%2fetc", 400)]
    [InlineData("/v1/usage?from=yesterday", 400)]
    [InlineData("/v1/usage?from=2026-01-01T00:07:00Z", 400)]
    [InlineData("/v1/usage?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", 400)]
    [InlineData("/v1/usage?customer=nobody", 400)]
    [InlineData("/v1/usage?colour=red", 400)]
    [InlineData("/v1/invoices/preview", 400)]
    [InlineData("/v1/invoices/preview?customer=nobody", 404)]
    [InlineData("/v1/invoices?customer=nobody", 400)]
    [InlineData("/v1/nothing", 404)]
    public async Task A_question_that_has_no_answer_gets_one_that_says_so(string path, int status)
    {
        await using var server = await TestServer.StartAsync();
        using var answer = await server.Admin.GetAsync(path);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.ValueKind);
    }

    [Fact]
    public async Task A_repeated_create_is_a_409_and_a_reference_to_nothing_is_a_400()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        await server.SubscribeAsync("fred", "free");
        Assert.Equal(409, (await PostAsync(server, "/v1/customers", """{"name": "fred"}""")).Status);
        Assert.Equal(409, (await PostAsync(server, "/v1/consumers", """{"username": "fred"}""")).Status);
        Assert.Equal(409, (await PostAsync(server, "/v1/subscriptions", """{"customer": "fred", "plan": "free"}""")).Status);
        Assert.Equal(400, (await PostAsync(server, "/v1/consumers", """{"username": "x", "customer": "nobody"}""")).Status);
        Assert.Equal(400, (await PostAsync(server, "/v1/subscriptions", """{"customer": "nobody", "plan": "free"}""")).Status);
        Assert.Equal(400, (await PostAsync(server, "/v1/subscriptions", """{"customer": "fred", "plan": "gold"}""")).Status);
        Assert.Equal(201, (await PostAsync(server, "/v1/consumers/fred/keys", """{"key": "the-same"}""")).Status);
        var (status, body) = await PostAsync(server, "/v1/consumers/fred/keys", """{"key": "the-same"}""");
        Assert.Equal(409, status);
        Assert.DoesNotContain("the-same", body.GetRawText());
        Assert.Equal(404, (await PostAsync(server, "/v1/consumers/nobody/keys", "{}")).Status);
    }

    [Fact]
    public async Task Prices_with_faults_are_refused_with_all_of_them_and_a_plan_of_the_file_is_not_ours_to_price()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        await server.Admin.PostAsync("/consumer_groups", new StringContent(
            "name=gold", Encoding.ASCII, "application/x-www-form-urlencoded"));
        var (status, body) = await PostAsync(server, "/v1/plans/gold/versions", """
            {"prices": {"a": {"model": "per_unit", "meter": "calls", "unit_amount": "-1"},
                        "b": {"model": "gradual"},
                        "c": {"model": "per_unit", "meter": "calls", "unit_amount": "1", "where": {"operation": "nope"}}},
             "currency": "XYZ"}
            """);
        Assert.Equal(400, status);
        var fields = body.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("field").GetString()).ToArray();
        Assert.Contains("prices.a.unit_amount", fields);
        Assert.Contains("prices.b.model", fields);
        Assert.Contains("currency", fields);
        Assert.Equal(1, (await server.GetAsync("/v1/plans/gold")).GetProperty("version").GetInt32());
        Assert.Equal(409, (await PostAsync(server, "/v1/plans/pro/versions", """{"prices": {}}""")).Status);
    }

    [Fact]
    public async Task Lists_are_paged_by_cursor()
    {
        await using var server = await TestServer.StartAsync();
        for (var i = 0; i < 5; i++) await server.PostAsync("/v1/customers", new { name = "c" + i });
        var names = new List<string?>();
        string? cursor = null;
        do
        {
            var page = await server.GetAsync("/v1/customers?limit=2" + (cursor is null ? "" : "&cursor=" + cursor));
            names.AddRange(page.GetProperty("data").EnumerateArray().Select(c => c.GetProperty("name").GetString()));
            cursor = page.GetProperty("next_cursor").GetString();
        }
        while (cursor is not null);
        Assert.Equal(["c0", "c1", "c2", "c3", "c4"], names);
    }

    [Theory]
    [InlineData("""{"by": "P1Y"}""", 200)]
    [InlineData("""{"by": "-P1D"}""", 400)]
    [InlineData("""{"by": "P0D"}""", 400)]
    [InlineData("""{"by": "P999999Y"}""", 400)]
    [InlineData("""{"by": "P99999999999999999999D"}""", 400)]
    [InlineData("""{"by": "tomorrow"}""", 400)]
    [InlineData("""{"to": "P1D"}""", 400)]
    public async Task The_test_clock_moves_within_bounds(string body, int status)
    {
        await using var server = await TestServer.StartAsync();
        Assert.Equal(status, (await PostAsync(server, "/v1/test_clock/advance", body)).Status);
    }

    private static async Task<(int Status, JsonElement Body)> PostAsync(TestServer server, string path, string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await server.Admin.PostAsync(path, content);
        return ((int)answer.StatusCode, JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement);
    }
}
