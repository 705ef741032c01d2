using System.CommandLine;
using System.Globalization;
using Tollgate.Tests.Support;

namespace Tollgate.Bench;

/// <summary>One run of the senders, and what the server made of it.</summary>
internal sealed record IngestRun
{
    public required string Name { get; init; }

    public required TimeSpan Sending { get; init; }

    public required long Accepted { get; init; }

    public required long Once { get; init; }

    public required long Later { get; init; }

    public required TimeSpan Slowest { get; init; }

    /// <summary>Accepted, and not in the sums when the last answer came.</summary>
    public required long Behind { get; init; }

    /// <summary>From the last answer until all was in the sums.</summary>
    public required TimeSpan CatchingUp { get; init; }

    public required TimeSpan Cpu { get; init; }

    public required long MostResident { get; init; }

    public required long MostAnonymous { get; init; }

    /// <summary>What the kernel wrote to the disk for the server.</summary>
    public required long Written { get; init; }

    public double AcceptedPerSecond => Accepted / Sending.TotalSeconds;

    public double CountedPerSecond => Accepted / (Sending + CatchingUp).TotalSeconds;
}

/// <summary>
/// Events from outside: how many the shipped server accepts in batches of 1,000, how fast they go through the drain beside the
/// identities of 35 days, and whether each was counted once.
/// </summary>
internal static class IngestBench
{
    private const int Connections = 4;

    public static Command Create()
    {
        var seconds = new Option<int>("--seconds") { Description = "Of each run", DefaultValueFactory = _ => 60 };
        var ids = new Option<long>("--ids")
        {
            Description = "Identities of events that are known already, over 35 days; 100,000,000 are 5 GB",
            DefaultValueFactory = _ => 100_000_000,
        };
        var rate = new Option<int>("--rate") { Description = "Events a second of the steady run", DefaultValueFactory = _ => 20_000 };
        var postgres = new Option<bool>("--postgres") { Description = "On a PostgreSQL of its own, instead of SQLite" };
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root",
            DefaultValueFactory = _ => "bench/results",
        };
        var command = new Command("ingest", "Events a second that are accepted, and that go through the drain")
        {
            seconds, ids, rate, postgres, output,
        };
        command.SetAction((parsed, stop) => RunAsync(parsed.GetValue(seconds), parsed.GetValue(ids), parsed.GetValue(rate),
            parsed.GetValue(postgres), parsed.GetValue(output)!, stop));
        return command;
    }

    private static async Task<int> RunAsync(
        int seconds, long ids, int rate, bool postgres, string output, CancellationToken stop)
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-ingest-").FullName;
        using var server = postgres ? PostgresServer.StartNew() : null;
        try
        {
            await using var rig = await LedgerRig.CreateAsync(folder, LocalPorts.At(1), stop, server?.For(folder));
            await rig.StartAsync(stop);
            var yesterday = TimeProvider.System.GetUtcNow().AddDays(-1).ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
            for (var i = 0; i < EventSender.Customers; i++)
            {
                var name = string.Create(CultureInfo.InvariantCulture, $"customer-{i:D4}");
                await rig.PostAsync("/v1/customers", new { name }, stop);
                await rig.PostAsync("/v1/subscriptions", new { customer = name, plan = "metered", start_at = yesterday }, stop);
            }

            await rig.StopAsync();
            Console.WriteLine($"{EventSender.Customers} customers; filling in {ids:N0} identities");
            var bytes = ids == 0 ? 0 : await KnownIds.FillAsync(rig.Database ?? Path.Combine(rig.Data, DataFolder.Store), ids, stop);
            Console.WriteLine($"{bytes >> 20} MiB of identities");
            await rig.StartAsync(stop);
            using var client = new IngestServer(rig);
            var first = await client.RunAsync("first event", TimeSpan.FromMilliseconds(1), 1, 1, stop);
            Console.WriteLine($"first event in the sums after {first.CatchingUp.TotalSeconds:N1} s");
            await rig.StopAsync();
            var began = TimeProvider.System.GetTimestamp();
            await rig.StartAsync(stop);
            var start = TimeProvider.System.GetElapsedTime(began);
            var again = await client.RunAsync("after a restart", TimeSpan.FromMilliseconds(1), 1, 1, stop);
            IngestRun[] runs =
            [
                await client.RunAsync($"{rate:N0} a second", TimeSpan.FromSeconds(seconds), Connections, rate, stop),
                await client.RunAsync("as fast as it goes", TimeSpan.FromSeconds(seconds), Connections, 0, stop),
            ];
            var sent = runs.Sum(r => r.Once) + first.Once + again.Once;
            var counted = await client.CountedAsync(stop);
            var report = new IngestReport(seconds, ids, rate, bytes, runs, sent, counted)
            {
                First = first.CatchingUp, Start = start, AfterStart = again.CatchingUp, IsPostgres = postgres,
            };
            Console.WriteLine(await report.WriteAsync(output, stop));
            return counted == sent ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
