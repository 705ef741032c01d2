using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Hosting;

/// <summary>A running server takes its file over when that changes.</summary>
public sealed class ReloadTests
{
    private const string Small = """
        version: 1
        currency: USD
        apis:
          shop: { upstream: UPSTREAM, operations: { data: GET /data } }
        plans:
          free: { operations: [data], limits: [5/hour] }
        """;

    [Fact]
    public async Task A_changed_file_is_in_force_soon_and_a_faulty_one_changes_nothing_and_tells_all_its_faults()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        await using var server = await TestServer.StartAsync(Small, upstream, folder);
        var file = Path.Combine(folder.Path, "tollgate.yaml");
        var text = await File.ReadAllTextAsync(file);
        var key = await server.SubscribeAsync("fred", "free");
        for (var i = 0; i < 3; i++) (await server.CallAsync("/data", key)).Dispose();

        // as editors do: another file in its place
        await File.WriteAllTextAsync(file + ".new", text.Replace("5/hour", "4/hour", StringComparison.Ordinal));
        File.Move(file + ".new", file, overwrite: true);
        await UntilAsync(server, s => s.GetProperty("outcome").GetString() == "applied");
        using (var last = await server.CallAsync("/data", key)) Assert.Equal(HttpStatusCode.OK, last.StatusCode);
        using (var more = await server.CallAsync("/data", key)) Assert.Equal(HttpStatusCode.TooManyRequests, more.StatusCode);

        await File.WriteAllTextAsync(file, text.Replace("5/hour", "5/fortnight", StringComparison.Ordinal)
            .Replace("[data]", "[dato]", StringComparison.Ordinal));
        var state = await UntilAsync(server, s => s.GetProperty("outcome").GetString() == "refused");
        Assert.Equal([(6, 24), (6, 40)], state.GetProperty("errors").EnumerateArray()
            .Select(e => (e.GetProperty("line").GetInt32(), e.GetProperty("column").GetInt32())));
        Assert.Contains("tollgate_config_refused 1", await server.Admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
        Assert.Equal(["4/hour"], (await server.GetAsync("/v1/plans/free")).GetProperty("limits").EnumerateArray()
            .Select(l => l.GetString()!));

        await File.WriteAllTextAsync(file, text);
        await UntilAsync(server, s => s.GetProperty("outcome").GetString() == "applied");
        Assert.Contains("tollgate_config_refused 0", await server.Admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
        using var again = await server.CallAsync("/data", key);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    [Fact]
    public async Task A_file_for_an_application_is_refused_by_a_server_that_runs()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Small, upstream);
        using var content = new StringContent(Small.Replace("UPSTREAM", "application", StringComparison.Ordinal));
        using var answer = await server.Admin.PostAsync("/v1/config/apply", content);
        Assert.Equal(HttpStatusCode.Conflict, answer.StatusCode);
    }

    /// <summary>B16: what changes beside it is nothing to a call.</summary>
    [Fact]
    public async Task Changes_by_file_and_Kong_under_load_make_no_wrong_answer_and_lose_no_count()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(
            Small.Replace("5/hour", "100000/hour", StringComparison.Ordinal), upstream);
        var text = (await server.Admin.GetStringAsync("/v1/config/export"));
        var key = await server.SubscribeAsync("fred", "free");
        await server.PostAsync("/consumers", new { username = "kong" });
        using var stop = new CancellationTokenSource();
        var statuses = new ConcurrentDictionary<int, int>();
        var callers = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                using var answer = await server.CallAsync("/data", key);
                statuses.AddOrUpdate((int)answer.StatusCode, 1, (_, n) => n + 1);
            }
        })).ToArray();

        for (var i = 0; i < 25; i++)
        {
            using var content = new StringContent(i % 2 == 0
                ? text.Replace("data: GET /data", $"data: GET /data, new{i}: GET /new/{i}", StringComparison.Ordinal)
                    .Replace("100000", $"{90000 + i}", StringComparison.Ordinal)
                : text);
            using var applied = await server.Admin.PostAsync("/v1/config/apply", content);
            Assert.True(applied.IsSuccessStatusCode, await applied.Content.ReadAsStringAsync());
            using var kong = await server.Admin.PostAsJsonAsync("/consumers/kong/key-auth", new { key = $"key-of-kong-{i:d6}" });
            Assert.True(kong.IsSuccessStatusCode);
        }

        await stop.CancelAsync();
        await Task.WhenAll(callers);
        Assert.Equal([200], statuses.Keys);
        using var last = await server.CallAsync("/data", key);
        var used = Number(last, "X-RateLimit-Limit-Hour") - Number(last, "X-RateLimit-Remaining-Hour");
        Assert.Equal(statuses[200] + 1, used);
        await server.AdvanceAsync("PT1S");
        Assert.Equal(used, await server.UsageAsync());
    }

    private static int Number(HttpResponseMessage answer, string header) => int.Parse(answer.Headers.GetValues(header).Single());

    private static async Task<JsonElement> UntilAsync(TestServer server, Func<JsonElement, bool> done)
    {
        for (var i = 0; i < 500; i++)
        {
            var last = (await server.GetAsync("/v1/config")).GetProperty("last_reload");
            if (last.ValueKind == JsonValueKind.Object && done(last)) return last;
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }

        throw new InvalidOperationException("The file was not read again within 10 s.");
    }
}
