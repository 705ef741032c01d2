using System.CommandLine;
using System.Diagnostics;
using Dapper;
using Tollgate.Config;
using Tollgate.Gateway;
using Tollgate.Storage;

namespace Tollgate.Bench;

/// <summary>
/// What very many keys cost: the time to load them at a start, the memory that they hold, and one key that is revoked
/// among them. Each key has a consumer, a customer and a subscription of its own, which is the dearest case.
/// </summary>
internal static class KeysBench
{
    private const int Changes = 200;

    public static Command Create()
    {
        var keys = new Option<int>("--keys") { Description = "Keys", DefaultValueFactory = _ => 1_000_000 };
        var perConsumer = new Option<int>("--keys-per-consumer") { Description = "Keys of one consumer", DefaultValueFactory = _ => 1 };
        var command = new Command("keys", "Loads many keys as a start does, and changes single ones") { keys, perConsumer };
        command.SetAction((parsed, _) => RunAsync(parsed.GetValue(keys), parsed.GetValue(perConsumer)));
        return command;
    }

    private static async Task<int> RunAsync(int keys, int perConsumer)
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-bench-").FullName;
        try
        {
            var clock = TimeProvider.System;
            await using var database = Database.Open(Path.Combine(folder, "tollgate.db"));
            using var publisher = new Publisher(database, new ChangeFeed());
            var hashing = ApiKeys.Open(Path.Combine(folder, "install.key"));
            var plan = await database.WriteAsync(async db => (await new ConfigStore(database, clock).AddAsync(
                db, ConfigKind.Plan, "pro", ManagedBy.Api, new PlanDocument(null, ["*"], ["100/minute"]).Write()))!);
            await ManyKeys.WriteAsync(database, hashing, keys, perConsumer, Publication.PlanIdOf(plan), clock);
            await publisher.RepublishAsync();
            var before = GC.GetTotalMemory(forceFullCollection: true);

            var busy = Process.GetCurrentProcess().TotalProcessorTime;
            var began = Stopwatch.GetTimestamp();
            using var table = new GateTable(database, publisher, clock, () => Task.CompletedTask);
            await table.LoadAsync();
            var loaded = Stopwatch.GetElapsedTime(began);
            busy = Process.GetCurrentProcess().TotalProcessorTime - busy;
            var peak = Process.GetCurrentProcess().PeakWorkingSet64;
            var held = GC.GetTotalMemory(forceFullCollection: true) - before;
            var hash = hashing.Hash(ManyKeys.NameOf(7))!;
            if (table.Find(hash)?.Consumer.Entitlements.Length != 1) throw new BenchException("The key is not in the table.");
            Say($"{keys} keys, {keys / perConsumer} consumers: loaded in {loaded.TotalSeconds:F2} s ({busy.TotalSeconds:F2} s of CPU), " +
                $"{held / 1e6:F0} MB held ({(double)held / keys:F0} bytes a key), peak resident {peak / 1e6:F0} MB");

            var (all, entry) = await ChangeAsync(database, table, keys, perConsumer);
            Say($"one key revoked: {all:F0} µs from the store into the table, of which {entry:F1} µs are the table's");
            return 0;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Revokes keys one by one.</summary>
    /// <returns>Medians in microseconds: with the reading of the store, and of replacing the entry alone.</returns>
    private static async Task<(double All, double Entry)> ChangeAsync(
        Database database, GateTable table, int keys, int perConsumer)
    {
        var (all, entry) = (new List<double>(), new List<double>());
        for (var i = 0; i < Changes; i++)
        {
            var consumer = 1 + (int)((long)i * 7_919 % (keys / perConsumer));
            await database.WriteAsync(db => db.ExecuteAsync(
                "update credentials set revoked_at = 1 where consumer_key = @consumer", new { consumer }));
            var began = Stopwatch.GetTimestamp();
            await table.OnChangeAsync(new Change.OfConsumer(consumer));
            all.Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds);
            var rows = await database.ReadAsync(db => ConsumerStore.CredentialsAsync(db, consumer));
            began = Stopwatch.GetTimestamp();
            table.Replace(consumer, rows);
            entry.Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds);
        }

        return (all.Order().ElementAt(Changes / 2), entry.Order().ElementAt(Changes / 2));
    }

    private static void Say(string text) => Console.WriteLine(text);
}
