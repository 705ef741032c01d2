namespace Tollgate.Bench;

internal sealed record EndToEndOptions
{
    public required int Connections { get; init; }
    public required int Seconds { get; init; }
    public required int Rounds { get; init; }
    public required string Output { get; init; }
    public required IReadOnlyList<Target> Targets { get; init; }

    /// <summary>The run that the figures of the gate are read from: see the README.</summary>
    public bool Full { get; init; }

    /// <summary>How many keys exist and are used at random.</summary>
    public int Keys { get; init; } = 1;

    /// <summary>How many operations Tollgate has; one of them is called.</summary>
    public int Operations { get; init; } = 1;

    /// <summary>Of <see cref="Target.ManyKeys"/>.</summary>
    public int ManyKeys { get; init; }

    /// <summary>Of <see cref="Target.ManyOperations"/>.</summary>
    public int ManyOperations { get; init; }

    /// <summary>Keys of Tollgate that come or go each second while it is under load.</summary>
    public int Changes { get; init; }

    /// <summary>The command that repeats this run, from the repository's root.</summary>
    public string Command =>
        $"dotnet run -c Release --project bench/Tollgate.Bench -- e2e {(Full ? "--full " : "")}--seconds {Seconds} --rounds {Rounds} "
        + $"--connections {Connections} --keys {Keys} --operations {Operations} --changes {Changes} {More}"
        + $"--targets {string.Join(',', Targets.Select(t => t.Name))}";

    private string More => (Targets.Contains(Target.ManyKeys) ? $"--many-keys {ManyKeys} " : "")
        + (Targets.Contains(Target.ManyOperations) ? $"--many-operations {ManyOperations} " : "");

    public (int Keys, int Operations) ShapeOf(Target target) => (
        target == Target.ManyKeys ? ManyKeys : Keys, target == Target.ManyOperations ? ManyOperations : Operations);

    public Load LoadOf(Target target, int seconds) => new(Connections, seconds, ShapeOf(target).Keys);
}
