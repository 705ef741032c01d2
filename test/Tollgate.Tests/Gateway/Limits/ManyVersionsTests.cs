using System.Globalization;
using System.Text;
using Tollgate.Catalog;
using Tollgate.Gateway;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Quotas over a long life: a process sees more kinds of them than it can count at once.</summary>
public sealed class ManyVersionsTests
{
    private static readonly string[] s_pers =
        ["period", "day", "week", "month", "quarter", "year", "calendar week", "calendar month", "calendar year"];

    [Fact]
    public async Task Hundreds_of_versions_with_other_quotas_are_bounded_and_no_count_is_lost()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(FileWith(First), upstream);
        var key = await server.SubscribeAsync("fred", "pro");
        for (var i = 0; i < 4; i++) Assert.Equal(200, await StatusAsync(server, "/o0", key));
        for (var version = 1; version <= 200; version++)
        {
            await ApplyAsync(server, FileWith(QuotasOf(version)), upstream);
            // neither kind counts both operations
            if (version % 10 == 0) Assert.Equal(200, await StatusAsync(server, version % 20 == 0 ? "/o0" : "/o9", key));
        }

        Assert.Equal(Pool.MostSlots, KindsOf(server));
        await ApplyAsync(server, FileWith(First), upstream);
        Assert.Equal(["100", "85"], await StandingAsync(server, "/o0", key));
        for (var i = 0; i < 85; i++) (await server.CallAsync("/o0", key)).Dispose();
        Assert.Equal(429, await StatusAsync(server, "/o0", key));
        Assert.Equal(200, await StatusAsync(server, "/o9", key));
    }

    [Fact]
    public async Task Hundreds_of_versions_over_the_admin_API_move_a_subscription_each_time()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/services", new { name = "s", url = upstream.Address });
        await server.PostAsync("/services/s/routes", new { name = "r", paths = new[] { "/" } });
        await server.PostAsync("/services/s/plugins", new { name = "key-auth" });
        await server.PostAsync("/consumers", new { username = "fred" });
        await server.PostAsync("/consumers/fred/key-auth", new { key = "fred-key" });
        await server.PostAsync("/consumer_groups", new { name = "pro" });
        await server.PostAsync("/consumer_groups/pro/consumers", new { consumer = "fred" });
        for (var version = 1; version <= 60; version++)
        {
            var quotas = s_pers.Skip(version % 2 * 4).Take(5).Select((per, i) =>
            {
                var quota = new Dictionary<string, object>
                {
                    ["name"] = $"q{i}",
                    ["meter"] = "calls",
                    ["allowance"] = 1_000 + version,
                    ["per"] = per,
                };
                if (i == version % 5) quota["where"] = new { operation = new[] { "r" } };
                return quota;
            });
            await server.PostAsync("/v1/plans/pro/versions", new { prices = new { }, migrate = "now", quotas });
            using var answer = await server.CallAsync("/x", "fred-key");
            Assert.Equal(200, (int)answer.StatusCode);
            // so many more are allowed as were used
            Assert.Equal("1000", answer.Headers.GetValues("RateLimit-Remaining").Single());
        }
    }

    [Fact]
    public void A_kind_with_a_call_under_way_is_not_forgotten_and_one_that_was_forgotten_owes_the_call_nothing()
    {
        var now = Counted.At("2026-01-10T12:00:00Z");
        var counted = new Counted("", new Quota("first", "calls", 10) { Operations = ["7"] });
        var open = counted.Call(now, new Caller(1, 1, 7, 0));
        for (var i = 0; i < 100; i++)
        {
            var other = (100 + i).ToString(CultureInfo.InvariantCulture);
            counted.Change(now, "", new Quota("q", "calls", 1_000) { Operations = [other] });
            counted.Forget();
        }

        Assert.Equal(Pool.MostSlots, counted.Kinds);
        counted.Change(now, "", new Quota("first", "calls", 10) { Operations = ["7"] });
        Assert.Equal(8, counted.Call(now, new Caller(1, 1, 7, 0)).Limits[0].Remaining);
        counted.Settle(open, 0, operation: 7);
        Assert.Equal(8, counted.Call(now, new Caller(1, 1, 7, 0)).Limits[0].Remaining);
    }

    [Fact]
    public void A_kind_that_is_in_force_is_not_forgotten_however_old_it_is()
    {
        var now = Counted.At("2026-01-10T12:00:00Z");
        var always = new Quota("always", "calls", 10) { Operations = ["7"] };
        var counted = new Counted("", always);
        counted.Settle(counted.Call(now, new Caller(1, 1, 7, 0)), 1, operation: 7);
        for (var i = 0; i < 100; i++)
        {
            var other = (100 + i).ToString(CultureInfo.InvariantCulture);
            counted.Change(now, "", always, new Quota("q", "calls", 1_000) { Operations = [other] });
            counted.Forget();
        }

        Assert.Equal(Pool.MostSlots, counted.Kinds);
        counted.Change(now, "", always);
        Assert.Equal(8, counted.Call(now, new Caller(1, 1, 7, 0)).Limits[0].Remaining);
    }

    private const string First = "{ name: first, meter: calls, where: { operation: [o0] }, allowance: 100, per: month }";

    private static string QuotasOf(int version)
    {
        var operations = Enumerable.Range(1, 8).Where(o => (version & (1 << (o - 1))) != 0).Select(o => $"o{o}");
        var where = $"where: {{ operation: [{string.Join(", ", operations.DefaultIfEmpty("o1"))}] }}";
        return string.Join(", ", Enumerable.Range(0, 3).Select(i =>
            $"{{ name: q{i}, meter: calls, {where}, allowance: {1_000 + version}, per: {s_pers[3 * i]} }}"));
    }

    private static string FileWith(string quotas) => $$"""
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations: { {{string.Join(", ", Enumerable.Range(0, 10).Select(o => $"o{o}: GET /o{o}"))}} }
        plans:
          pro:
            operations: ["*"]
            quotas: [{{quotas}}]
            migrate: now
        """;

    private static async Task ApplyAsync(TestServer server, string yaml, TestUpstream upstream)
    {
        using var content = new StringContent(
            yaml.Replace("UPSTREAM", upstream.Address, StringComparison.Ordinal), Encoding.UTF8, "application/yaml");
        using var answer = await server.Admin.PostAsync("/v1/config/apply", content);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static int KindsOf(TestServer server) => Enumerable.Range(1, 100).Select(k => server.Node.Table.FindCustomer(k))
        .First(c => c is { Entitlements.Length: > 0 })!.Entitlements[^1].Holder.Pool.Kinds;

    private static async Task<string[]> StandingAsync(TestServer server, string path, string key)
    {
        using var answer = await server.CallAsync(path, key);
        return [.. answer.Headers.GetValues("X-RateLimit-Limit-Month"), .. answer.Headers.GetValues("X-RateLimit-Remaining-Month")];
    }

    private static async Task<int> StatusAsync(TestServer server, string path, string key)
    {
        using var answer = await server.CallAsync(path, key);
        return (int)answer.StatusCode;
    }
}
