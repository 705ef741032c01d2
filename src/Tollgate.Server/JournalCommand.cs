using System.CommandLine;
using System.Globalization;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Server;

/// <summary><c>tollgate journal</c>: the journals that an installation waits for, and what to do for a node that will
/// not come back.</summary>
internal static class JournalCommand
{
    private static readonly Clocks s_clocks = new(TimeProvider.System, TimeProvider.System);

    public static Command Build() => new("journal", "The journals of an installation, and a lost node's.")
    {
        List(),
        Drain(),
        Retire(),
    };

    private static Command List()
    {
        var (data, database) = Where();
        var command = new Command("list", "The registered journals, and how far each is in the store.") { data, database };
        command.SetAction((parsed, _) => OnStoreAsync(parsed, data, database, async store =>
        {
            foreach (var journal in await new JournalRegistry(store, s_clocks).AllAsync())
                Console.WriteLine($"{journal.Name}  {(journal.Closed == 1 ? "closed" : "open  ")}  in the store to " +
                    $"{Micros.ToText(journal.CompleteTo)}, seen {Micros.ToText(journal.SeenAt)}  {journal.Node}");
        }));
        return command;
    }

    private static Command Drain()
    {
        var (data, database) = Where();
        var folder = new Argument<string>("folder") { Description = "The lost node's journal folder, mounted here." };
        var command = new Command("drain",
            "Carry what a lost node left in its journal into the store, and let invoices go on.")
            { folder, data, database };
        command.SetAction((parsed, _) => OnStoreAsync(parsed, data, database, async store =>
        {
            var path = parsed.GetValue(folder)!;
            if (!Directory.Exists(path)) throw new UsageException($"There is no folder {path}.");
            using var journal = UsageJournal.Open(path, new JournalOptions(), TimeProvider.System);
            foreach (var finding in journal.Recovery.Findings) Console.Error.WriteLine($"Journal: {finding}");
            using var drain = new UsageDrain(journal, store, s_clocks, EntitlementStore.OfCustomerAsync);
            await drain.RecoverAsync();
            await new JournalRegistry(store, s_clocks).CloseAsync(journal.Id);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"tollgate: the journal {drain.Journal} is in the store and closed; its folder held " +
                $"{journal.Recovery.Records:N0} records"));
        }));
        return command;
    }

    private static Command Retire()
    {
        var (data, database) = Where();
        var id = new Argument<string>("id") { Description = "As 'list' shows it." };
        var command = new Command("retire",
            "Give a journal up whose disk is lost: invoices go on without the calls that were only there.")
            { id, data, database };
        command.SetAction((parsed, _) => OnStoreAsync(parsed, data, database, async store =>
        {
            var registry = new JournalRegistry(store, s_clocks);
            var name = parsed.GetValue(id)!;
            var journal = (await registry.AllAsync()).FirstOrDefault(j => j.Name == name)
                ?? throw new UsageException($"There is no journal '{name}'; 'tollgate journal list' shows all.");
            await registry.RetireAsync((uint)journal.Id);
            Console.WriteLine($"tollgate: {name} is given up. What it had after " +
                $"{Micros.ToText(journal.CompleteTo)} is in no invoice.");
        }));
        return command;
    }

    private static (Option<string> Data, Option<string> Database) Where() => (
        RunOptions.Text("--data", "TOLLGATE_DATA", "data", "The folder of the embedded store."), RunOptions.Database());

    private static Task<int> OnStoreAsync(
        ParseResult parsed, Option<string> data, Option<string> database, Func<Database, Task> work) =>
        RunCommand.GuardAsync(async () =>
        {
            var where = RunOptions.Server(parsed.GetValue(database)!) ?? MigrateCommand.FileOf(parsed.GetValue(data)!);
            try
            {
                await using var store = Storage.Database.Open(where);
                await work(store);
            }
            catch (Exception e) when (e is StorageException or IOException or InvalidDataException)
            {
                throw new StartupException(e.Message, e);
            }
        });
}
