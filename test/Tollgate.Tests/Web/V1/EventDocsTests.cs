using System.Text;
using System.Text.RegularExpressions;
using Tollgate.Tests.Gateway.Cost;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>The commands of docs/meters.md that send events are sent.</summary>
public sealed partial class EventDocsTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          m: { upstream: UPSTREAM, operations: { data: GET /v1/data } }
        meters:
          tokens: { aggregation: sum, event: tokens.used, value: $.value }
          storage: { aggregation: max, event: storage.snapshot, value: $.gigabytes, scale: 3, dimensions: { region: $.region } }
        plans:
          pro: { operations: [data] }
        """;

    [Fact]
    public async Task Every_event_of_the_page_is_taken_and_counts_once()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.PostAsync("/v1/customers", new { name = "acme" });
        await server.PostAsync("/v1/subscriptions", new { customer = "acme", plan = "pro", start_at = "2026-01-01T00:00:00Z" });
        var page = await System.IO.File.ReadAllTextAsync(
            Path.Combine(Repository.Root, "docs", "meters.md"), TestContext.Current.CancellationToken);
        var answers = new List<string>();
        foreach (Match command in Commands().Matches(page)) answers.Add(await SendAsync(server, command.Value));
        Assert.Equal(5, answers.Count);
        Assert.Equal(("430", "12.125"),
            (await CallCostTests.ValueAsync(server, "tokens"), await CallCostTests.ValueAsync(server, "storage")));
        Assert.Contains("\"timestamp\":1768039200", answers[3], StringComparison.Ordinal);
        Assert.Contains("\"object\":\"v2.billing.meter_event\"", answers[4], StringComparison.Ordinal);
        Assert.Contains("\"timestamp\":\"2026-01-10T10:00:00Z\"", answers[4], StringComparison.Ordinal);
    }

    private static async Task<string> SendAsync(TestServer server, string command)
    {
        var path = Address().Match(command).Groups[1].Value;
        var data = Data().Matches(command).Select(m => m.Groups[1].Success ? m.Groups[1].Value : m.Groups[2].Value).ToArray();
        using HttpContent content = ContentType().Match(command) is { Success: true } type
            ? new StringContent(data[0], Encoding.UTF8, type.Groups[1].Value)
            : new FormUrlEncodedContent(data.Select(d => KeyValuePair.Create(d.Split('=')[0], d.Split('=')[1])));
        using var answer = await server.Admin.PostAsync(path, content, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, $"{command}: {(int)answer.StatusCode} {text}");
        return text;
    }

    [GeneratedRegex(@"^curl -X POST (?:.|\n)*?(?=^curl|^```)", RegexOptions.Multiline)]
    private static partial Regex Commands();

    [GeneratedRegex("http://127.0.0.1:8001(\\S+)")]
    private static partial Regex Address();

    [GeneratedRegex(@"-d (?:'([^']*)'|(\S+))")]
    private static partial Regex Data();

    [GeneratedRegex("content-type: ([^']+)'")]
    private static partial Regex ContentType();
}
