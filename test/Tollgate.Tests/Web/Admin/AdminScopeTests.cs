using System.Net;
using System.Net.Http.Json;
using Microsoft.AspNetCore.Routing;
using Tollgate.Tests.Support;
using Tollgate.Web.Admin;

namespace Tollgate.Tests.Web.Admin;

/// <summary>What a token of the admin port may do.</summary>
public sealed class AdminScopeTests
{
    private const string Moving = """
        version: 1
        currency: USD
        apis: { data: { upstream: "http://127.0.0.1:9", operations: { data: GET /data } } }
        plans:
          pro:
            operations: ["*"]
            migrate: MIGRATE
            prices: { calls: { model: per_unit, meter: calls, unit_amount: "AMOUNT" } }
        """;

    [Fact]
    public async Task Every_route_says_which_scope_it_needs()
    {
        await using var server = await TestServer.StartAsync();
        var routes = server.AdminRoutes.OfType<RouteEndpoint>().ToArray();
        Assert.True(routes.Length > 60, $"{routes.Length} routes");
        var silent = routes.Where(r => r.Metadata.GetMetadata<ScopeRule>() is null).Select(r => r.DisplayName).Distinct();
        Assert.Empty(silent);
        var open = routes.Where(r => r.Metadata.GetMetadata<ScopeRule>()?.Reads == AdminScope.Anyone)
            .Select(r => r.RoutePattern.RawText).Order();
        Assert.Equal(["/healthz", "/readyz"], open);
    }

    [Theory]
    [InlineData("read", "GET", "/v1/customers", 200)]
    [InlineData("read", "GET", "/services", 200)]
    [InlineData("read", "GET", "/metrics", 200)]
    [InlineData("read", "POST", "/v1/customers", 403)]
    [InlineData("read", "POST", "/consumers", 403)]
    [InlineData("read", "GET", "/v1/audit_log", 403)]
    [InlineData("read", "GET", "/v1/admin_tokens", 403)]
    [InlineData("config", "GET", "/v1/customers", 200)]
    [InlineData("config", "POST", "/v1/consumers", 400)]
    [InlineData("config", "POST", "/v1/customers", 403)]
    [InlineData("config", "POST", "/v1/test_clock/advance", 403)]
    [InlineData("billing", "POST", "/v1/customers", 400)]
    [InlineData("billing", "POST", "/v1/consumers", 403)]
    [InlineData("billing", "DELETE", "/services/x", 403)]
    [InlineData("ingest", "POST", "/v1/events", 400)]
    [InlineData("ingest", "POST", "/api/v1/events", 400)]
    [InlineData("ingest", "POST", "/v1/sources/x/write", 404)]
    [InlineData("ingest", "GET", "/v1/unattributed_usage", 403)]
    [InlineData("ingest", "GET", "/v1/customers", 403)]
    [InlineData("ingest", "POST", "/v1/customers", 403)]
    [InlineData("billing", "POST", "/v1/events", 400)]
    [InlineData("config", "POST", "/v1/events", 403)]
    [InlineData("read", "POST", "/v1/events", 403)]
    [InlineData("admin", "POST", "/v1/customers", 400)]
    [InlineData("admin", "GET", "/v1/audit_log", 200)]
    [InlineData("admin", "POST", "/v1/admin_tokens", 400)]
    public async Task A_token_may_what_its_scope_says(string scope, string method, string path, int status)
    {
        await using var server = await TestServer.StartAsync();
        var token = await TokenAsync(server, "robot", scope);
        Assert.Equal(status, (int)await StatusAsync(server, token, method, path));
    }

    [Theory]
    [InlineData("config", "now", 403)]
    [InlineData("config", "never", 201)]
    [InlineData("billing", "now", 403)]
    [InlineData("config billing", "now", 201)]
    [InlineData("admin", "now", 201)]
    public async Task A_version_that_moves_customers_needs_both_scopes(string scopes, string migrate, int status)
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/consumers", new { username = "fred" });
        await server.PostAsync("/consumer_groups", new { name = "pro" });
        await server.PostAsync("/consumer_groups/pro/consumers", new { consumer = "fred" });
        var made = await server.PostAsync("/v1/admin_tokens", new { name = "robot", scopes = scopes.Split(' ') });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/plans/pro/versions")
        {
            Content = JsonContent.Create(new
            {
                prices = new { calls = new { model = "per_unit", meter = "calls", unit_amount = "0.01" } },
                migrate,
            }),
        };
        request.Headers.Authorization = new("Bearer", made.GetProperty("token").GetString());
        using var answer = await server.Admin.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True((int)answer.StatusCode == status, text);
        if (status == 403) Assert.Contains(scopes == "config" ? "this needs billing" : "this needs config", text, StringComparison.Ordinal);
        Assert.Equal(status == 201 ? 2 : 1, (await server.GetAsync("/v1/plans/pro")).GetProperty("version").GetInt32());
    }

    [Theory]
    [InlineData("config", "now", 403)]
    [InlineData("config", "renewal", 403)]
    [InlineData("config", "never", 200)]
    [InlineData("config billing", "now", 200)]
    public async Task A_file_that_moves_customers_needs_both_scopes(string scopes, string migrate, int status)
    {
        await using var server = await TestServer.StartAsync();
        Assert.Equal(200, await ApplyAsync(server, null, Moving.Replace("AMOUNT", "0.01", StringComparison.Ordinal)));
        await server.PostAsync("/v1/customers", new { name = "acme", currency = "USD" });
        await server.PostAsync("/v1/subscriptions", new { customer = "acme", plan = "pro" });
        var made = await server.PostAsync("/v1/admin_tokens", new { name = "robot", scopes = scopes.Split(' ') });
        var token = made.GetProperty("token").GetString();
        Assert.Equal(status, await ApplyAsync(server, token, Moving.Replace("AMOUNT", "0.02", StringComparison.Ordinal)));
        Assert.Equal(status == 200 ? 2 : 1, (await server.GetAsync("/v1/plans/pro")).GetProperty("version").GetInt32());

        async Task<int> ApplyAsync(TestServer at, string? token, string text)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/config/apply")
            {
                Content = new StringContent(text.Replace("MIGRATE", migrate, StringComparison.Ordinal)),
            };
            if (token is not null) request.Headers.Authorization = new("Bearer", token);
            using var answer = await at.Admin.SendAsync(request);
            return (int)answer.StatusCode;
        }
    }

    [Theory]
    [InlineData("now")]
    [InlineData("renewal")]
    public async Task A_file_that_moves_those_on_older_versions_needs_both_scopes_though_it_has_no_new_one(string migrate)
    {
        await using var server = await TestServer.StartAsync();
        Assert.Equal(200, await ApplyAsync("0.01", "never", null));
        await server.PostAsync("/v1/customers", new { name = "acme", currency = "USD" });
        var subscription = (await server.PostAsync("/v1/subscriptions", new { customer = "acme", plan = "pro" })).GetProperty("id");
        var config = await TokenAsync(server, "config", "config");
        var made = await server.PostAsync("/v1/admin_tokens", new { name = "both", scopes = new[] { "config", "billing" } });
        Assert.Equal(200, await ApplyAsync("0.05", "never", config));
        Assert.Equal(403, await ApplyAsync("0.05", migrate, config));
        Assert.Equal("1", await VersionsAsync());
        Assert.Equal(200, await ApplyAsync("0.05", migrate, made.GetProperty("token").GetString()!));
        Assert.Equal(migrate == "now" ? "2" : "1, 2", await VersionsAsync());
        // there is nobody left to move
        Assert.Equal(200, await ApplyAsync("0.05", migrate, config));

        async Task<int> ApplyAsync(string amount, string migrate, string? token)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/config/apply")
            {
                Content = new StringContent(Moving.Replace("AMOUNT", amount, StringComparison.Ordinal)
                    .Replace("MIGRATE", migrate, StringComparison.Ordinal)),
            };
            if (token is not null) request.Headers.Authorization = new("Bearer", token);
            using var answer = await server.Admin.SendAsync(request);
            return (int)answer.StatusCode;
        }

        async Task<string> VersionsAsync() => string.Join(", ", await server.Node.Database.ReadAsync(async db =>
            (await Tollgate.Billing.SubscriptionStore.StretchesAsync(db, subscription.GetString()!))
            .Select(s => s.Terms.PlanVersion).Distinct()));
    }

    [Fact]
    public async Task A_token_ends_when_it_is_revoked_or_expires_also_where_none_is_asked_for()
    {
        await using var server = await TestServer.StartAsync();
        var revoked = await TokenAsync(server, "revoked", "read");
        var made = await server.PostAsync("/v1/admin_tokens",
            new { name = "short", scopes = new[] { "read" }, expires_at = "2026-01-10T13:00:00Z" });
        var expiring = made.GetProperty("token").GetString()!;
        Assert.StartsWith("tg_admin_", expiring, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, revoked, "GET", "/v1/plans"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, expiring, "GET", "/v1/plans"));
        using (await server.Admin.DeleteAsync("/v1/admin_tokens/revoked"))
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server, revoked, "GET", "/v1/plans"));
        await server.AdvanceAsync("PT1H");
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server, expiring, "GET", "/v1/plans"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server, expiring[..^1] + "!", "GET", "/v1/plans"));
        var list = (await server.GetAsync("/v1/admin_tokens")).ToString();
        Assert.DoesNotContain(expiring, list, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_cannot_take_the_name_of_somebody_else()
    {
        await using var server = await TestServer.StartAsync();
        await TokenAsync(server, "ci", "read");
        await server.Admin.DeleteAsync("/v1/admin_tokens/ci");
        Assert.Equal(HttpStatusCode.Conflict, (await PostAsync("ci", "read")).StatusCode);
        foreach (var name in (string[])["root", "loopback", "file"])
            Assert.Equal(HttpStatusCode.BadRequest, (await PostAsync(name, "read")).StatusCode);
        foreach (var scope in (string[])["anyone", "Read", "", "write", "0"])
            Assert.Equal(HttpStatusCode.BadRequest, (await PostAsync("x", scope)).StatusCode);

        Task<HttpResponseMessage> PostAsync(string name, string scope) =>
            server.Admin.PostAsJsonAsync("/v1/admin_tokens", new { name, scopes = new[] { scope } });
    }

    private static async Task<string> TokenAsync(TestServer server, string name, string scope) =>
        (await server.PostAsync("/v1/admin_tokens", new { name, scopes = new[] { scope } }))
        .GetProperty("token").GetString()!;

    private static async Task<HttpStatusCode> StatusAsync(TestServer server, string token, string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token);
        if (method == "POST") request.Content = JsonContent.Create(new { });
        using var answer = await server.Admin.SendAsync(request);
        return answer.StatusCode;
    }
}
