using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.IntegrationTests;

/// <summary>The sample application, built as it stands and run as a process, from the first key to the usage.</summary>
public sealed class SampleTests
{
    [Fact]
    public async Task The_sample_application_sells_its_own_endpoints()
    {
        using var folder = new TempFolder();
        var (web, admin) = (Ports.Free(), Ports.Free());
        var dll = Directory.GetFiles(Path.Combine(RepositoryRoot(), "samples/dotnet-app/bin/Release"), "Quotes.dll",
            SearchOption.AllDirectories).First();
        var start = new ProcessStartInfo("dotnet", [dll, "--urls", $"http://127.0.0.1:{web}", "--tollgate:admin",
            $"http://127.0.0.1:{admin}", "--tollgate:data", Path.Combine(folder.Path, "data")])
        {
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        try
        {
            using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{web}") };
            using var provider = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{admin}") };
            await ReadyAsync(client, process);
            await provider.PostAsJsonAsync("/v1/customers", new { name = "acme" });
            await provider.PostAsJsonAsync("/v1/consumers", new { username = "acme", customer = "acme" });
            await provider.PostAsJsonAsync("/v1/subscriptions", new { customer = "acme", plan = "pro" });
            await provider.PostAsJsonAsync("/v1/consumers/acme/keys", new { key = "the-key-of-acme" });
            client.DefaultRequestHeaders.Add("apikey", "the-key-of-acme");

            var quote = await client.GetFromJsonAsync<JsonElement>("/v1/quotes/ABC");
            using var history = await client.GetAsync(new Uri("/v1/quotes/ABC/history", UriKind.Relative));
            using var closed = await client.GetAsync(new Uri("/v1/quotes/CLOSED", UriKind.Relative));
            var usage = await provider.GetFromJsonAsync<JsonElement>("/v1/usage");

            Assert.Equal("acme", quote.GetProperty("asked_by").GetString());
            Assert.Equal("pro", history.Headers.GetValues("X-Plan").Single());
            Assert.Equal(HttpStatusCode.NotFound, closed.StatusCode);
            Assert.Equal("2", usage.GetProperty("data")[0].GetProperty("value").ToString());
        }
        finally
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
        }
    }

    private static async Task ReadyAsync(HttpClient client, Process process)
    {
        for (var i = 0; i < 600; i++)
        {
            Assert.False(process.HasExited, "the sample ended");
            try
            {
                if (await client.GetStringAsync(new Uri("/health", UriKind.Relative)) == "ok") return;
            }
            catch (HttpRequestException)
            {
                // not yet
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }

        Assert.Fail("the sample was not ready within 30 s");
    }

    private static string RepositoryRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Tollgate.slnx"))) return folder.FullName;
        throw new InvalidOperationException("No Tollgate.slnx above the tests.");
    }
}
