using System.Text;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Config;

/// <summary>The file and Kong's calls write the same store, and neither breaks the other.</summary>
public sealed class TwoSidesTests
{
    [Fact]
    public async Task An_operation_of_the_file_stays_the_files_when_a_Kong_gate_lists_it_too()
    {
        await using var file = await TestUpstream.StartAsync();
        await using var kong = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(Yaml.Tiers, file, folder))
        {
            key = await server.SubscribeAsync("fred", "free");
            await FormAsync(server, "/services", $"name=other&url={kong.Address}");
            await FormAsync(server, "/services/other/routes", "paths[]=/v1&strip_path=false");
            await FormAsync(server, "/services/other/plugins", "name=key-auth");
            await FormAsync(server, "/consumer_groups", "name=gold");
            await FormAsync(server, "/consumers/fred/consumer_groups", "group=gold");
            await FormAsync(server, "/services/other/plugins",
                "name=endpoint_gating&config.endpoint_map.gold[]=GET /v1/public/data&config.endpoint_map.gold[]=/v1/gold");
            await CallBothAsync(server, key);
        }

        await using var again = await TestServer.StartAsync(Yaml.Tiers, file, folder);
        await CallBothAsync(again, key);
        Assert.Equal(["/v1/public/data", "/v1/public/data"], file.Seen.Select(s => s.Target));
        Assert.Equal(["/v1/gold", "/v1/gold"], kong.Seen.Select(s => s.Target));
    }

    private static async Task CallBothAsync(TestServer server, string key)
    {
        foreach (var path in (string[])["/v1/public/data", "/v1/gold"])
        {
            using var answer = await server.CallAsync(path, key);
            Assert.Equal(200, (int)answer.StatusCode);
        }
    }

    private static async Task FormAsync(TestServer server, string path, string form)
    {
        using var content = new StringContent(form, Encoding.ASCII, "application/x-www-form-urlencoded");
        using var answer = await server.Admin.PostAsync(path, content);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }
}
