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
}
