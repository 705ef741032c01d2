using Microsoft.Data.Sqlite;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Metering;

/// <summary>From the journal into the rollups, exactly once.</summary>
public sealed class DrainTests
{
    [Fact(Skip = TestDatabase.NeedsTheFile, SkipType = typeof(TestDatabase), SkipWhen = nameof(TestDatabase.OnPostgres))]
    public async Task An_admission_whose_process_died_counts_against_limits_and_bills_nothing()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        using var left = new TempFolder();
        string key;
        await using (var first = await TestServer.StartAsync(Yaml.Tiers, upstream, folder))
        {
            key = await first.SubscribeAsync("fred", "free");
            (await first.CallAsync("/v1/public/data", key)).Dispose();
            var consumer = (await first.Node.Consumers.FindAsync("fred"))!;
            var entitlement = first.Node.Table.FindConsumer((int)consumer.Key)!.Entitlements[0];
            Assert.True(first.Node.Journal.TryReserve());
            var admission = new Admission
            {
                AdmittedAt = Micros.Now(first.Node.Clocks.Business),
                Entitlement = entitlement.Key,
                Period = 0,
                Consumer = (int)consumer.Key,
                Operation = 1,
                Credential = 0,
                Method = 1,
            };
            var admitted = first.Node.Journal.AppendAdmitted(admission);
            // what a killed process leaves behind: its files as they are now
            CopyFolder(Path.Combine(folder.Path, "data"), Path.Combine(left.Path, "data"));
            first.Node.Journal.AppendSettled(new Settlement
            {
                AdmissionSequence = admitted.Sequence,
                Admission = admission,
                Status = 499,
                Billable = false,
                Quantity = 0,
                LatencyMicros = 0,
            });
        }

        for (var restart = 0; restart < 2; restart++)
        {
            await using var next = await TestServer.StartAsync(Yaml.Tiers, upstream, left);
            Assert.Equal(1 + restart, await next.UsageAsync());
            var row = (await next.GetAsync("/v1/usage")).GetProperty("data")[0];
            Assert.Equal(2 + restart, row.GetProperty("admitted").GetInt64());
            using var answer = await next.CallAsync("/v1/public/data", key);
            Assert.Equal($"{97 - restart}", answer.Headers.GetValues("X-RateLimit-Remaining-Minute").Single());
        }
    }

    [Fact(Skip = TestDatabase.NeedsTheFile, SkipType = typeof(TestDatabase), SkipWhen = nameof(TestDatabase.OnPostgres))]
    public async Task With_the_database_locked_calls_go_on_and_all_of_them_are_counted_afterwards()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        await using (var other = new SqliteConnection($"Data Source={server.Node.Database.Path}"))
        {
            await other.OpenAsync(TestContext.Current.CancellationToken);
            await using var exclusive = other.CreateCommand();
            exclusive.CommandText = "begin immediate";
            await exclusive.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            for (var i = 0; i < 20; i++)
            {
                using var answer = await server.CallAsync("/v1/public/data", key);
                Assert.Equal(200, (int)answer.StatusCode);
            }

            exclusive.CommandText = "rollback";
            await exclusive.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal(20, await server.UsageAsync());
    }

    [Fact]
    public async Task A_failed_transaction_is_drained_again_and_nothing_is_counted_twice()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        await server.Node.Database.WriteAsync(db => TestDatabase.BreakAsync(db, "rollups"));
        for (var i = 0; i < 10; i++) (await server.CallAsync("/v1/public/data", key)).Dispose();
        await Assert.ThrowsAnyAsync<Exception>(server.Node.Drain.CatchUpAsync);
        await Assert.ThrowsAnyAsync<Exception>(server.Node.Drain.CatchUpAsync);
        await server.Node.Database.WriteAsync(db => TestDatabase.MendAsync(db, "rollups"));
        Assert.Equal(10, await server.UsageAsync());
    }

    [Fact]
    public async Task The_request_id_of_an_answer_is_the_identity_of_its_record()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        using var answer = await server.CallAsync("/v1/public/data", key);
        Assert.True(RecordId.TryParse(answer.Headers.GetValues("X-Request-Id").Single(), out var id));
        Assert.Equal((server.Node.Journal.Id, server.Node.Journal.Boot), (id.Journal, id.Boot));
        var records = new JournalRecord[8];
        var position = id.Sequence;
        Assert.Equal(2, server.Node.Journal.Read(ref position, records));
        Assert.Equal((RecordKind.Admitted, id.Sequence), (records[0].Kind, records[0].Sequence));
        Assert.Equal((RecordKind.Settled, id.Sequence), (records[1].Kind, records[1].AdmissionSequence));
        Assert.Equal((200, true), (records[1].Status, records[1].Billable));
    }

    private static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from).Where(f => !f.EndsWith(".lock", StringComparison.Ordinal)))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        foreach (var folder in Directory.GetDirectories(from))
            CopyFolder(folder, Path.Combine(to, Path.GetFileName(folder)));
    }
}
