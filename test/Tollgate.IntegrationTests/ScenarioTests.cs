using System.Text.Json;

namespace Tollgate.IntegrationTests;

/// <summary>The set-up as somebody who knows Kong types it: <c>samples/kong-quickstart</c>, as it stands.</summary>
public sealed class ScenarioTests
{
    private static readonly string s_script =
        Path.Combine(Repository.Root, "samples", "kong-quickstart", "kong-quickstart.sh");

    [Fact]
    public async Task The_Kong_quickstart_runs_survives_a_restart_and_becomes_billable_by_adding_a_price()
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        using (var server = await ServerProcess.StartAsync(folder.Of("data")))
        {
            var (code, output) = await Tool.RunAsync("bash", [s_script], Environment(server, upstream));
            Assert.True(code == 0, output);
            Assert.Contains("the scenario is set up", output);
            await server.KillAsync();
        }

        using var again = await ServerProcess.StartAsync(folder.Of("data"));
        var part6 = folder.Of("part6.sh");
        await File.WriteAllTextAsync(part6, Part6());
        var (checkedCode, checkedOutput) = await Tool.RunAsync("bash", [part6], Environment(again, upstream));
        Assert.True(checkedCode == 0, checkedOutput);
        Assert.Equal(7, checkedOutput.Split("ok  ").Length - 1);
        await BillAsync(again);
    }

    /// <summary>The settings and functions at the top of the script, and its last part.</summary>
    private static string Part6()
    {
        var lines = File.ReadAllLines(s_script);
        return string.Join('\n', lines.TakeWhile(l => !l.StartsWith("# 1.", StringComparison.Ordinal))
            .Concat(lines.SkipWhile(l => !l.StartsWith("# 6.", StringComparison.Ordinal))));
    }

    private static async Task BillAsync(ServerProcess server)
    {
        using var client = new HttpClient { BaseAddress = server.Admin };
        var priced = await client.PostAsync("/v1/plans/pro/versions", new StringContent("""
            {"prices": {"analytics": {"model": "per_unit", "meter": "calls", "unit_amount": "0.05",
                                      "where": {"operation": "/v1/premium/analytics"}}}, "migrate": "now"}
            """));
        Assert.True(priced.IsSuccessStatusCode, await priced.Content.ReadAsStringAsync());
        Assert.Equal(3, await Setup.CallAsync(server.Proxy, "/v1/premium/analytics", "pro_user_1-key", 3));
        var preview = JsonDocument.Parse(
            await client.GetStringAsync("/v1/invoices/preview?customer=pro_user_1")).RootElement;
        Assert.Equal("0.15", preview.GetProperty("data")[0].GetProperty("total").GetString());
    }

    private static Dictionary<string, string> Environment(ServerProcess server, Upstream upstream) => new()
    {
        ["ADMIN"] = server.Admin.GetLeftPart(UriPartial.Authority),
        ["PROXY"] = server.Proxy.GetLeftPart(UriPartial.Authority),
        ["UPSTREAM"] = upstream.Address,
    };
}
