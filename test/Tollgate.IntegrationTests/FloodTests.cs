using System.Buffers.Text;
using System.Globalization;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Tollgate.IntegrationTests;

/// <summary>Whoever sends what nobody knows, each time something else, fills no memory and no metric.</summary>
public sealed partial class FloodTests
{
    private const int Callers = 8, Together = 100, WarmUp = 5_000, Flood = 40_000;

    private const string File = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations: { data: GET /v1/data }
            jwt: { issuer: "https://a", audience: b, secret_env: PATH, algorithms: [HS256] }
        plans:
          pro: { operations: ["*"] }
        """;

    [Fact]
    public async Task Keys_tokens_paths_hosts_and_methods_that_nobody_knows_are_refused_and_kept_nowhere()
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = folder.Of("tollgate.yaml");
        await System.IO.File.WriteAllTextAsync(file, File.Replace("UPSTREAM", upstream.Address, StringComparison.Ordinal));
        using var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        using var admin = new HttpClient { BaseAddress = server.Admin };
        await PostAsync("/v1/customers", new { name = "fred" });
        await PostAsync("/v1/consumers", new { username = "fred", customer = "fred" });
        await PostAsync("/v1/subscriptions", new { customer = "fred", plan = "pro" });
        var key = (await PostAsync("/v1/consumers/fred/keys", new { })).GetProperty("key").GetString()!;

        await FloodAsync(0, WarmUp);
        var (before, metrics) = (server.Peak, await MetricsAsync());
        await FloodAsync(WarmUp, WarmUp + Flood);
        var grown = server.Peak - before;
        Assert.True(grown < 24 << 10, $"The peak grew by {grown} KB from {before} KB.");
        Assert.Equal(metrics, await MetricsAsync());
        var usage = await admin.GetFromJsonAsync<JsonElement>("/v1/usage");
        Assert.Equal($"{2 * Callers}", usage.GetProperty("data")[0].GetProperty("value").GetString());

        // each of the callers calls once as somebody who is known, behind all the others
        Task FloodAsync(int from, int to) => Task.WhenAll(Enumerable.Range(0, Callers).Select(c => Task.Run(() => CallAsync(c, from, to))));

        async Task CallAsync(int caller, int from, int to)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(server.Proxy.Host, server.Proxy.Port);
            using var answers = new StreamReader(client.GetStream(), Encoding.Latin1);
            var due = new Queue<string>();
            var text = new StringBuilder();
            for (var i = from; i < to; i++)
            {
                due.Enqueue(Append(text, $"{caller}-{i}"));
                if (due.Count == Together) await SendAsync();
            }

            text.Append(CultureInfo.InvariantCulture, $"GET /v1/data HTTP/1.1\r\nHost: a\r\napikey: {key}\r\n\r\n");
            due.Enqueue("200");
            await SendAsync();

            async Task SendAsync()
            {
                await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(text.ToString()));
                text.Clear();
                while (due.Count > 0)
                {
                    var line = await answers.ReadLineAsync();
                    Assert.NotNull(line);
                    // a body has no end of line
                    if (StatusLine().Match(line) is { Success: true } status) Assert.Equal(due.Dequeue(), status.Groups[1].Value);
                }
            }
        }

        async Task<JsonElement> PostAsync(string path, object body)
        {
            using var answer = await admin.PostAsJsonAsync(path, body);
            var said = await answer.Content.ReadAsStringAsync();
            Assert.True(answer.IsSuccessStatusCode, said);
            return JsonDocument.Parse(said).RootElement;
        }

        async Task<string[]> MetricsAsync() => [.. (await admin.GetStringAsync("/metrics")).Split('\n')
            .Where(l => l.StartsWith("tollgate_refusals", StringComparison.Ordinal) || l.StartsWith("api_", StringComparison.Ordinal))
            .Select(l => l.Split(' ')[0])];
    }

    /// <returns>The status that is due.</returns>
    private static string Append(StringBuilder to, string odd)
    {
        switch (odd[^1] % 4)
        {
            case 0:
                to.Append(CultureInfo.InvariantCulture, $"GET /v1/data?{odd} HTTP/1.1\r\nHost: {odd}.test\r\napikey: tg_{odd}\r\n\r\n");
                return "401";
            case 1:
                var header = Base64Url.EncodeToString(Encoding.ASCII.GetBytes($$"""{"alg":"HS256","kid":"{{odd}}"}"""));
                var claims = Base64Url.EncodeToString(Encoding.ASCII.GetBytes($$"""{"iss":"https://a","aud":"b","sub":"{{odd}}"}"""));
                to.Append(CultureInfo.InvariantCulture,
                    $"GET /v1/data HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {header}.{claims}.{odd}\r\n\r\n");
                return "401";
            case 2:
                to.Append(CultureInfo.InvariantCulture, $"GET /v1/{odd} HTTP/1.1\r\nHost: {odd}\r\napikey: {odd}\r\n\r\n");
                return "404";
            default:
                to.Append(CultureInfo.InvariantCulture, $"M{odd} /v1/data HTTP/1.1\r\nHost: a\r\napikey: {odd}\r\n\r\n");
                return "404";
        }
    }

    [GeneratedRegex(@"HTTP/1\.1 (\d{3}) ")]
    private static partial Regex StatusLine();
}
