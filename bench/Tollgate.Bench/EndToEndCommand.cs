using System.CommandLine;

namespace Tollgate.Bench;

/// <summary>The command line of <c>e2e</c>.</summary>
internal static class EndToEndCommand
{
    public static Command Create()
    {
        var full = new Option<bool>("--full") { Description = "The run that the figures of the gate are read from: bare YARP and "
            + "Tollgate with few and very many keys and operations, 3 rounds of 30 s, 50 key changes a second" };
        var trial = new Option<bool>("--short") { Description = "With --full: one round of 5 s and 20,000 keys, to try it" };
        var seconds = Positive("--seconds", "How long each target is measured in each round (10)");
        var rounds = Positive("--rounds", "How often each target has its turn; medians are reported (3)");
        var connections = Positive("--connections", "Open connections of wrk (64)");
        var keys = Positive("--keys", "How many keys exist and are used at random (1)");
        var operations = Positive("--operations", "How many operations Tollgate has (1)");
        var manyKeys = Positive("--many-keys", "How many keys tollgate-keys has (1000000)");
        var manyOperations = Positive("--many-operations", "How many operations tollgate-operations has (10000)");
        var changes = new Option<int?>("--changes")
        {
            Description = "Keys of Tollgate that come or go each second while it is under load (0)",
        };
        changes.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 0 or > 1_000) result.AddError("--changes must be from 0 to 1000");
        });
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root",
            DefaultValueFactory = _ => "bench/results",
        };
        var targets = new Option<string?>("--targets")
        {
            Description = $"Which to measure, separated by commas ({Target.NamesOfUsual}; with --full {Target.NamesOfFull})",
        };
        targets.Validators.Add(result =>
        {
            foreach (var name in Names(result.GetValueOrDefault<string?>()).Where(name => Target.Find(name) is null))
                result.AddError($"there is no target '{name}'; choose from {Target.NamesOfAll}");
        });

        var command = new Command("e2e", "Requests per second, latency and CPU per request, each peer on this machine")
        {
            full, trial, seconds, rounds, connections, keys, operations, manyKeys, manyOperations, changes, output, targets,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(trial) && !result.GetValue(full)) result.AddError("--short is a trial of --full");
        });
        command.SetAction((parsed, stop) =>
        {
            var (isFull, isTrial) = (parsed.GetValue(full), parsed.GetValue(trial));
            return EndToEnd.RunAsync(new EndToEndOptions
            {
                Full = isFull,
                Connections = parsed.GetValue(connections) ?? 64,
                Seconds = parsed.GetValue(seconds) ?? (isTrial ? 5 : isFull ? 30 : 10),
                Rounds = parsed.GetValue(rounds) ?? (isTrial ? 1 : 3),
                // all of a full run by the same load generator's script, which costs it something of its own
                Keys = parsed.GetValue(keys) ?? (isFull ? 10 : 1),
                Operations = parsed.GetValue(operations) ?? (isFull ? 10 : 1),
                ManyKeys = parsed.GetValue(manyKeys) ?? (isTrial ? 20_000 : 1_000_000),
                ManyOperations = parsed.GetValue(manyOperations) ?? 10_000,
                Changes = parsed.GetValue(changes) ?? (isFull ? 50 : 0),
                Output = parsed.GetValue(output)!,
                Targets = [.. Names(parsed.GetValue(targets) ?? (isFull ? Target.NamesOfFull : Target.NamesOfUsual))
                    .Select(name => Target.Find(name)!).Distinct()],
            }, stop);
        });
        return command;
    }

    private static Option<int?> Positive(string name, string description)
    {
        var option = new Option<int?>(name) { Description = description };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() < 1)
                result.AddError($"{name} must be at least 1");
        });
        return option;
    }

    private static string[] Names(string? list) =>
        (list ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
