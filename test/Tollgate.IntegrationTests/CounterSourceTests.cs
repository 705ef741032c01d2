using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

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

    private static IEnumerable<string> Rows(JsonElement usage) => usage.GetProperty("data").EnumerateArray()
        .Select(r => $"{r.GetProperty("operation").GetString()} {r.GetProperty("value")}");

    private static Task SeenAsync(PrometheusServer prometheus, double value) =>
        prometheus.AwaitAsync("sum(api_requests_total)", value);

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

    /// <summary>An instrumented application.</summary>
    private sealed class CountingApp : IAsyncDisposable
    {
        private readonly ConcurrentDictionary<(string Consumer, string Endpoint), long> _counts = new();
        private readonly WebApplication _app;

        private CountingApp(WebApplication app) => _app = app;

        public bool IsSilent { get; set; }

        public string Address => _app.Services.GetRequiredService<IServer>()
            .Features.Get<IServerAddressesFeature>()!.Addresses.First();

        public static async Task<CountingApp> StartAsync()
        {
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
            var web = builder.Build();
            var app = new CountingApp(web);
            web.Run(app.AnswerAsync);
            await web.StartAsync();
            return app;
        }

        public long Count(string consumer, string endpoint, long calls)
        {
            _counts.AddOrUpdate((consumer, endpoint), calls, (_, n) => n + calls);
            return calls;
        }

        public void Restart() => _counts.Clear();

        public ValueTask DisposeAsync() => _app.DisposeAsync();

        private Task AnswerAsync(HttpContext context)
        {
            if (IsSilent)
            {
                context.Response.StatusCode = 503;
                return Task.CompletedTask;
            }

            context.Response.ContentType = "text/plain; version=0.0.4";
            return context.Response.WriteAsync("# TYPE api_requests_total counter\n" + string.Concat(_counts.Select(c =>
                $"api_requests_total{{consumer_id=\"{c.Key.Consumer}\",endpoint=\"{c.Key.Endpoint}\",method=\"GET\"}} {c.Value}\n")));
        }
    }
}
