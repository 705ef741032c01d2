using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>A backup of a working server, and what becomes of calls that came after it.</summary>
public sealed class BackupTests
{
    [Fact(Skip = TestDatabase.NeedsTheFile, SkipType = typeof(TestDatabase), SkipWhen = nameof(TestDatabase.OnPostgres))]
    public async Task A_restored_backup_knows_every_call_before_it_and_later_calls_are_counted_once_where_their_journal_is()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        using var empty = new TempFolder();
        var backup = Path.Combine(folder.Path, "backup");
        var data = Path.Combine(folder.Path, "data");
        string key, later;
        await using (var server = await TestServer.StartAsync(Yaml.Tiers, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "free");
            for (var i = 0; i < 4; i++) (await server.CallAsync("/v1/public/data", key)).Dispose();
            var taken = await server.PostAsync("/v1/backups", new { folder = backup });
            Assert.True(taken.GetProperty("files").GetArrayLength() >= 4);
            later = await server.SubscribeAsync("late", "free");
            for (var i = 0; i < 3; i++) (await server.CallAsync("/v1/public/data", i == 0 ? later : key)).Dispose();
        }

        // another machine: what came after the backup is not there
        await Restore.RunAsync(backup, Path.Combine(empty.Path, "data"));
        await using (var other = await TestServer.StartAsync(Yaml.Tiers, upstream, empty))
        {
            Assert.Equal(4, await other.UsageAsync());
            using var answer = await other.CallAsync("/v1/public/data", key);
            Assert.Equal(200, (int)answer.StatusCode);
        }

        // this machine: the journal has it, and the older database takes it up, once
        var done = await Restore.RunAsync(backup, data);
        Assert.True(done.KeptJournal);
        Assert.True(File.Exists(done.OldStore));
        for (var restart = 0; restart < 2; restart++)
        {
            await using var again = await TestServer.StartAsync(Yaml.Tiers, upstream, folder);
            Assert.Equal(7, await again.UsageAsync());
            // new terms do not get the number of those that the backup does not know
            await again.SubscribeAsync($"newcomer-{restart}", "free");
            Assert.Equal(0, await again.UsageAsync($"&customer=newcomer-{restart}"));
            Assert.Equal(0, await again.UsageAsync($"&consumer=newcomer-{restart}"));
        }

        var clocks = new Clocks(TimeProvider.System, TimeProvider.System);
        Assert.Empty((await new Verification(data, clocks, EntitlementStore.OfCustomerAsync).RunAsync()).Faults);
    }

    [Fact(Skip = TestDatabase.NeedsTheFile, SkipType = typeof(TestDatabase), SkipWhen = nameof(TestDatabase.OnPostgres))]
    public async Task Subjects_and_dimensions_that_came_after_the_backup_are_not_taken_for_those_of_others()
    {
        var file = Yaml.Tiers.Replace("plans:", """
            meters:
              gb: { aggregation: sum, event: stored, value: $.gb, dimensions: { region: $.region } }
            plans:
            """, StringComparison.Ordinal);
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        var backup = Path.Combine(folder.Path, "backup");
        await using (var server = await TestServer.StartAsync(file, upstream, folder))
        {
            await server.PostAsync("/v1/backups", new { folder = backup });
            await StoredAsync(server, "gone", 7, "lost");
            await server.UsageAsync();
        }

        await Restore.RunAsync(backup, Path.Combine(folder.Path, "data"));
        await using var again = await TestServer.StartAsync(file, upstream, folder);
        await again.SubscribeAsync("newcomer", "free");
        await StoredAsync(again, "newcomer", 2, "eu");
        var usage = (await again.GetAsync("/v1/usage?meter=gb&customer=newcomer&group_by=region")).GetProperty("data");
        Assert.Equal(("2", "eu", 1), (usage[0].GetProperty("value").GetString(),
            usage[0].GetProperty("dimensions").GetProperty("region").GetString(), usage.GetArrayLength()));
        // what nobody knows any more waits, under a name of its own
        var waits = (await again.GetAsync("/v1/unattributed_usage")).GetProperty("data");
        Assert.StartsWith("restored ", waits[0].GetProperty("subject").GetString(), StringComparison.Ordinal);

        static Task StoredAsync(TestServer server, string subject, int gb, string region) => server.PostAsync("/v1/events",
            new { specversion = "1.0", id = subject, source = "test", type = "stored", subject, data = new { gb, region } });
    }

    [Fact(Skip = TestDatabase.NeedsTheFile, SkipType = typeof(TestDatabase), SkipWhen = nameof(TestDatabase.OnPostgres))]
    public async Task A_backup_that_is_not_whole_or_a_folder_that_is_not_its_own_is_refused()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        var backup = Path.Combine(folder.Path, "backup");
        await using (var server = await TestServer.StartAsync(Yaml.Tiers, upstream, folder))
        {
            await server.PostAsync("/v1/backups", new { folder = backup });
            foreach (var bad in new[] { "relative", backup, Path.Combine(folder.Path, "data", "inside") })
            {
                using var refused = await server.Admin.PostAsync("/v1/backups",
                    System.Net.Http.Json.JsonContent.Create(new { folder = bad }), TestContext.Current.CancellationToken);
                Assert.Equal(400, (int)refused.StatusCode);
            }

            Assert.Contains("Stop it first", (await Assert.ThrowsAsync<StartupException>(
                () => Restore.RunAsync(backup, Path.Combine(folder.Path, "data")))).Message, StringComparison.Ordinal);
        }

        Assert.Contains("backup itself", (await Assert.ThrowsAsync<StartupException>(
            () => Restore.RunAsync(backup, backup))).Message, StringComparison.Ordinal);
        Assert.Contains("not empty", (await Assert.ThrowsAsync<StartupException>(
            () => Restore.RunAsync(backup, folder.Path))).Message, StringComparison.Ordinal);
        await File.AppendAllTextAsync(Path.Combine(backup, "install.key"), "x", TestContext.Current.CancellationToken);
        Assert.Contains("install.key", (await Assert.ThrowsAsync<StartupException>(
            () => Restore.RunAsync(backup, Path.Combine(folder.Path, "new")))).Message, StringComparison.Ordinal);
        File.Delete(Path.Combine(backup, BackupManifest.FileName));
        Assert.Contains("no whole backup", (await Assert.ThrowsAsync<StartupException>(
            () => Restore.RunAsync(backup, Path.Combine(folder.Path, "new")))).Message, StringComparison.Ordinal);
    }

    [Fact(Skip = TestDatabase.NeedsTheFile, SkipType = typeof(TestDatabase), SkipWhen = nameof(TestDatabase.OnPostgres))]
    public async Task A_replay_finds_a_sum_that_was_changed_and_puts_it_right_when_asked()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        for (var i = 0; i < 6; i++) (await server.CallAsync("/v1/public/data", key)).Dispose();
        Assert.Equal(6, await server.UsageAsync());
        Assert.Equal(0, (await server.PostAsync("/v1/replay", new { })).GetProperty("differences").GetArrayLength());
        await server.Node.Database.WriteAsync(db => Dapper.SqlMapper.ExecuteAsync(db, "update rollups set quantity = 99"));
        Assert.Equal(2, (await server.PostAsync("/v1/replay", new { })).GetProperty("differences").GetArrayLength());
        Assert.Equal(99, await server.UsageAsync());
        Assert.True((await server.PostAsync("/v1/replay", new { write = true })).GetProperty("written").GetBoolean());
        Assert.Equal(6, await server.UsageAsync());
    }
}
