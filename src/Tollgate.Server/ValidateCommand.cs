using System.CommandLine;

namespace Tollgate.Server;

/// <summary><c>tollgate validate</c>: every fault of a configuration file, with line and column.</summary>
internal static class ValidateCommand
{
    public static Command Build()
    {
        var file = new Argument<string>("file")
        {
            Description = "The configuration file.",
            DefaultValueFactory = _ => "tollgate.yaml",
        };
        var command = new Command("validate", "Check a configuration file without applying it.") { file };
        command.SetAction((parsed, _) => RunCommand.GuardAsync(() =>
        {
            var path = parsed.GetValue(file)!;
            var read = TollgateNode.ReadFile(path)!;
            Console.WriteLine($"{path}: {read.Apis.Count} APIs, {read.Apis.Sum(a => a.Operations.Count)} operations, " +
                $"{read.Plans.Count} plans, {read.Currency}: valid");
            return Task.CompletedTask;
        }));
        return command;
    }
}
