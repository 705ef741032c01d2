using System.Net;
using Microsoft.Data.Sqlite;

namespace Tollgate.IntegrationTests;

/// <summary>A disk without room, a database that is away, and a ledger that is proved after it.</summary>
public sealed class LedgerFaultTests
{
    private const string Plan = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations: { data: GET /api/v1/data }
        plans:
          metered: { operations: [data] }
        """;

    [Fact]
    public async Task On_a_full_disk_calls_are_refused_and_when_there_is_room_again_they_go_on_by_themselves()
    {
        using var folder = new TempFolder();
        var data = folder.Of("data");
        Directory.CreateDirectory(data);
        var (mounted, why) = await Tool.RunAsync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", data]);
        Assert.SkipUnless(mounted == 0, $"a small disk cannot be mounted here (as root: mount -t tmpfs): {why}");
        try
        {
            await using var upstream = await Upstream.StartAsync();
            var file = await Setup.WriteAsync(folder, Plan + "\n  lenient: { operations: [data], metering: open }", upstream);
            using var server = await ServerProcess.StartAsync(data, ready: false, "--config", file);
            var key = await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            using var client = new HttpClient { BaseAddress = server.Proxy };
            client.DefaultRequestHeaders.Add("apikey", key);
            using (var refused = await client.GetAsync("/api/v1/data"))
            {
                Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
                Assert.Contains("metering_unavailable", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
                Assert.NotNull(refused.Headers.RetryAfter);
            }

            Assert.Equal(0, upstream.Calls);
            // whose plan says metering: open is let through, and counted apart
            var lenient = await Setup.SubscribeAsync(server.Admin, "wilma", "lenient");
            Assert.Equal(20, await Setup.CallAsync(server.Proxy, "/api/v1/data", lenient, 20));
            var (grown, words) = await Tool.RunAsync("mount", ["-o", "remount,size=256m", data]);
            Assert.True(grown == 0, words);
            // a node with such a plan is ready on a full disk: it looks again by itself
            var first = 0;
            for (var i = 0; i < 300 && (first = await Setup.CallAsync(server.Proxy, "/api/v1/data", key, 1)) == 0; i++)
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            Assert.Equal(1, first);
            Assert.Equal(20, await Setup.CallAsync(server.Proxy, "/api/v1/data", key, 20));
            Assert.Equal(21, await Setup.UsageAsync(server.Admin));
            using var admin = new HttpClient { BaseAddress = server.Admin };
            var unrecorded = System.Text.Json.JsonDocument.Parse(await admin.GetStringAsync("/v1/unrecorded_calls")).RootElement;
            Assert.Equal(20, unrecorded.GetProperty("data").EnumerateArray().Sum(r => r.GetProperty("calls").GetInt64()));
            Assert.Equal(0, await server.StopAsync());
            var (proved, said) = await ServerProcess.RunAsync(folder.Path, "verify", "--data", data);
            Assert.True(proved == 0, said);
        }
        finally
        {
            await Tool.RunAsync("umount", ["-l", data]);
        }
    }

    [Fact]
    public async Task With_the_database_locked_for_a_minute_calls_go_on_and_each_is_counted_once()
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = await Setup.WriteAsync(folder, Plan, upstream);
        using var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        var key = await Setup.SubscribeAsync(server.Admin, "fred", "metered");
        var store = Path.Combine(folder.Of("data"), "tollgate.db");
        await using (var other = new SqliteConnection($"Data Source={store};Pooling=false"))
        {
            await other.OpenAsync();
            await using var command = other.CreateCommand();
            command.CommandText = "begin exclusive";
            await command.ExecuteNonQueryAsync();
            for (var second = 0; second < 61; second++)
            {
                Assert.Equal(10, await Setup.CallAsync(server.Proxy, "/api/v1/data", key, 10));
                await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
            }

            command.CommandText = "rollback";
            await command.ExecuteNonQueryAsync();
        }

        Assert.Equal(610, await Setup.UsageAsync(server.Admin));
        Assert.Equal(0, await server.StopAsync());
        var (proved, said) = await ServerProcess.RunAsync(folder.Path, "verify", "--data", folder.Of("data"));
        Assert.True(proved == 0, said);
    }

    [Fact]
    public async Task A_backup_of_a_server_under_load_is_restored_into_a_ledger_that_is_whole()
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        var file = await Setup.WriteAsync(folder, Plan, upstream);
        int whole;
        using (var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file))
        {
            var key = await Setup.SubscribeAsync(server.Admin, "fred", "metered");
            await Setup.CallAsync(server.Proxy, "/api/v1/data", key, 100);
            var load = Setup.CallUntilBrokenAsync(server.Proxy, "/api/v1/data", key);
            var (taken, said) = await ServerProcess.RunAsync(
                folder.Path, "backup", "--to", folder.Of("backup"), "--admin", server.Admin.GetLeftPart(UriPartial.Authority));
            Assert.True(taken == 0, said);
            await server.KillAsync();
            whole = (await load).Count;
        }

        var (restored, words) = await ServerProcess.RunAsync(
            folder.Path, "restore", "--from", folder.Of("backup"), "--data", folder.Of("other"));
        Assert.True(restored == 0, words);
        using (var other = await ServerProcess.StartAsync(folder.Of("other"), "--config", file))
        {
            Assert.InRange(await Setup.UsageAsync(other.Admin), 100, 100 + whole + 1);
            Assert.Equal(0, await other.StopAsync());
        }

        // the folder that was killed, with the older database: everything, once
        (restored, words) = await ServerProcess.RunAsync(
            folder.Path, "restore", "--from", folder.Of("backup"), "--data", folder.Of("data"));
        Assert.True(restored == 0, words);
        using (var again = await ServerProcess.StartAsync(folder.Of("data"), "--config", file))
        {
            Assert.InRange(await Setup.UsageAsync(again.Admin), 100 + whole, 100 + whole + 1);
            Assert.Equal(0, await again.StopAsync());
        }

        foreach (var data in new[] { "other", "data" })
        {
            var (proved, said) = await ServerProcess.RunAsync(folder.Path, "verify", "--data", folder.Of(data));
            Assert.True(proved == 0, said);
        }
    }
}
