using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Web;

namespace Tollgate.Server;

/// <summary><c>tollgate verify</c>: proves that the ledger of a data folder is whole, or says where it is not.</summary>
internal static class VerifyCommand
{
    public static Command Build()
    {
        var data = RunOptions.Text("--data", "TOLLGATE_DATA", "data",
            "The data folder; a server may run on it. Of several nodes all of their folders, separated by commas.");
        var database = RunOptions.Database();
        var json = AdminClient.Json();
        var command = new Command("verify",
            "Prove journal, archive and sums: files are what was written, sequences have no gap, and draining all calls again " +
            "comes to the same sums.") { data, database, json };
        command.SetAction((parsed, _) => RunAsync(
            parsed.GetValue(data)!.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
            RunOptions.Server(parsed.GetValue(database)!), parsed.GetValue(json)));
        return command;
    }

    private static async Task<int> RunAsync(string[] folders, string? server, bool json)
    {
        var (must, named) = server is null ? (DataFolder.Store, "a data folder") : (DataFolder.Journal, "data folders of nodes");
        var without = folders.Where(f => !Path.Exists(Path.Combine(f, must))).Select(Path.GetFullPath).ToArray();
        if (folders.Length == 0 || without.Length > 0 || (server is null && folders.Length > 1))
        {
            Console.Error.WriteLine(without.Length > 0 ? $"{string.Join(", ", without)} holds no {must}: --data must name {named}."
                : "--data names several folders: --database must name the server that they share.");
            return ExitCode.Usage;
        }

        try
        {
            var clocks = new Clocks(TimeProvider.System, TimeProvider.System);
            var found = await new Verification(folders, server, clocks, EntitlementStore.OfCustomerAsync).RunAsync();
            Console.WriteLine(json ? JsonSerializer.Serialize(found, Answers.Json) : Text(found));
            return found.Faults.Count == 0 ? ExitCode.Ok : ExitCode.Refused;
        }
        catch (Exception e) when (e is StorageException or InvalidDataException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Refused;
        }
    }

    private static string Text(Verified found)
    {
        var looked = string.Create(CultureInfo.InvariantCulture,
            $"{found.Files} archive files, {found.Segments} journal segments, {found.Records:N0} records drained again, " +
            $"{found.Rows:N0} sums compared{(found.From == 0 ? "" : $" from {Micros.ToText(found.From)} on")}, " +
            $"{found.Holes:N0} sequences never written");
        return found.Faults.Count == 0
            ? $"The ledger is whole: {looked}."
            : $"The ledger has {found.Faults.Count} faults:\n{string.Join('\n', found.Faults.Select(f => "- " + f))}\n({looked})";
    }
}
