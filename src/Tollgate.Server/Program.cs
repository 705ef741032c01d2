using System.CommandLine;
using System.CommandLine.Help;
using Tollgate.Server;

// a Command, since a RootCommand is named for its assembly
var root = new Command("tollgate", "Tollgate, the API gateway that bills.")
{
    new HelpOption(),
    new VersionOption(),
    RunCommand.Build(),
    DemoCommand.Build(),
    ValidateCommand.Build(),
    ConfigCommands.Diff(),
    ConfigCommands.Apply(),
    ConfigCommands.Export(),
    ConfigCommands.Schema(),
    VerifyCommand.Build(),
    UsageCommand.Build(),
    InvoiceCommand.Build(),
    MigrateCommand.Build(),
    CopyCommand.Build(),
    JournalCommand.Build(),
    TokensCommand.Build(),
    KeysCommand.Build(),
    ImportCommand.Build(),
    ExplainCommand.Build(),
    SimulateCommand.Build(),
};
foreach (var command in LedgerCommands.Build()) root.Subcommands.Add(command);
var parsed = root.Parse(args.Length == 0 ? ["--help"] : args);
// a stop takes as long as --leave-delay and the calls under way do; left to itself the library ends the process after 2 s
var patient = new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(10) };
if (parsed.Errors.Count == 0) return await parsed.InvokeAsync(patient);
foreach (var error in parsed.Errors) Console.Error.WriteLine(error.Message);
Console.Error.WriteLine("'--help' after a command lists what it takes.");
return ExitCode.Usage;
