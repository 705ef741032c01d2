using Microsoft.Data.Sqlite;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>Each table that the drain writes is damaged once, and <c>tollgate verify</c> names it.</summary>
public sealed class DamageTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          shop: { upstream: UPSTREAM, operations: { data: GET /data } }
        meters:
          gb:    { aggregation: sum, event: stored, value: $.gb, dimensions: { region: $.region } }
          paid:  { aggregation: sum, scale: 2, event: payment, value: $.amount, keep_values: true }
          users: { aggregation: unique_count, event: seen, value: $.user }
          last:  { aggregation: latest, event: stored, value: $.gb }
        plans:
          pro: { operations: ["*"] }
        """;

    // what is done to the database, and what must be said
    private static readonly (string Sql, string Named)[] s_damages =
    [
        ("update rollups set quantity = quantity + 1 where meter = 1", "the rollups say"),
        ("update rollups set admitted = admitted + 1 where meter = 1", "the rollups say"),
        ("update rollups set latest_at = latest_at + 1 where meter > 1", "latest_at"),
        ("update rollups set items = items + 1 where meter > 1", "items"),
        ("update rollups set entitlement = entitlement + 1 where meter > 1", "entitlement"),
        ("update rollups set dimensions = 0 where dimensions = 1", "dimensions 1"),
        ("delete from rollups where meter > 1", "archive and journal say"),
        ("update single_values set quantity = quantity + 1", "single_values say"),
        ("delete from single_values where quantity = 500", "archive and journal say of single_values"),
        ("update single_values set sequence = sequence + 1000", "single_values say"),
        ("update unique_values set value_hash = value_hash + 1", "unique_values say"),
        ("delete from unique_values", "archive and journal say of unique_values"),
        ("update unattributed_usage set quantity = quantity + 1", "unattributed_usage say"),
        ("delete from unattributed_usage", "archive and journal say of unattributed_usage"),
        ("delete from dimension_sets where key = 1", "dimension_sets does not know it"),
        ("delete from event_subjects", "event_subjects does not know it"),
        ("delete from meter_keys where name = 'users'", "meter_keys does not know it"),
        ("delete from IDENTITIES", "the identities of events"),
        ("update IDENTITIES set low = low + 1", "identities of events say"),
        ("delete from outside_stamps where first > (select min(first) from outside_stamps)", "has no stamp"),
        ("update outside_stamps set stamps = x'00'", "stamps of events"),
        ("delete from later_stamps", "archive and journal say of unattributed_usage"),
        ("update later_stamps set consumer = 99", "consumer 99"),
        ("insert into open_admissions (journal, sequence, entitlement, period, consumer, operation, method, admitted_at) " +
            "select id, 3, 1, 0, 1, 1, 1, 1768046400000000 from journals", "open_admissions"),
        ("update archive_files set calls = calls + 1", "the database says something else"),
        ("update archive_files set checksum = 'x'", "its checksum is not the one"),
        ("update journals set position = position + 1000000000000", "archive and journal end before"),
        ("update journals set position = position - 3", "the rollups say"),
    ];

    [Fact(Skip = TestDatabase.NeedsTheFile, SkipType = typeof(TestDatabase), SkipWhen = nameof(TestDatabase.OnPostgres))]
    public async Task Each_table_that_is_damaged_is_named()
    {
        using var folder = new TempFolder();
        await FillAsync(folder);
        var data = Path.Combine(folder.Path, "data");
        var store = Path.Combine(data, "tollgate.db");
        var whole = store + ".whole";
        SqliteConnection.ClearAllPools();
        SqliteCopy.Take(store, whole);
        Assert.Empty(await VerifyAsync(data));
        var silent = new List<string>();
        foreach (var (sql, named) in s_damages)
        {
            SqliteConnection.ClearAllPools();
            foreach (var suffix in new[] { "", "-wal", "-shm" }) System.IO.File.Delete(store + suffix);
            System.IO.File.Copy(whole, store);
            Assert.True(Damage(store, sql) > 0, $"{sql} damages nothing");
            var faults = await VerifyAsync(data);
            if (!faults.Any(f => f.Contains(named, StringComparison.Ordinal)))
                silent.Add($"{sql}: not '{named}' but {string.Join(" | ", faults)}");
        }

        Assert.True(silent.Count == 0, string.Join('\n', silent));
    }

    private static async Task FillAsync(TempFolder folder)
    {
        await using var upstream = await TestUpstream.StartAsync();
        for (var boot = 0; boot < 2; boot++)
        {
            await using var server = await TestServer.StartAsync(File, upstream, folder);
            if (boot == 1)
            {
                await server.Node.Archive.RunAsync(server.Node.Drain.Position);
                return;
            }

            await EventAsync(server, "stored", new { gb = 5, region = "eu" }, "early");
            await EventAsync(server, "stored", new { gb = 7, region = "eu" }, "never", "nobody");
            await server.UsageAsync();
            var key = await server.SubscribeAsync("acme", "pro", new { name = "acme" });
            for (var i = 0; i < 3; i++) (await server.CallAsync("/data", key)).Dispose();
            await EventAsync(server, "stored", new { gb = 2, region = "us" }, "e1");
            await EventAsync(server, "stored", new { gb = 2, region = "us" }, "e1");
            await EventAsync(server, "payment", new { amount = "5" }, "e2");
            await EventAsync(server, "seen", new { user = "u" }, "e3");
            await server.UsageAsync();
        }
    }

    private static async Task<IReadOnlyList<string>> VerifyAsync(string data) =>
        (await new Verification(data, new Clocks(TimeProvider.System, TimeProvider.System), EntitlementStore.OfCustomerAsync)
            .RunAsync()).Faults;

    private static int Damage(string store, string sql)
    {
        using var db = new SqliteConnection($"Data Source={store};Pooling=False");
        db.Open();
        using var command = db.CreateCommand();
        command.CommandText = "pragma foreign_keys = off; select day from event_days";
        var table = EventIdentities.TableOf(Convert.ToInt32(command.ExecuteScalar(), System.Globalization.CultureInfo.InvariantCulture));
        command.CommandText = sql.Replace("IDENTITIES", table, StringComparison.Ordinal);
        return command.ExecuteNonQuery();
    }

    private static Task EventAsync(TestServer server, string type, object data, string id, string subject = "acme") =>
        server.PostAsync("/v1/events", new { specversion = "1.0", id, source = "test", type, subject, data });
}
