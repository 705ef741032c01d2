using System.CommandLine;
using System.Text.Json;

namespace Tollgate.Server;

/// <summary><c>tollgate backup</c>, <c>restore</c>, <c>replay</c>, <c>call</c> and <c>event</c>: the keeper's commands.</summary>
internal static class LedgerCommands
{
    public static IEnumerable<Command> Build() => [Backup(), Restored(), Replay(), Call(), Event()];

    private static Command Backup()
    {
        var to = new Option<string>("--to")
        {
            Description = "The folder to write, on the server's machine; it must not be there yet, or be empty.",
            Required = true,
        };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("backup", "Copy the data folder of a running server: database, journal, archive and install key.")
        {
            to, admin, json,
        };
        command.SetAction((parsed, _) => AdminClient.PostAsync(parsed.GetValue(admin)!, "/v1/backups",
            new { folder = Path.GetFullPath(parsed.GetValue(to)!) }, parsed.GetValue(json), taken =>
                $"backup of {taken.GetProperty("taken_at")}: {taken.GetProperty("files").GetArrayLength()} files, " +
                $"{taken.GetProperty("files").EnumerateArray().Sum(f => f.GetProperty("bytes").GetInt64())} bytes. " +
                "It holds the install key: keep it as you keep the data folder."));
        return command;
    }

    private static Command Restored()
    {
        var from = new Option<string>("--from") { Description = "The folder of the backup.", Required = true };
        var data = RunOptions.Text("--data", "TOLLGATE_DATA", "data",
            "The data folder: empty, or one with the backup's journal, which is kept.");
        var command = new Command("restore", "Put a backup into a data folder that no server runs on.") { from, data };
        command.SetAction((parsed, _) => RunCommand.GuardAsync(async () =>
        {
            var done = await Restore.RunAsync(parsed.GetValue(from)!, parsed.GetValue(data)!);
            Console.WriteLine($"restored the backup of {done.Manifest.TakenAt} into {parsed.GetValue(data)}");
            if (done.KeptJournal)
                Console.WriteLine("the journal that was there is kept: calls since the backup are counted at the next start, once");
            if (done.OldStore is not null) Console.WriteLine($"the database that was there is now {done.OldStore}");
        }));
        return command;
    }

    private static Command Replay()
    {
        var write = new Option<bool>("--write") { Description = "Store the new sums where they differ." };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("replay", "Make all sums again out of archive and journal, and compare.") { write, admin, json };
        command.SetAction((parsed, _) => AdminClient.PostAsync(parsed.GetValue(admin)!, "/v1/replay",
            new { write = parsed.GetValue(write) }, parsed.GetValue(json), Words));
        return command;
    }

    private static string Words(JsonElement done)
    {
        var differences = done.GetProperty("differences").EnumerateArray().Select(d => "- " + d.GetString()).ToArray();
        return $"{done.GetProperty("records")} records drained again, {done.GetProperty("rows")} sums compared: " +
            (differences.Length == 0 ? "all the same." : $"these differ{(done.GetProperty("written").GetBoolean()
                ? ", and were replaced" : "")}:\n{string.Join('\n', differences)}");
    }

    private static Command Call()
    {
        var id = new Argument<string>("request-id") { Description = "What the caller got as X-Request-Id." };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("call", "Show one call: who, what, when, how it ended, and what it cost.") { id, admin, json };
        command.SetAction((parsed, _) => AdminClient.PrintAsync(parsed.GetValue(admin)!,
            "/v1/calls/" + Uri.EscapeDataString(parsed.GetValue(id)!), parsed.GetValue(json)));
        return command;
    }

    private static Command Event()
    {
        var source = new Argument<string>("source") { Description = "The event's source." };
        var id = new Argument<string>("id") { Description = "Its id within the source." };
        var admin = AdminClient.Address();
        var command = new Command("event", "Show what became of an event: whether it counts, for whom, and how much.")
        {
            source, id, admin,
        };
        command.SetAction((parsed, _) => AdminClient.PrintAsync(parsed.GetValue(admin)!,
            $"/v1/events/{Uri.EscapeDataString(parsed.GetValue(source)!)}/{Uri.EscapeDataString(parsed.GetValue(id)!)}", json: true));
        return command;
    }
}
