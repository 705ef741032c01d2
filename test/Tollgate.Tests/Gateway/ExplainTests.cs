using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>What is explained is what the gate does.</summary>
public sealed class ExplainTests
{
    private const string Shop = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations: { data: GET /data, quote: "GET /quotes/{symbol}", order: POST /orders, slow: GET /slow }
        plans:
          free:  { operations: [data], limits: [3/minute, 5/hour by key], upgrade_url: "https://example.com/up" }
          quota: { operations: [data, quote], quotas: [{ meter: calls, where: { operation: data }, allowance: 4, per: month }] }
          soft:  { operations: [data], quotas: [{ meter: calls, allowance: 2, per: month, overage: bill }] }
          one:   { operations: ["*"], limits: [{ concurrent: 1, by: customer }] }
          paid:  { operations: ["*"], prices: { calls: { model: per_unit, meter: calls, unit_amount: "0.01" } } }
        """;

    private static readonly string[] s_targets =
    [
        "/data", "/data", "/data", "/quotes/X", "/orders", "/data/", "/DATA", "/%64ata?x=1", "/a/../data", "//data", "/nothing",
        "/quotes%2FX", "/quotes/..;/x", "/quotes/a%00", "/data?a=/../b",
    ];

    [Fact]
    public async Task Explain_says_what_the_gate_then_does_in_every_situation()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Shop, upstream);
        var keys = await KeysAsync(server);
        var random = new Random(20_260_110);
        var seen = new HashSet<string>();
        for (var i = 0; i < 260; i++)
        {
            var headers = new Dictionary<string, string>();
            var key = keys[random.Next(keys.Count)];
            if (key is not null) headers[random.Next(2) == 0 ? "apikey" : "X-API-Key"] = key;
            if (random.Next(20) == 0) headers["Authorization"] = "Bearer " + keys[1];
            var (method, target) = (random.Next(6) == 0 ? "POST" : "GET", s_targets[random.Next(s_targets.Length)]);
            seen.Add(await AgreesAsync(server, method, target, headers));
            if (random.Next(40) == 0) await server.AdvanceAsync("PT61S");
        }

        Assert.Superset(new HashSet<string>
        {
            "admit", "path_ambiguous", "no_route", "key_missing", "key_unknown", "key_revoked", "key_expired", "key_duplicate",
            "no_plan", "operation_not_in_plan", "rate_exceeded", "quota_exhausted", "credit_exhausted", "spend_cap_reached",
            "payment_overdue",
        }, seen);
    }

    [Fact]
    public async Task A_call_under_way_is_explained_too()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Shop, upstream);
        var key = await server.SubscribeAsync("ann", "one");
        var (arrived, go) = (new TaskCompletionSource(), new TaskCompletionSource());
        upstream.Answer = async _ =>
        {
            arrived.TrySetResult();
            await go.Task;
        };
        var held = server.CallAsync("/slow", key);
        await arrived.Task;
        Assert.Equal("concurrency_exceeded",
            await AgreesAsync(server, "GET", "/data", new Dictionary<string, string> { ["apikey"] = key }));
        go.SetResult();
        (await held).Dispose();
    }

    [Fact]
    public async Task It_tells_the_choice_among_subscriptions_and_takes_nothing_and_never_the_key()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Shop, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        var quota = await server.PostAsync("/v1/subscriptions", new { customer = "fred", plan = "quota", priority = 5 });
        for (var i = 0; i < 10; i++) await server.PostAsync("/v1/explain", new { key, path = "/data" });
        var told = await server.PostAsync("/v1/explain", new { key, method = "GET", path = "/a/../data?x=1" });

        Assert.True(told.GetProperty("passes").GetBoolean());
        Assert.Equal("/data?x=1", told.GetProperty("path").GetProperty("canonical").GetString());
        var chosen = told.GetProperty("subscriptions").EnumerateArray().Single(s => s.GetProperty("chosen").GetBoolean());
        Assert.Equal(quota.GetProperty("id").GetString(), chosen.GetProperty("id").GetString());
        Assert.Equal((0, 4), (told.GetProperty("quotas")[0].GetProperty("used").GetInt32(),
            told.GetProperty("quotas")[0].GetProperty("remaining").GetInt32()));
        Assert.Equal("fred", told.GetProperty("customer").GetProperty("name").GetString());
        Assert.DoesNotContain(key, told.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(0, await server.UsageAsync());

        var later = await server.PostAsync("/v1/explain", new { consumer = "fred", path = "/data", at = "2026-06-01T00:00:00Z" });
        Assert.True(later.GetProperty("passes").GetBoolean());
        var before = await server.PostAsync("/v1/explain", new { consumer = "fred", path = "/data", at = "2025-06-01T00:00:00Z" });
        Assert.Equal("no_plan", before.GetProperty("verdict").GetProperty("code").GetString());
        using var now = await server.CallAsync("/data", key);
        Assert.Equal("3", now.Headers.GetValues("RateLimit-Remaining").Single());
    }

    [Theory]
    [InlineData("POST", "/data", null, "this path is there with GET, PUT, and not with POST")]
    [InlineData("GET", "/data/", null, "no operation of any API has this method and path; slashes at the end and letter case count")]
    [InlineData("GET", "/eu", null, "this is there under the host *.eu.example, eu.example, and no host was given")]
    [InlineData("GET", "/eu", "us.example", "this is there under the host *.eu.example, eu.example, and not under the one that was given")]
    [InlineData("POST", "/eu", "a.eu.example:8000", "this path is there with GET, and not with POST")]
    [InlineData("get", "/data", null, "methods are case-sensitive, and this one has small letters: it is none")]
    [InlineData("CONNECT", "/data", null,
        "CONNECT asks for a tunnel, and a gate is none; ask about a WebSocket as the GET that it is over HTTP/1.1")]
    public async Task Where_nothing_is_declared_it_says_what_is_near(string method, string path, string? host, string expected)
    {
        await using var server = await TestServer.StartAsync("""
            version: 1
            currency: USD
            apis:
              shop: { upstream: "http://127.0.0.1:1", operations: { get: GET /data, put: PUT /data } }
              eu: { upstream: "http://127.0.0.1:1", hosts: [eu.example, "*.eu.example"], operations: { eu: GET /eu } }
            plans:
              free: { operations: ["*"] }
            """);
        var told = await server.PostAsync("/v1/explain", new { method, path, host });
        Assert.Equal("no_route", told.GetProperty("verdict").GetProperty("code").GetString());
        Assert.Equal(expected, told.GetProperty("steps")[1].GetProperty("detail").GetString());
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"path": "data"}""")]
    [InlineData("""{"path": "/data", "key": "x", "consumer": "fred"}""")]
    [InlineData("""{"path": "/data", "headers": {"a": 1}}""")]
    [InlineData("""{"path": "/data", "headers": []}""")]
    [InlineData("""{"path": "/data", "at": "tomorrow"}""")]
    [InlineData("""{"path": "/data", "body": ""}""")]
    [InlineData("""{"path": "/data", "method": "G T"}""")]
    public async Task A_question_that_cannot_be_read_is_a_400(string body)
    {
        await using var server = await TestServer.StartAsync();
        using var content = new StringContent(body);
        using var answer = await server.Admin.PostAsync("/v1/explain", content);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    private static async Task<string> AgreesAsync(
        TestServer server, string method, string target, Dictionary<string, string> headers)
    {
        var told = await server.PostAsync("/v1/explain", new { method, path = target, host = server.Proxy.Authority, headers });
        foreach (var secret in headers.Values)
            Assert.DoesNotContain(secret, told.GetRawText(), StringComparison.Ordinal);
        var answer = await RawCall.SendAsync(server.Proxy, string.Concat(
            $"{method} {target} HTTP/1.1\r\nHost: {server.Proxy.Authority}\r\nConnection: close\r\n",
            string.Concat(headers.Select(h => $"{h.Key}: {h.Value}\r\n")),
            method == "POST" ? "Content-Length: 0\r\n" : "", "\r\n"));
        var passed = told.GetProperty("passes").GetBoolean();
        var verdict = told.GetProperty("verdict");
        Assert.True(passed == (answer.Status == 200), $"{method} {target}: {answer.Status} {answer.Body} but {told}");
        Assert.Equal(!passed, told.GetProperty("steps").EnumerateArray()
            .Any(s => s.GetProperty("passes").ValueKind == JsonValueKind.False));
        if (passed) return "admit";
        Assert.Equal(verdict.GetProperty("status").GetInt32(), answer.Status);
        Assert.Equal(verdict.GetProperty("retry_after").ValueKind == JsonValueKind.Null ? null
            : verdict.GetProperty("retry_after").GetRawText(), answer.Header("Retry-After"));
        // what Kestrel itself refuses has no body
        if (answer.Body.Length == 0 && answer.Status == 400) return "path_ambiguous";
        var (said, sent) = (JsonNode.Parse(verdict.GetProperty("body").GetRawText())!, JsonNode.Parse(answer.Body)!);
        said["request_id"] = sent["request_id"]!.DeepClone();
        Assert.Equal(sent.ToJsonString(), said.ToJsonString());
        return verdict.GetProperty("code").GetString()!;
    }

    private static async Task<List<string?>> KeysAsync(TestServer server)
    {
        List<string?> keys = [null, await server.SubscribeAsync("fred", "free"), "tg_live_nonsense", "nobodys-7f3a"];
        keys.Add(await server.SubscribeAsync("quinn", "quota"));
        keys.Add(await server.SubscribeAsync("sam", "soft"));
        keys.Add(await server.SubscribeAsync("nina", null));
        foreach (var (name, kind) in new[] { ("pat", "prepaid"), ("cap", "spend_cap") })
        {
            keys.Add(await server.SubscribeAsync(name, "paid"));
            using var set = await server.Admin.PutAsJsonAsync($"/v1/customers/{name}/balances/{kind}", new { amount = "0.03" });
            Assert.True(set.IsSuccessStatusCode);
        }

        keys.Add(await server.SubscribeAsync("rosa", "free"));
        var id = (await server.GetAsync("/v1/consumers/rosa/keys")).GetProperty("data")[0].GetProperty("id").GetString();
        (await server.Admin.DeleteAsync($"/v1/consumers/rosa/keys/{id}")).Dispose();
        keys.Add((await server.PostAsync("/v1/consumers/rosa/keys", new { expires_at = "2026-01-10T12:00:00Z" }))
            .GetProperty("key").GetString());
        keys.Add(await server.SubscribeAsync("owen", "paid"));
        var owes = await server.Node.Customers.FindAsync("owen");
        await server.Node.Database.WriteAsync(db => db.ExecuteAsync(
            "update entitlements set hold = @hold where customer_key = @Key",
            new { hold = Hold.PaymentOverdue.ToText(), owes!.Key }));
        await server.Node.Feed.AnnounceAsync(new Change.OfCustomer((int)owes!.Key));
        return keys;
    }
}
