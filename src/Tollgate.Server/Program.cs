using System.CommandLine;
using Tollgate.Server;

var root = new RootCommand("Tollgate, the API gateway that bills.")
{
    RunCommand.Build(),
    DemoCommand.Build(),
    ValidateCommand.Build(),
    UsageCommand.Build(),
    InvoiceCommand.Build(),
};
var parsed = root.Parse(args);
if (parsed.Errors.Count == 0) return await parsed.InvokeAsync();
foreach (var error in parsed.Errors) Console.Error.WriteLine(error.Message);
Console.Error.WriteLine("'--help' after a command lists what it takes.");
return ExitCode.Usage;
