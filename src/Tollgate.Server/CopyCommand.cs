using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Server;

/// <summary><c>tollgate copy</c>: from the embedded store into a PostgreSQL, for an installation that grows.</summary>
internal static class CopyCommand
{
    private static readonly TimeSpan s_every = TimeSpan.FromSeconds(2);

    public static Command Build()
    {
        var data = RunOptions.Text("--data", "TOLLGATE_DATA", "data", "The folder of the embedded store.");
        var database = RunOptions.Database();
        var command = new Command("copy",
            "Copy the embedded store into an empty PostgreSQL and compare every row. Stop the server first. " +
            "Stopped half-way, the same command goes on where it was.") { data, database };
        command.SetAction((parsed, cancel) => RunCommand.GuardAsync(async () =>
        {
            var folder = parsed.GetValue(data)!;
            var file = MigrateCommand.FileOf(folder);
            var where = RunOptions.Server(parsed.GetValue(database)!)
                ?? throw new UsageException("Name the PostgreSQL to copy into: --database postgresql://….");
            try
            {
                await CopyAsync(folder, file, where, cancel);
            }
            catch (Exception e) when (e is StorageException or IOException)
            {
                throw new StartupException(e.Message, e);
            }
            catch (System.Data.Common.DbException e)
            {
                throw new StartupException($"The copy stopped: {e.Message}. Nothing is lost: the same command goes on.", e);
            }
        }));
        return command;
    }

    private static async Task CopyAsync(string folder, string file, string where, CancellationToken cancel)
    {
        // held until the end: no server can start on the folder while its store is read
        using var alone = UsageJournal.Hold(Path.Combine(folder, "journal"));
        var (clock, last) = (Stopwatch.StartNew(), TimeSpan.Zero);
        await using var copy = await StoreCopy.OpenAsync(file, where, cancel);
        var rows = await copy.RunAsync(progress =>
        {
            if (progress.Done < progress.Rows && clock.Elapsed - last < s_every) return;
            last = clock.Elapsed;
            if (progress.Done < progress.Rows || progress.Rows > 0)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{(progress.Checked ? "compared" : "copied")} {progress.Table}: " +
                    $"{progress.Done:N0} of {progress.Rows:N0}"));
        }, cancel);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"tollgate: {rows:N0} rows copied and compared, value by value, in {clock.Elapsed.TotalSeconds:N1} s. " +
            $"Start with the same --data and with --database; then move {file} away."));
    }
}
