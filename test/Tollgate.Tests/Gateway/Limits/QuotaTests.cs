using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Catalog;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Quotas over the whole product: what blocks, what is given back, what a change and a restart keep.</summary>
public sealed class QuotaTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          m:
            upstream: UPSTREAM
            operations: { data: GET /data, other: GET /other, slow: GET /slow }
        plans:
          small:
            operations: ["*"]
            upgrade_url: https://example.com/plans
            quotas: [{ meter: calls, where: { operation: data }, allowance: 3, per: month }]
          large:
            operations: ["*"]
            quotas: [{ meter: calls, allowance: 10, per: month }, { name: day, meter: calls, allowance: 6, per: calendar day }]
          soft:
            operations: ["*"]
            quotas: [{ meter: calls, allowance: 2, per: month, overage: bill }]
          twice:
            operations: ["*"]
            quotas:
              - { name: included, meter: calls, allowance: 2, per: month, overage: bill }
              - { name: most, meter: calls, allowance: 5, per: month }
          agreed:
            operations: ["*"]
            limits: []
        """;

    [Fact]
    public async Task A_quota_admits_its_allowance_over_all_keys_of_the_customer_and_says_when_there_is_more()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "small");
        await server.PostAsync("/v1/consumers", new { username = "second", customer = "fred" });
        var made = await server.PostAsync("/v1/consumers/second/keys", new { });
        var other = made.GetProperty("key").GetString()!;

        var answers = await Task.WhenAll(Enumerable.Range(0, 20)
            .Select(i => server.CallAsync("/data", i % 2 == 0 ? key : other)));
        Assert.Equal(3, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
        using var refused = await server.CallAsync("/data", other);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        var body = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal("quota_exhausted", body.GetProperty("code").GetString());
        Assert.Equal("3 calls/month", body.GetProperty("limit").GetString());
        Assert.Equal(3, body.GetProperty("used").GetInt64());
        Assert.Equal("2026-02-01T00:00:00Z", body.GetProperty("reset_at").GetString());
        Assert.Equal("https://example.com/plans", body.GetProperty("upgrade_url").GetString());
        Assert.Equal("0", Header(refused, "X-RateLimit-Remaining-Month"));
        // an operation that it does not name is free of it
        using var free = await server.CallAsync("/other", key);
        Assert.Equal(HttpStatusCode.OK, free.StatusCode);
        Assert.Equal("(none)", Header(free, "X-RateLimit-Limit-Month"));

        await server.PostAsync("/v1/test_clock", new { now = "2026-02-01T00:00:00Z" });
        using var next = await server.CallAsync("/data", key);
        Assert.Equal(("3", "2"), (Header(next, "X-RateLimit-Limit-Month"), Header(next, "X-RateLimit-Remaining-Month")));
    }

    [Fact]
    public async Task What_is_not_billed_returns_to_the_quota_and_the_headers_know_it()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "small");
        upstream.Answer = c => { c.Response.StatusCode = 503; return Task.CompletedTask; };
        for (var i = 0; i < 5; i++)
        {
            using var failed = await server.CallAsync("/data", key);
            Assert.Equal("3", Header(failed, "X-RateLimit-Remaining-Month"));
        }

        upstream.Answer = c => { c.Abort(); return Task.CompletedTask; };
        using (var broken = await server.CallAsync("/data", key))
        {
            Assert.Equal(HttpStatusCode.BadGateway, broken.StatusCode);
            Assert.Equal("3", Header(broken, "X-RateLimit-Remaining-Month"));
        }

        upstream.Answer = c => { c.Response.StatusCode = 404; return Task.CompletedTask; };
        for (var i = 2; i >= 0; i--)
        {
            using var billed = await server.CallAsync("/data", key);
            Assert.Equal($"{i}", Header(billed, "X-RateLimit-Remaining-Month"));
        }

        using var refused = await server.CallAsync("/data", key);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
    }

    [Fact]
    public async Task A_soft_quota_lets_go_on_and_bills()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "soft");
        for (var i = 0; i < 5; i++)
        {
            using var answer = await server.CallAsync("/data", key);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal("(none)", Header(answer, "RateLimit-Remaining"));
        }

        Assert.Equal(5, await server.UsageAsync());
    }

    [Fact]
    public async Task What_is_told_to_be_used_is_what_was_used_also_beyond_the_allowance()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var lowered = await server.SubscribeAsync("fred", "large");
        var path = $"/v1/subscriptions/{(await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0].GetProperty("id").GetString()}";
        var billed = await server.SubscribeAsync("anna", "soft");
        Assert.Equal((5, 5), (await server.PassAsync("/data", lowered, 5), await server.PassAsync("/data", billed, 5)));
        await PutAsync(server, path + "/overrides", new { allowances = new { calls = 2 }, limits = new[] { "3/hour" } });
        using var refused = await server.CallAsync("/data", lowered);
        var body = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal(("2 calls/month", 5L), (body.GetProperty("limit").GetString(), body.GetProperty("used").GetInt64()));
        Assert.Equal("0", Header(refused, "X-RateLimit-Remaining-Month"));
        var explained = await server.PostAsync("/v1/explain", new { path = "/data", key = lowered });
        Assert.Equal(5, explained.GetProperty("limits")[0].GetProperty("used").GetInt64());
        Assert.Equal([5L, 5L], explained.GetProperty("quotas").EnumerateArray().Select(q => q.GetProperty("used").GetInt64()));
        explained = await server.PostAsync("/v1/explain", new { path = "/data", key = billed });
        Assert.Equal(5, explained.GetProperty("quotas")[0].GetProperty("used").GetInt64());
    }

    [Fact]
    public async Task An_override_works_on_the_next_call_and_keeps_what_was_used_also_over_a_restart()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key, path;
        await using (var server = await TestServer.StartAsync(File, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "small");
            var subscription = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0];
            path = $"/v1/subscriptions/{subscription.GetProperty("id").GetString()}/overrides";
            for (var i = 0; i < 4; i++) (await server.CallAsync("/data", key)).Dispose();
            await PutAsync(server, path, new { allowances = new { calls = 5 }, limits = new[] { "4/minute by customer" } });
            using var more = await server.CallAsync("/data", key);
            Assert.Equal(HttpStatusCode.OK, more.StatusCode);
            Assert.Equal("1", Header(more, "X-RateLimit-Remaining-Month"));
            // three were admitted before the limit was there, and one after
            Assert.Equal("0", Header(more, "X-RateLimit-Remaining-Minute"));
        }

        await using var again = await TestServer.StartAsync(File, upstream, folder, TestServer.Start.AddMinutes(1));
        using var last = await again.CallAsync("/data", key);
        Assert.Equal("0", Header(last, "X-RateLimit-Remaining-Month"));
        using var refused = await again.CallAsync("/data", key);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        await PutAsync(again, path, new { });
        using var plan = await again.CallAsync("/data", key);
        Assert.Equal("3", Header(plan, "X-RateLimit-Limit-Month"));
    }

    [Fact]
    public async Task Quotas_that_count_alike_know_after_a_restart_what_was_used_once()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(File, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "twice");
            for (var i = 0; i < 3; i++) (await server.CallAsync("/data", key)).Dispose();
        }

        await using var again = await TestServer.StartAsync(File, upstream, folder, TestServer.Start.AddMinutes(1));
        using var next = await again.CallAsync("/data", key);
        Assert.Equal((HttpStatusCode.OK, "1"), (next.StatusCode, Header(next, "X-RateLimit-Remaining-Month")));
    }

    [Fact]
    public async Task A_plan_without_limits_takes_those_of_the_subscription()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "agreed");
        using var unlimited = await server.CallAsync("/data", key);
        Assert.Equal("(none)", Header(unlimited, "RateLimit-Limit"));
        var subscription = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0];
        var path = $"/v1/subscriptions/{subscription.GetProperty("id").GetString()}/overrides";
        await PutAsync(server, path, new { limits = new object[] { "7/hour", new { concurrent = 3 } } });
        using var limited = await server.CallAsync("/data", key);
        Assert.Equal("5", Header(limited, "X-RateLimit-Remaining-Hour"));
        Assert.Equal("7/hour", (await server.GetAsync(path)).GetProperty("limits")[0].GetString());
    }

    [Fact]
    public async Task Every_fault_of_an_override_is_told_and_nothing_of_it_is_in_force()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("fred", "small");
        var id = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0].GetProperty("id").GetString();
        using var refused = await server.Admin.PutAsJsonAsync($"/v1/subscriptions/{id}/overrides", new
        {
            limits = new object[] { "5/fortnight", new { limit = -1, per = "minute" } },
            allowances = new { tokens = 5, calls = -3 },
            other = 1,
        });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        var fields = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement.GetProperty("errors")
            .EnumerateArray().Select(e => e.GetProperty("field").GetString()).ToArray();
        Assert.Equal(["limits[0]", "limits[1].limit", "allowances.calls", "allowances.tokens", "other"], fields);
        using var unknown = await server.Admin.PutAsJsonAsync("/v1/subscriptions/sub_x/overrides", new { });
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Fact]
    public async Task A_migration_to_another_quota_knows_what_was_used_before()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var first = await TestServer.StartAsync(File, upstream, folder))
        {
            key = await first.SubscribeAsync("fred", "small");
            for (var i = 0; i < 4; i++) (await first.CallAsync("/other", key)).Dispose();
        }

        var changed = File.Replace("where: { operation: data }, allowance: 3, per: month }]",
            "allowance: 6, per: month }]\n    migrate: now", StringComparison.Ordinal);
        await using var second = await TestServer.StartAsync(changed, upstream, folder);
        using var answer = await second.CallAsync("/data", key);
        Assert.Equal("1", Header(answer, "X-RateLimit-Remaining-Month"));
    }

    [Fact]
    public void A_call_that_ends_in_the_next_period_costs_the_one_that_it_came_from()
    {
        var counted = new Counted("", new Quota("calls", "calls", 2));
        var before = Counted.At("2026-01-31T23:59:59Z");
        var late = counted.Call(before);
        Assert.Equal(2, counted.Calls(5, before + 2 * Micros.PerSecond));
        counted.Settle(late, 1);
        Assert.Equal(0, counted.Calls(1, before + 3 * Micros.PerSecond));
    }

    [Fact]
    public void Weighted_calls_never_go_beyond_the_allowance()
    {
        var counted = new Counted("", new Quota("calls", "calls", 12));
        var now = Counted.At("2026-01-10T12:00:00Z");
        Assert.Equal(-1, counted.Call(now, units: 5).Violated);
        Assert.Equal(-1, counted.Call(now, units: 5).Violated);
        var refused = counted.Call(now, units: 5);
        Assert.Equal((0, 2L), (refused.Violated, refused.Limits[0].Remaining));
        Assert.Equal(2, counted.Calls(5, now));
    }

    [Fact]
    public async Task A_call_that_takes_more_than_the_whole_allowance_is_told_so_and_promised_nothing()
    {
        const string file = """
            version: 1
            currency: USD
            apis: { m: { upstream: UPSTREAM, operations: { heavy: { match: GET /heavy, weight: 5 }, data: GET /data } } }
            plans:
              free:
                operations: ["*"]
                limits: [1/day]
                quotas: [{ meter: calls, allowance: 3, per: month }, { name: y, meter: calls, allowance: 9, per: year }]
            """;
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(file, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        for (var i = 0; i < 2; i++)
        {
            using var refused = await server.CallAsync("/heavy", key);
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
            Assert.Null(refused.Headers.RetryAfter);
            var body = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement;
            Assert.Equal("3 calls/month", body.GetProperty("limit").GetString());
            Assert.False(body.TryGetProperty("reset_at", out _));
            Assert.Equal("The plan free admits 3 calls/month, and this call takes 5: it is not let in however long you wait.",
                body.GetProperty("detail").GetString());
            // beside a limit that is used up it is still the one that lasts longest
            using var passes = await server.CallAsync("/data", key);
            Assert.Equal(i == 0 ? HttpStatusCode.OK : HttpStatusCode.TooManyRequests, passes.StatusCode);
            Assert.Equal(i == 0, passes.Headers.RetryAfter is null);
        }

        var read = Tollgate.Config.File.ConfigFileReader.Read(
            file.Replace("UPSTREAM", "http://127.0.0.1:1", StringComparison.Ordinal), "f");
        var warning = Assert.Single(read.Value.Warnings);
        Assert.Equal(("weight_above_allowance", "plans.free.quotas"), (warning.Code, warning.Field));
    }

    private static async Task PutAsync(TestServer server, string path, object body)
    {
        using var answer = await server.Admin.PutAsJsonAsync(path, body);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static string Header(HttpResponseMessage answer, string name) =>
        answer.Headers.TryGetValues(name, out var values) ? values.Single() : "(none)";
}
