using System.Diagnostics;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.IntegrationTests;

/// <summary>A private Prometheus that scrapes one target every second.</summary>
internal sealed class PrometheusServer : IDisposable
{
    private readonly Process _process;
    private readonly HttpClient _client;

    private PrometheusServer(Process process, int port) =>
        (_process, _client) = (process, new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") });

    public Uri Address => _client.BaseAddress!;

    /// <param name="folder">What it stores stays there, for another one.</param>
    /// <param name="target">What is scraped.</param>
    /// <param name="writeTo">Where it sends its samples; null: nowhere.</param>
    public static async Task<PrometheusServer> StartAsync(TempFolder folder, Uri target, Uri? writeTo = null)
    {
        var config = folder.Of("prometheus.yml");
        await File.WriteAllTextAsync(config, $"""
            global: {"{"} scrape_interval: 1s, scrape_timeout: 1s {"}"}
            scrape_configs:
              - job_name: app
                static_configs: [{"{"} targets: ["{target.Authority}"] {"}"}]

            """ + (writeTo is null ? "" : $"""
            remote_write:
              - url: {writeTo}
                queue_config: {"{"} batch_send_deadline: 500ms, min_backoff: 50ms, max_backoff: 500ms {"}"}
                write_relabel_configs:
                  - {"{"} source_labels: [__name__], regex: "api_requests_total|process_start_time_seconds", action: keep {"}"}
            """));
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

    /// <summary>Waits until the query has this value; fails after 30 s.</summary>
    public async Task AwaitAsync(string query, double value)
    {
        for (var i = 0; i < 150; i++)
        {
            if (await WaitForAsync(query) == value) return;
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        }

        Assert.Fail($"{query} is {await WaitForAsync(query)}, and not {value}.");
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
