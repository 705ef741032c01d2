using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Admin;

/// <summary>Every change is written down, with its change: who, what, before, after; never a secret.</summary>
public sealed class AuditLogTests
{
    [Fact]
    public async Task A_change_says_who_what_before_and_after()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        await server.SubscribeAsync("ann", "pro");
        var subscription = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0].GetProperty("id").GetString();
        var token = (await server.PostAsync("/v1/admin_tokens", new { name = "clerk", scopes = new[] { "billing" } }))
            .GetProperty("token").GetString();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/subscriptions/{subscription}/cancel")
        {
            Content = JsonContent.Create(new { }),
        };
        request.Headers.Add("Authorization", "Bearer " + token);
        using var answer = await server.Admin.SendAsync(request);
        Assert.True(answer.IsSuccessStatusCode);

        var log = (await server.GetAsync("/v1/audit_log?limit=1")).GetProperty("data")[0];
        Assert.Equal("clerk", log.GetProperty("actor").GetString());
        Assert.Equal("POST /v1/subscriptions/{id}/cancel", log.GetProperty("action").GetString());
        Assert.Equal($"/v1/subscriptions/{subscription}", log.GetProperty("resource").GetString());
        Assert.Equal("2026-01-10T12:00:00Z", log.GetProperty("at").GetString());
        Assert.Equal(JsonValueKind.Null, log.GetProperty("before").GetProperty("end_at").ValueKind);
        Assert.Equal("2026-01-10T12:00:00Z", log.GetProperty("after").GetProperty("end_at").GetString());
    }

    [Fact]
    public async Task What_is_new_has_no_before_and_what_is_refused_no_entry()
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/v1/customers", new { name = "ann" });
        using (await server.Admin.PostAsJsonAsync("/v1/customers", new { name = "ann" }))
        using (await server.Admin.PostAsJsonAsync("/v1/customers", new { }))
        {
            var entry = Assert.Single((await server.GetAsync("/v1/audit_log")).GetProperty("data").EnumerateArray());
            Assert.Equal("loopback", entry.GetProperty("actor").GetString());
            Assert.Equal("POST /v1/customers", entry.GetProperty("action").GetString());
            Assert.Equal(JsonValueKind.Null, entry.GetProperty("before").ValueKind);
            Assert.Equal("ann", entry.GetProperty("after").GetProperty("name").GetString());
            Assert.StartsWith("/v1/customers/cus_", entry.GetProperty("resource").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Changes_by_Kongs_calls_are_written_down_too_and_no_secret_is()
    {
        await using var server = await TestServer.StartAsync();
        using var made = await server.Admin.PostAsJsonAsync("/consumers", new { username = "bob" });
        using var keyed = await server.Admin.PostAsJsonAsync("/consumers/bob/key-auth", new { key = "bob-very-secret-key" });
        await server.PostAsync("/v1/consumers/bob/keys", new { });
        using var gone = await server.Admin.DeleteAsync("/consumers/bob");
        var log = await server.GetAsync("/v1/audit_log");
        var text = log.ToString();
        Assert.DoesNotContain("bob-very-secret-key", text, StringComparison.Ordinal);
        Assert.DoesNotMatch("tg_live_[0-9A-Za-z]", text);
        Assert.Equal(
            ["DELETE /consumers/{c}", "POST /v1/consumers/{consumer}/keys", "POST /consumers/{c}/key-auth", "POST /consumers"],
            log.GetProperty("data").EnumerateArray().Select(e => e.GetProperty("action").GetString()));
        Assert.Equal("bob", log.GetProperty("data")[0].GetProperty("before").GetProperty("username").GetString());
        Assert.Equal(JsonValueKind.Null, log.GetProperty("data")[0].GetProperty("after").ValueKind);
    }

    [Fact]
    public async Task The_log_is_read_page_by_page_and_by_filters()
    {
        await using var server = await TestServer.StartAsync();
        foreach (var name in (string[])["a", "b", "c"]) await server.PostAsync("/v1/customers", new { name });
        await server.AdvanceAsync("PT1H");
        await server.PostAsync("/v1/consumers", new { username = "a" });
        var first = await server.GetAsync("/v1/audit_log?limit=2&action=POST /v1/customers");
        var names = Names(first).ToList();
        names.AddRange(Names(await server.GetAsync("/v1/audit_log?limit=2&action=POST /v1/customers&cursor="
            + first.GetProperty("next_cursor").GetString())));
        Assert.Equal(["c", "b", "a"], names);
        Assert.Equal(3, Count(await server.GetAsync("/v1/audit_log?resource=/v1/customers")));
        Assert.Equal(0, Count(await server.GetAsync("/v1/audit_log?resource=/v1/cust")));
        Assert.Equal(0, Count(await server.GetAsync("/v1/audit_log?actor=root")));
        Assert.Equal(3, Count(await server.GetAsync("/v1/audit_log?to=2026-01-10T13:00:00Z")));
        using var wrong = await server.Admin.GetAsync("/v1/audit_log?from=yesterday&who=me");
        Assert.Equal(400, (int)wrong.StatusCode);

        static IEnumerable<string?> Names(JsonElement page) => page.GetProperty("data").EnumerateArray()
            .Select(e => e.GetProperty("after").GetProperty("name").GetString());
        static int Count(JsonElement page) => page.GetProperty("data").GetArrayLength();
    }
}
