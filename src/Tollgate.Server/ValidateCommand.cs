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
            Console.WriteLine($"{path}: {Count(read.Apis.Count, "API")}, " +
                $"{Count(read.Apis.Sum(a => a.Operations.Count), "operation")}, {Count(read.Plans.Count, "plan")}, " +
                $"{read.Currency}: valid");
            foreach (var warning in read.Warnings) Console.WriteLine($"warning: {warning}");
            return Task.CompletedTask;
        }));
        return command;
    }

    private static string Count(int n, string what) => n == 1 ? $"1 {what}" : $"{n} {what}s";
}
