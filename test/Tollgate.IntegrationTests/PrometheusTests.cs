using System.Diagnostics;
using System.Text.Json;

namespace Tollgate.IntegrationTests;

/// <summary>The series that operations sees, scraped by a real Prometheus and asked of it.</summary>
public sealed class PrometheusTests
{
    private const string Config = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations: { data: GET /api/v1/data, quote: "GET /v1/quotes/{symbol}" }
        plans:
          metered: { operations: [data, quote], limits: [1000/day] }
        """;

    [Fact]
    public async Task Prometheus_scrapes_requests_and_durations_by_consumer_endpoint_and_method()
    {
        Assert.SkipUnless(Tool.IsInstalled("prometheus"), "No prometheus: apt-get install -y prometheus");
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = await Setup.WriteAsync(folder, Config, upstream);
        using var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        var key = await Setup.SubscribeAsync(server.Admin, "fred", "metered");
        Assert.Equal(37, await Setup.CallAsync(server.Proxy, "/api/v1/data", key, 37));
        Assert.Equal(1, await Setup.CallAsync(server.Proxy, "/v1/quotes/ACME", key, 1));
        Assert.Equal(1, await Setup.CallAsync(server.Proxy, "/v1/quotes/OTHER", key, 1));
        Assert.Equal(0, await Setup.CallAsync(server.Proxy, "/api/v1/data", "unknown", 5));
        using var prometheus = await PrometheusServer.StartAsync(folder, server.Admin);
        Assert.Equal(37, await prometheus.WaitForAsync(
            "api_requests_total{consumer_id=\"fred\",endpoint=\"/api/v1/data\",method=\"GET\"}"));
        Assert.Equal(2, await prometheus.WaitForAsync(
            "api_requests_total{consumer_id=\"fred\",endpoint=\"/v1/quotes/{symbol}\",method=\"GET\"}"));
        Assert.Equal(37, await prometheus.WaitForAsync(
            "api_request_duration_seconds_count{consumer_id=\"fred\",endpoint=\"/api/v1/data\",method=\"GET\"}"));
        Assert.Equal(5, await prometheus.WaitForAsync("tollgate_refusals_total{verdict=\"key_unknown\"}"));
        Assert.Equal(39, await prometheus.WaitForAsync("sum(api_requests_total)"));
    }

    /// <summary>A private Prometheus that scrapes one target every second.</summary>
    private sealed class PrometheusServer : IDisposable
    {
        private readonly Process _process;
        private readonly HttpClient _client;

        private PrometheusServer(Process process, int port) =>
            (_process, _client) = (process, new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") });

        public static async Task<PrometheusServer> StartAsync(TempFolder folder, Uri target)
        {
            var config = folder.Of("prometheus.yml");
            await File.WriteAllTextAsync(config, $"""
                global: {"{"} scrape_interval: 1s, scrape_timeout: 1s {"}"}
                scrape_configs:
                  - job_name: tollgate
                    static_configs: [{"{"} targets: ["{target.Authority}"] {"}"}]
                """);
            var port = Ports.Free();
            var process = Process.Start(new ProcessStartInfo("prometheus",
            [
                "--config.file=" + config, "--storage.tsdb.path=" + folder.Of("tsdb"),
                $"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
            ]) { RedirectStandardError = true })!;
            process.ErrorDataReceived += (_, _) => { };
            process.BeginErrorReadLine();
            return new PrometheusServer(process, port);
        }

        /// <summary>The value of an instant query, as soon as there is one; fails after 30 s.</summary>
        public async Task<double> WaitForAsync(string query)
        {
            for (var i = 0; i < 150; i++)
            {
                try
                {
                    var answer = JsonDocument.Parse(await _client.GetStringAsync(
                        "/api/v1/query?query=" + Uri.EscapeDataString(query))).RootElement;
                    var result = answer.GetProperty("data").GetProperty("result");
                    if (result.GetArrayLength() == 1)
                        return double.Parse(result[0].GetProperty("value")[1].GetString()!);
                }
                catch (HttpRequestException)
                {
                    // it is still starting
                }

                await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System);
            }

            throw new InvalidOperationException($"Prometheus has no answer to {query}.");
        }

        public void Dispose()
        {
            _client.Dispose();
            _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }
    }
}
