using System.CommandLine;

namespace Tollgate.Bench;

/// <summary>The command line of <c>e2e</c>.</summary>
internal static class EndToEndCommand
{
    public static Command Create()
    {
        var seconds = Positive("--seconds", 10, "How long each target is measured in each round");
        var rounds = Positive("--rounds", 3, "How often each target has its turn; medians are reported");
        var connections = Positive("--connections", 64, "Open connections of wrk");
        var keys = Positive("--keys", 1, "How many keys exist and are used at random");
        var operations = Positive("--operations", 1, "How many operations Tollgate has");
        var changes = new Option<int>("--changes")
        {
            Description = "Keys of Tollgate that come or go each second while it is under load",
            DefaultValueFactory = _ => 0,
        };
        changes.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 0 or > 1_000) result.AddError("--changes must be from 0 to 1000");
        });
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root",
            DefaultValueFactory = _ => "bench/results",
        };
        var targets = new Option<string>("--targets")
        {
            Description = "Which to measure, separated by commas",
            DefaultValueFactory = _ => Target.NamesOfAll,
        };
        targets.Validators.Add(result =>
        {
            foreach (var name in Names(result.GetValueOrDefault<string>()).Where(name => Target.Find(name) is null))
                result.AddError($"there is no target '{name}'; choose from {Target.NamesOfAll}");
        });

        var command = new Command("e2e", "Requests per second, latency and CPU per request, each peer on this machine")
        {
            seconds, rounds, connections, keys, operations, changes, output, targets,
        };
        command.SetAction((parsed, stop) => EndToEnd.RunAsync(new EndToEndOptions
        {
            Load = new Load(parsed.GetValue(connections), parsed.GetValue(seconds), parsed.GetValue(keys)),
            Rounds = parsed.GetValue(rounds),
            Operations = parsed.GetValue(operations),
            Changes = parsed.GetValue(changes),
            Output = parsed.GetValue(output)!,
            Targets = [.. Names(parsed.GetValue(targets)).Select(name => Target.Find(name)!).Distinct()],
        }, stop));
        return command;
    }

    private static Option<int> Positive(string name, int usual, string description)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => usual };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 1)
                result.AddError($"{name} must be at least 1");
        });
        return option;
    }

    private static string[] Names(string? list) =>
        (list ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
