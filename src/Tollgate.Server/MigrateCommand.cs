using System.CommandLine;
using Tollgate.Storage;

namespace Tollgate.Server;

/// <summary><c>tollgate migrate</c>: brings the tables up to date without serving, as the first step of an upgrade.
/// </summary>
internal static class MigrateCommand
{
    public static Command Build()
    {
        var data = RunOptions.Text("--data", "TOLLGATE_DATA", "data", "The folder of the embedded store.");
        var database = RunOptions.Database();
        var command = new Command("migrate",
            "Bring the database up to date and end. 'run' does so too; this does it before, and once.")
            { data, database };
        command.SetAction((parsed, _) => RunCommand.GuardAsync(async () =>
        {
            var where = RunOptions.Server(parsed.GetValue(database)!) ?? FileOf(parsed.GetValue(data)!);
            try
            {
                await using var store = Storage.Database.Open(where);
                foreach (var script in store.Migrated) Console.WriteLine($"tollgate: ran {script}");
                Console.WriteLine($"tollgate: {store.Path} is up to date");
            }
            catch (StorageException e)
            {
                throw new StartupException(e.Message, e);
            }
        }));
        return command;
    }

    internal static string FileOf(string folder)
    {
        var file = Path.Combine(folder, "tollgate.db");
        return File.Exists(file) ? file : throw new UsageException(
            $"There is no {file}. Name its folder with --data, or a PostgreSQL with --database.");
    }
}
