using System.CommandLine;
using System.Globalization;
using System.Text;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Bench;

/// <summary>
/// How fast a drain that is hours behind catches up: a journal full of calls, an empty store on the disk, SQLite as
/// it is shipped. Calls are spread over so many keys at random, as many as the parameter says.
/// </summary>
internal static class DrainBench
{
    private const int SlotsPerCall = 2;

    public static Command Create()
    {
        var records = new Option<int>("--records")
        {
            Description = "Records in the journal, two to a call",
            DefaultValueFactory = _ => 4_000_000,
        };
        var keys = new Option<string>("--keys") { Description = "Active keys, by comma", DefaultValueFactory = _ => "10000,1000000" };
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root",
            DefaultValueFactory = _ => "bench/results",
        };
        var command = new Command("drain", "Records a second from the journal into the store, and from the journal into the archive")
        {
            records, keys, output,
        };
        command.SetAction((parsed, stop) => RunAsync(
            Math.Max(parsed.GetValue(records), 1_000),
            [.. parsed.GetValue(keys)!.Split(',').Select(k => int.Parse(k, CultureInfo.InvariantCulture))],
            parsed.GetValue(output)!, stop));
        return command;
    }

    private static async Task<int> RunAsync(int records, int[] keys, string output, CancellationToken stop)
    {
        var machine = await Machine.DescribeAsync(stop);
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var text = new StringBuilder().AppendLine(CultureInfo.InvariantCulture, $"""
            # Drain and archive, {today}

            `dotnet dev.cs drain --records {records} --keys {string.Join(',', keys)}` on {machine.Cores} × {machine.Cpu},
            {machine.System}, {machine.Dotnet}, revision {machine.Revision}. Other work ran on the machine at the same time.

            A drain that is behind catches up into an empty SQLite file on the disk (WAL, `synchronous = full`): one transaction
            holds sums, open admissions and the position. Then the full segments become Parquet files.

            | active keys | records | drained, records/s | rows of rollups | archived, records/s | bytes a call |
            |---:|---:|---:|---:|---:|---:|
            """);
        foreach (var count in keys)
        {
            var line = await MeasureAsync(records, count);
            Console.WriteLine(line);
            text.AppendLine(line);
        }

        Console.WriteLine(await ResultPage.WriteAsync(output, "drain", records, text.ToString(), stop));
        return 0;
    }

    private static async Task<string> MeasureAsync(int records, int keys)
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-drain-").FullName;
        try
        {
            var clocks = new Clocks(TimeProvider.System, TimeProvider.System);
            using var journal = UsageJournal.Open(Path.Combine(folder, "journal"), new JournalOptions(), TimeProvider.System);
            await using var database = Database.Open(Path.Combine(folder, "tollgate.db"));
            using var archive = new UsageArchive(journal, database, clocks, Path.Combine(folder, "archive"), new ArchiveOptions());
            using var drain = new UsageDrain(journal, database, clocks, (_, _) => Task.FromResult<IReadOnlyList<Entitlement>>([]));
            await archive.StartAsync();
            await drain.RecoverAsync(archive);
            Fill(journal, records / SlotsPerCall, keys);
            var began = TimeProvider.System.GetTimestamp();
            await drain.CatchUpAsync();
            var drained = TimeProvider.System.GetElapsedTime(began);
            began = TimeProvider.System.GetTimestamp();
            await archive.RunAsync(drain.Position);
            var archived = TimeProvider.System.GetElapsedTime(began);
            var (rows, kept, calls, bytes) = await database.ReadAsync(async db => (
                await Dapper.SqlMapper.ExecuteScalarAsync<long>(db, "select count(*) from rollups"),
                await Dapper.SqlMapper.ExecuteScalarAsync<long>(db, "select coalesce(sum(records), 0) from archive_files"),
                await Dapper.SqlMapper.ExecuteScalarAsync<long>(db, "select coalesce(sum(calls), 0) from archive_files"),
                await Dapper.SqlMapper.ExecuteScalarAsync<long>(db, "select coalesce(sum(bytes), 0) from archive_files")));
            return string.Create(CultureInfo.InvariantCulture,
                $"| {keys:N0} | {records:N0} | {records / drained.TotalSeconds:N0} | {rows:N0} | " +
                $"{kept / archived.TotalSeconds:N0} | {(double)bytes / Math.Max(calls, 1):N2} |");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>64 calls under way at any time, as behind 64 connections; time goes on by 33 µs a call.</summary>
    private static void Fill(UsageJournal journal, int calls, int keys)
    {
        var random = new Random(1);
        var open = new Queue<(ulong Sequence, Admission Admission)>();
        var at = Micros.Now(TimeProvider.System);
        for (var i = 0; i < calls; i++)
        {
            var key = 1 + random.Next(keys);
            at += random.Next(67);
            var admission = new Admission
            {
                AdmittedAt = at, Entitlement = key, Period = 0, Consumer = key, Operation = 1, Credential = key, Method = 1,
            };
            while (!journal.TryReserve()) Thread.Yield();
            open.Enqueue((journal.AppendAdmitted(admission).Sequence, admission));
            if (open.Count == 64) Settle(open.Dequeue());
        }

        while (open.Count > 0) Settle(open.Dequeue());

        void Settle((ulong Sequence, Admission Admission) call) => journal.AppendSettled(new Settlement
        {
            AdmissionSequence = call.Sequence,
            Admission = call.Admission,
            Status = 200,
            Billable = true,
            Quantity = 1,
            LatencyMicros = 900 + (uint)random.Next(3_000),
        });
    }
}
