using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Tollgate.IntegrationTests;

/// <summary>What a dead process leaves: every answered call, and no second window.</summary>
public sealed class KillTests
{
    private const string Rates = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations: { data: GET /api/v1/data }
        plans:
          metered: { operations: [data], limits: [1500/day] }
        """;

    [Fact]
    public async Task After_kill_9_and_a_restart_usage_says_1000_for_1000_answered_calls()
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = await Setup.WriteAsync(folder, Rates, upstream);
        string key;
        using (var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file))
        {
            key = await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            Assert.Equal(1_000, await Setup.CallAsync(server.Proxy, "/api/v1/data", key, 1_000));
            await server.KillAsync();
        }

        using var again = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        Assert.Equal(1_000, await Setup.UsageAsync(again.Admin));
        Assert.Equal(500, await Setup.CallAsync(again.Proxy, "/api/v1/data", key, 600));
        Assert.Equal(1_500, await Setup.UsageAsync(again.Admin));
    }

    [Fact]
    public async Task Killed_under_load_twenty_times_nothing_is_lost_or_doubled_and_the_limit_stays_exact()
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = await Setup.WriteAsync(
            folder, Rates.Replace("1500/day", "1_000_000/year", StringComparison.Ordinal), upstream);
        var random = new Random(7);
        const int inFlight = 16;
        var identities = new HashSet<string>();
        var (answered, counted) = (0L, 0L);
        string? key = null;
        for (var run = 0; run < 20; run++)
        {
            using var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
            key ??= await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            var before = counted;
            counted = await Setup.UsageAsync(server.Admin);
            Assert.InRange(counted - before, answered, answered + inFlight);
            Assert.Equal(await Setup.AdmittedAsync(server.Admin) + 1, 1_000_000 - await Setup.LeftAsync(server.Proxy, key));
            var load = Enumerable.Range(0, inFlight)
                .Select(_ => Setup.CallUntilBrokenAsync(server.Proxy, "/api/v1/data", key)).ToArray();
            await Task.Delay(TimeSpan.FromMilliseconds(50 + random.Next(400)), TimeProvider.System);
            await server.KillAsync();
            var whole = (await Task.WhenAll(load)).SelectMany(ids => ids).ToArray();
            Assert.All(whole, id => Assert.True(identities.Add(id), $"{id} came twice."));
            answered = whole.Length + 1;
        }

        using var last = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        Assert.InRange(await Setup.UsageAsync(last.Admin) - counted, answered, answered + inFlight);
        Assert.True(identities.Count > 100, $"The load was too small to say anything: {identities.Count} calls.");
        Assert.True(await Setup.UsageAsync(last.Admin) <= upstream.Calls, $"The upstream saw {upstream.Calls}.");
    }

    [Fact]
    public async Task SIGTERM_ends_with_exit_code_0_and_loses_nothing()
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = await Setup.WriteAsync(folder, Rates, upstream);
        using (var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file))
        {
            var key = await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            Assert.Equal(50, await Setup.CallAsync(server.Proxy, "/api/v1/data", key, 50));
            Assert.Equal(0, await server.StopAsync());
        }

        using var again = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        Assert.Equal(50, await Setup.UsageAsync(again.Admin));
    }
}

/// <summary>What several tests do with a running server.</summary>
internal static class Setup
{
    public static async Task<string> WriteAsync(TempFolder folder, string yaml, Upstream upstream)
    {
        var file = folder.Of("tollgate.yaml");
        await File.WriteAllTextAsync(file, yaml.Replace("UPSTREAM", upstream.Address, StringComparison.Ordinal));
        return file;
    }

    public static async Task<string> SubscribeAsync(Uri admin, string name, string plan)
    {
        using var client = new HttpClient { BaseAddress = admin };
        await PostAsync("/v1/customers", new { name });
        await PostAsync("/v1/consumers", new { username = name, customer = name });
        await PostAsync("/v1/subscriptions", new { customer = name, plan });
        return (await PostAsync($"/v1/consumers/{name}/keys", new { })).GetProperty("key").GetString()!;

        async Task<JsonElement> PostAsync(string path, object body)
        {
            using var answer = await client.PostAsJsonAsync(path, body);
            var text = await answer.Content.ReadAsStringAsync();
            Assert.True(answer.IsSuccessStatusCode, $"POST {path}: {text}");
            return JsonDocument.Parse(text).RootElement;
        }
    }

    /// <summary>How many of so many calls, eight at a time, were answered 200.</summary>
    public static async Task<int> CallAsync(Uri proxy, string path, string key, int calls)
    {
        using var client = new HttpClient { BaseAddress = proxy };
        client.DefaultRequestHeaders.Add("apikey", key);
        var ok = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, calls), new ParallelOptions { MaxDegreeOfParallelism = 8 },
            async (_, cancel) =>
            {
                using var answer = await client.GetAsync(path, cancel);
                if (answer.StatusCode == HttpStatusCode.OK) Interlocked.Increment(ref ok);
            });
        return ok;
    }

    /// <summary>Calls one after the other until the server is gone; the identities of those that came back whole.
    /// </summary>
    public static async Task<List<string>> CallUntilBrokenAsync(Uri proxy, string path, string key)
    {
        using var client = new HttpClient { BaseAddress = proxy };
        client.DefaultRequestHeaders.Add("apikey", key);
        var whole = new List<string>();
        while (true)
        {
            try
            {
                using var answer = await client.GetAsync(path);
                if (answer.StatusCode != HttpStatusCode.OK) return whole;
                await answer.Content.ReadAsByteArrayAsync();
                whole.Add(answer.Headers.GetValues("X-Request-Id").Single());
            }
            // a connection that is reset in the moment in which it is made is not wrapped by the client
            catch (Exception e) when (e is HttpRequestException or System.Net.Sockets.SocketException)
            {
                return whole;
            }
        }
    }

    /// <summary>One call; what it leaves of the limit of a year.</summary>
    public static async Task<long> LeftAsync(Uri proxy, string key)
    {
        using var client = new HttpClient { BaseAddress = proxy };
        client.DefaultRequestHeaders.Add("apikey", key);
        using var answer = await client.GetAsync("/api/v1/data");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return long.Parse(answer.Headers.GetValues("X-RateLimit-Remaining-Year").Single(), CultureInfo.InvariantCulture);
    }

    /// <summary>Calls that were let in, whatever became of them.</summary>
    public static async Task<long> AdmittedAsync(Uri admin)
    {
        using var client = new HttpClient { BaseAddress = admin };
        var usage = JsonDocument.Parse(await client.GetStringAsync("/v1/usage?meter=calls")).RootElement;
        return usage.GetProperty("data").EnumerateArray().Sum(row => row.GetProperty("admitted").GetInt64());
    }

    /// <summary>Billable calls in the ledger.</summary>
    public static async Task<long> UsageAsync(Uri admin)
    {
        using var client = new HttpClient { BaseAddress = admin };
        var usage = JsonDocument.Parse(await client.GetStringAsync("/v1/usage?meter=calls")).RootElement;
        return usage.GetProperty("data").EnumerateArray()
            .Sum(row => long.Parse(row.GetProperty("value").GetString()!, CultureInfo.InvariantCulture));
    }
}
