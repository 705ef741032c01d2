using System.Net.Http.Json;
using System.Text.Json;

namespace Tollgate.IntegrationTests;

/// <summary>An application that only has counters, scraped by a real Prometheus, billed from its raw samples.</summary>
public sealed class CounterSourceTests
{
    private const string Config = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations: { data: GET /api/v1/data, quote: "GET /v1/quotes/{symbol}" }
        plans:
          metered:
            operations: [data, quote]
            prices:
              data: { model: per_unit, meter: calls, where: { operation: data }, unit_amount: "0.01" }
        sources:
          app:
            prometheus: PROMETHEUS
            series: api_requests_total{job="app"}
            subject: consumer_id
            endpoint: endpoint
            method: method
            every_seconds: 1
        """;

    [Fact]
    public async Task Restarts_a_missed_scrape_and_kill_9_lose_and_double_nothing()
    {
        Assert.SkipUnless(Tool.IsInstalled("prometheus"), "No prometheus: apt-get install -y prometheus");
        using var folder = new TempFolder();
        await using var app = await CountingApp.StartAsync();
        await using var upstream = await Upstream.StartAsync();
        app.Count("fred", "/api/v1/data", 1_000); // before anybody looked: not ours
        using var prometheus = await PrometheusServer.StartAsync(folder, new Uri(app.Address));
        await SeenAsync(prometheus, 1_000);
        var file = await Setup.WriteAsync(folder,
            Config.Replace("PROMETHEUS", prometheus.Address.ToString(), StringComparison.Ordinal), upstream);
        var truth = 0L;
        using (var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file))
        {
            await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            await Setup.SubscribeAsync(server.Admin, "rosa", "metered");
            await AwaitAsync(server.Admin, s => s.GetProperty("known_series").GetInt32() == 1);
            truth += app.Count("fred", "/api/v1/data", 40);
            truth += app.Count("rosa", "/v1/quotes/:symbol", 3); // her first calls: a series that is new counts from zero
            await SeenAsync(prometheus, 1_043);
            await UsageAsync(server.Admin, truth);
            truth += app.Count("rosa", "/v1/quotes/:symbol", 5);
            await server.KillAsync();
        }

        // nobody reads for a while, and a scrape is missed
        app.IsSilent = true;
        truth += app.Count("fred", "/api/v1/data", 7);
        await prometheus.AwaitAsync("min_over_time(up[3s])", 0);
        app.IsSilent = false;
        await SeenAsync(prometheus, 1_055);
        using var again = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        await UsageAsync(again.Admin, truth);

        // the application restarts right after a scrape
        app.Restart();
        truth += app.Count("fred", "/api/v1/data", 11);
        await SeenAsync(prometheus, 11);
        await UsageAsync(again.Admin, truth);
        await AwaitAsync(again.Admin, s => s.GetProperty("since_start").GetProperty("resets").GetInt64() >= 1);
        using var client = new HttpClient { BaseAddress = again.Admin };
        var usage = await JsonAsync(client, "/v1/usage?group_by=operation");
        Assert.Contains("data 58", Rows(usage));
        Assert.Contains("quote 8", Rows(usage));
        await again.StopAsync();
        var (exitCode, output) = await ServerProcess.RunAsync(folder.Of("data"), "verify", "--data", folder.Of("data"));
        Assert.True(exitCode == 0, output);
    }

    [Fact]
    public async Task What_Prometheus_sends_counts_once_though_either_side_is_killed()
    {
        Assert.SkipUnless(Tool.IsInstalled("prometheus"), "No prometheus: apt-get install -y prometheus");
        using var folder = new TempFolder();
        await using var app = await CountingApp.StartAsync();
        await using var upstream = await Upstream.StartAsync();
        app.Start = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() - 100;
        app.Count("fred", "/api/v1/data", 1_000); // before anybody looked: not ours
        var file = await Setup.WriteAsync(folder, Config.Replace("prometheus: PROMETHEUS", "remote_write: true", StringComparison.Ordinal)
            .Replace("every_seconds: 1", "most_series: 100", StringComparison.Ordinal), upstream);
        var truth = 0L;
        var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        try
        {
            await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            await Setup.SubscribeAsync(server.Admin, "rosa", "metered");
            var to = new Uri(server.Admin, "/v1/sources/app/write");
            using (var prometheus = await PrometheusServer.StartAsync(folder, new Uri(app.Address), to))
            {
                await AwaitAsync(server.Admin, s => s.GetProperty("known_series").GetInt32() == 1);
                truth += app.Count("fred", "/api/v1/data", 40);
                truth += app.Count("rosa", "/v1/quotes/:symbol", 3);
                await UsageAsync(server.Admin, truth);

                // killed while samples come; Prometheus sends again what was not answered
                truth += app.Count("rosa", "/v1/quotes/:symbol", 5);
                await server.KillAsync();
                server.Dispose();
                truth += app.Count("fred", "/api/v1/data", 7);
                await SeenAsync(prometheus, 1_055);
                app.Restart();
                truth += app.Count("fred", "/api/v1/data", 2_000); // beyond its old value at once, and yet a restart
                await SeenAsync(prometheus, 2_000);
                server = await ServerProcess.StartAgainAsync(server, folder.Of("data"), "--config", file);
                await UsageAsync(server.Admin, truth);
            }

            // Prometheus is killed, and what it had not sent shows in the next samples
            truth += app.Count("fred", "/api/v1/data", 9);
            using (await PrometheusServer.StartAsync(folder, new Uri(app.Address), to)) await UsageAsync(server.Admin, truth);
            await AwaitAsync(server.Admin, s => s.GetProperty("trouble").ValueKind == JsonValueKind.Null
                && s.GetProperty("parked").GetArrayLength() == 0);
            await server.StopAsync();
            var (exitCode, output) = await ServerProcess.RunAsync(folder.Of("data"), "verify", "--data", folder.Of("data"));
            Assert.True(exitCode == 0, output);
        }
        finally
        {
            server.Dispose();
        }
    }

    [Fact]
    public async Task Two_processes_behind_one_target_are_parked_until_they_are_released()
    {
        Assert.SkipUnless(Tool.IsInstalled("prometheus"), "No prometheus: apt-get install -y prometheus");
        using var folder = new TempFolder();
        await using var app = await CountingApp.StartAsync();
        await using var upstream = await Upstream.StartAsync();
        app.Count("fred", "/api/v1/data", 900);
        app.CountAtTwin("fred", "/api/v1/data", 400);
        using var prometheus = await PrometheusServer.StartAsync(folder, new Uri(app.Address));
        await SeenAsync(prometheus, 900);
        var file = await Setup.WriteAsync(folder,
            Config.Replace("PROMETHEUS", prometheus.Address.ToString(), StringComparison.Ordinal), upstream);
        using var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        await Setup.SubscribeAsync(server.Admin, "fred", "metered");
        await AwaitAsync(server.Admin, s => s.GetProperty("known_series").GetInt32() == 1);
        app.HasTwin = true;
        await AwaitAsync(server.Admin, s => s.GetProperty("parked").GetArrayLength() == 1);
        app.HasTwin = false;
        await SaidAsync(server, "two processes answer behind one target");
        await UsageAsync(server.Admin, 0);
        using var client = new HttpClient { BaseAddress = server.Admin };
        Assert.Contains("tollgate_source_parked_targets{source=\"app\"} 1", await client.GetStringAsync("/metrics"),
            StringComparison.Ordinal);
        using var released = await client.PostAsJsonAsync("/v1/sources/app/release", new { });
        Assert.Contains("two processes", await released.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        // counting begins at the next sample
        var series = (await JsonAsync(client, "/v1/sources/app/series")).GetProperty("data")[0].GetProperty("last_at").GetString();
        Assert.Null(series);
        await AwaitAsync(server.Admin, s => s.GetProperty("since_start").GetProperty("baselines").GetInt64() == 2);
        app.Count("fred", "/api/v1/data", 6);
        await UsageAsync(server.Admin, 6);
    }

    private static IEnumerable<string> Rows(JsonElement usage) => usage.GetProperty("data").EnumerateArray()
        .Select(r => $"{r.GetProperty("operation").GetString()} {r.GetProperty("value")}");

    private static Task SeenAsync(PrometheusServer prometheus, double value) =>
        prometheus.AwaitAsync("sum(api_requests_total)", value);

    // what the server logs comes through a pipe, and may come after what it answers
    private static async Task SaidAsync(ServerProcess server, string words)
    {
        for (var i = 0; i < 100 && !server.Output.ToString().Contains(words, StringComparison.Ordinal); i++)
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        Assert.Contains(words, server.Output.ToString(), StringComparison.Ordinal);
    }

    private static async Task UsageAsync(Uri admin, long truth)
    {
        using var client = new HttpClient { BaseAddress = admin };
        var said = "";
        for (var i = 0; i < 100; i++)
        {
            var usage = await JsonAsync(client, "/v1/usage?group_by=consumer");
            var sum = usage.GetProperty("data").EnumerateArray().Sum(r => long.Parse(r.GetProperty("value").ToString()));
            Assert.InRange(sum, 0, truth);
            if (sum == truth) return;
            said = $"{usage} {await JsonAsync(client, "/v1/sources")} {await JsonAsync(client, "/v1/sources/app/series")}";
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        }

        Assert.Fail($"Not {truth}: {said}");
    }

    private static async Task AwaitAsync(Uri admin, Func<JsonElement, bool> so)
    {
        using var client = new HttpClient { BaseAddress = admin };
        var source = default(JsonElement);
        for (var i = 0; i < 100; i++)
        {
            source = await JsonAsync(client, "/v1/sources/app");
            if (so(source)) return;
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        }

        Assert.Fail($"Not so: {source}");
    }

    private static async Task<JsonElement> JsonAsync(HttpClient client, string path) =>
        JsonDocument.Parse(await client.GetStringAsync(path)).RootElement;
}
