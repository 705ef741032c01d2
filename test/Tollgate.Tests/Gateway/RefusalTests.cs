using System.Net;
using System.Text.Json;
using Tollgate.Gateway;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>What the gate says no to, in which order, and in which words (wire.md, "The caller").</summary>
public sealed class RefusalTests
{
    [Fact]
    public async Task Each_case_has_its_status_and_code()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var free = await server.SubscribeAsync("fred", "free");
        var nobody = await server.SubscribeAsync("nina", null);
        var revoked = await server.SubscribeAsync("rosa", "pro");
        var keys = await server.GetAsync("/v1/consumers/rosa/keys");
        await server.Admin.DeleteAsync("/v1/consumers/rosa/keys/" + keys.GetProperty("data")[0].GetProperty("id"));
        var expiring = (await server.PostAsync("/v1/consumers/rosa/keys", new { expires_at = "2026-01-10T12:00:00Z" }))
            .GetProperty("key").GetString();
        (string Path, string? Key, int Status, string Code)[] cases =
        [
            ("/v1%2Fpublic/data", free, 400, "path_ambiguous"),
            ("/v1/unknown", free, 404, "no_route"),
            ("/v1/public/data/", free, 404, "no_route"),
            ("/V1/public/data", free, 404, "no_route"),
            ("/v1/public/data", null, 401, "key_missing"),
            ("/v1/public/data", "tg_live_nonsense", 401, "key_unknown"),
            ("/v1/public/data", revoked, 401, "key_revoked"),
            ("/v1/public/data", expiring, 401, "key_expired"),
            ("/v1/public/data", nobody, 403, "no_plan"),
            ("/v1/premium/analytics", free, 403, "operation_not_in_plan"),
            ("/v1//premium/analytics", free, 403, "operation_not_in_plan"),
            ("/v1/%70remium/analytics", free, 403, "operation_not_in_plan"),
            ("/v1/x/../premium/analytics", free, 403, "operation_not_in_plan"),
        ];
        var wrong = new List<string>();
        foreach (var (path, key, status, code) in cases)
        {
            var answer = await RawCall.GetAsync(server.Proxy, path, key);
            var body = JsonDocument.Parse(answer.Body).RootElement;
            if (answer.Status != status || body.GetProperty("code").GetString() != code
                || body.GetProperty("status").GetInt32() != status
                || answer.Header("X-Request-Id") != body.GetProperty("request_id").GetString())
                wrong.Add($"{path}: {answer.Status} {answer.Body}, expected {status} {code}");
        }

        Assert.Empty(wrong);
        Assert.Empty(upstream.Seen);
        Assert.Equal(0, await server.UsageAsync());
    }

    [Fact]
    public async Task A_tier_that_lacks_the_endpoint_is_named()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var free = await server.SubscribeAsync("fred", "free");
        using var answer = await server.CallAsync("/v1/premium/analytics", free);
        var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
        Assert.Equal("Access denied for this endpoint. Your tier (free) does not permit access.",
            body.GetProperty("message").GetString());
        Assert.Equal("free", body.GetProperty("plan").GetString());
        Assert.Equal("/problems/operation_not_in_plan", body.GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_missing_key_is_challenged()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        using var answer = await server.CallAsync("/v1/public/data", null);
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.NotEmpty(answer.Headers.WwwAuthenticate);
        Assert.Contains("No API key found in request", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Two_different_keys_are_refused_and_the_same_key_twice_is_one()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        Assert.Equal(401, await StatusAsync(("apikey", key), ("X-API-Key", "another")));
        Assert.Equal(401, await StatusAsync(("apikey", key), ("Authorization", "Bearer tg_live_other")));
        Assert.Equal(200, await StatusAsync(("apikey", key), ("X-API-Key", key)));
        Assert.Equal(200, await StatusAsync(("Authorization", "Bearer " + key)));
        Assert.Equal(401, await StatusAsync(("Authorization", "Bearer somebody-elses-token")));

        async Task<int> StatusAsync(params (string Name, string Value)[] headers)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/public/data");
            foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
            using var answer = await server.SendAsync(request);
            return (int)answer.StatusCode;
        }
    }

    [Fact]
    public void Every_code_has_a_page_and_every_page_a_code()
    {
        var pages = Directory.GetFiles(Path.Combine(Repository.Root, "docs", "problems"), "*.md")
            .Select(f => Path.GetFileNameWithoutExtension(f)!).Where(n => n != "README").Order();
        var codes = Enum.GetValues<Verdict>().Where(v => v != Verdict.Admit).Select(v => VerdictForm.Of(v).Code).Order();
        Assert.Equal(codes, pages);
    }

    [Fact]
    public void The_order_of_the_checks_is_the_order_of_the_documented_table()
    {
        var documented = File.ReadLines(Path.Combine(Repository.Root, "docs", "problems", "README.md"))
            .Where(l => l.Contains(".md)", StringComparison.Ordinal))
            .Select(l => (int.Parse(l.Split('|')[1]), l.Split('[', ']')[1]));
        var checkedInOrder = Enum.GetValues<Verdict>().Where(v => v != Verdict.Admit)
            .Select(v => (VerdictForm.Of(v).Status, VerdictForm.Of(v).Code));
        Assert.Equal(checkedInOrder, documented);
    }
}
