using NodaTime;

namespace Tollgate.Catalog;

/// <summary>Which usage is meant, beside its operation: the values of dimensions, and times of the local week. All of
/// it holds at once.</summary>
public sealed record UsageScope
{
    public static UsageScope All { get; } = new();

    /// <summary>Values by the name of the dimension, in one order; empty for all.</summary>
    public IReadOnlyList<(string Name, IReadOnlyList<string> Values)> Dimensions { get; init; } = [];

    /// <summary>Names of operations; null means every one. Never empty.</summary>
    public IReadOnlyList<string>? Operations { get; init; }

    public WeekTimes? When { get; init; }

    public bool IsAll => Dimensions.Count == 0 && Operations is null && When is null;

    public bool Covers(in Usage used, DateTimeZone zone)
    {
        if (Operations is not null && !Operations.Contains(used.Operation)) return false;
        foreach (var (name, values) in Dimensions)
            if (used.Dimensions?.GetValueOrDefault(name) is not { } value || !values.Contains(value)) return false;
        return When is null || When.Holds(used.At, zone);
    }

    public bool Equals(UsageScope? other) => other is not null && Equals(When, other.When)
        && (Operations ?? []).SequenceEqual(other.Operations ?? []) && Operations is null == other.Operations is null
        && Dimensions.Count == other.Dimensions.Count
        && Dimensions.Zip(other.Dimensions).All(d => d.First.Name == d.Second.Name
            && d.First.Values.SequenceEqual(d.Second.Values));

    public override int GetHashCode() => HashCode.Combine(Dimensions.Count, Operations?.Count, When);

    /// <summary>As a line shows it: <c>region eu or us, mon-fri 08:00-18:00</c>.</summary>
    public override string ToString() => string.Join(", ", (Operations is null ? [] : new[] { string.Join(" or ", Operations) })
        .Concat(Dimensions.Select(d => $"{d.Name} {string.Join(" or ", d.Values)}"))
        .Concat(When is null ? [] : [When.ToString()]));
}

/// <summary>What usage of a part of a price's scope costs in place of the price's own amounts.</summary>
/// <param name="Price">Its model and amounts; the other terms are the price's own.</param>
public sealed record PriceCell(UsageScope Scope, Price Price);

/// <summary>
/// A price of a plan under its name, and the usage that it is for. Usage that several prices of one plan name is
/// billed by each of them.
/// </summary>
/// <param name="Name">Unique in its plan; lines are described by it.</param>
/// <param name="Meter">What is counted; none for a flat price.</param>
/// <param name="Operations">Names of operations; null means every one. Never empty.</param>
public sealed record PriceComponent(string Name, string? Meter, IReadOnlyList<string>? Operations, Price Price)
{
    /// <summary>Dimensions and times of the usage that it is for; its operations stand beside it.</summary>
    public UsageScope Scope { get; init; } = UsageScope.All;

    /// <summary>Names of dimensions, or <c>operation</c>: each combination of their values has a line, and tiers, of its
    /// own.</summary>
    public IReadOnlyList<string> By { get; init; } = [];

    /// <summary>The first cell that holds usage prices it; what none of them holds costs <see cref="Price"/>.</summary>
    public IReadOnlyList<PriceCell> Matrix { get; init; } = [];

    /// <summary>By that name usage is told apart by its operation.</summary>
    public const string ByOperation = "operation";

    /// <summary>Whether its usage may stand on lines with tiers of their own.</summary>
    public bool IsSplit => By.Count > 0 || Matrix.Count > 0;

    /// <summary>Whether the hour of usage within its period matters: what is included goes to what was used first.</summary>
    public bool LooksAtTime => LooksAtHours || Price.Included > 0 || Price.IncludedFromQuota;

    /// <summary>Whether it asks differently at different times of the week.</summary>
    public bool LooksAtHours => Scope.When is not null || Matrix.Any(c => c.Scope.When is not null);

    /// <summary>Whether sums of usage do not tell its amount.</summary>
    public bool LooksAtEvents => Price is Price.Percentage { LooksAtEvents: true }
        || Matrix.Any(c => c.Price is Price.Percentage { LooksAtEvents: true });

    /// <summary>Whether calls are held to a balance by it while they are at the gate: its amount is told by sums of usage by
    /// operation. Usage of dimensions or hours, and what single events cost, is only known on the invoice.</summary>
    public bool IsHeldAtGate => Meter is not null && Price is not Price.Flat && Scope.IsAll && !IsSplit && !LooksAtEvents;

    public bool Covers(string operation) => Operations is null || Operations.Contains(operation);

    public bool Covers(in Usage used, DateTimeZone zone) => Covers(used.Operation) && Scope.Covers(used, zone);

    /// <summary>Whether both are for the same usage.</summary>
    public bool CoversLike(PriceComponent other) => Scope == other.Scope &&
        Operations is null == other.Operations is null && (Operations ?? []).SequenceEqual(other.Operations ?? []);

    /// <summary>Index of the cell that prices this usage; the number of cells when none does.</summary>
    public int CellOf(in Usage used, DateTimeZone zone)
    {
        var cell = 0;
        while (cell < Matrix.Count && !Matrix[cell].Scope.Covers(used, zone)) cell++;
        return cell;
    }

    /// <summary>What usage in a cell costs: with the terms that hold for the whole price.</summary>
    public Price PriceAt(int cell) => cell >= Matrix.Count ? Price : Matrix[cell].Price with
    {
        Convert = Price.Convert,
        BillsZeroUsage = Price.BillsZeroUsage,
    };

    /// <summary>The values of <see cref="By"/>; empty text where usage has none.</summary>
    public IReadOnlyList<string> ValuesOf(in Usage used)
    {
        if (By.Count == 0) return [];
        var values = new string[By.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = By[i] == ByOperation ? used.Operation : used.Dimensions?.GetValueOrDefault(By[i]) ?? "";
        return values;
    }

    /// <summary>What tells a line from the others of this price.</summary>
    public string? LabelOf(int cell, IReadOnlyList<string> values)
    {
        if (!IsSplit) return null;
        var words = By.Zip(values, (name, value) => value.Length == 0 ? $"no {name}" : $"{name} {value}").ToList();
        if (cell < Matrix.Count)
        {
            // what 'by' tells already is not said twice
            var scope = Matrix[cell].Scope;
            var rest = scope with
            {
                Dimensions = [.. scope.Dimensions.Where(d => !By.Contains(d.Name))],
                Operations = By.Contains(ByOperation) ? null : scope.Operations,
            };
            if (!rest.IsAll) words.Add(rest.ToString());
        }
        else if (Matrix.Count > 0 && words.Count == 0) words.Add("other");

        return words.Count == 0 ? null : string.Join(", ", words);
    }

    /// <summary>Equal prices are one price, in whatever version of a plan they stand.</summary>
    public bool Equals(PriceComponent? other) => other is not null && Name == other.Name && Meter == other.Meter
        && CoversLike(other) && Price == other.Price && By.SequenceEqual(other.By) && Matrix.SequenceEqual(other.Matrix);

    public override int GetHashCode() => HashCode.Combine(Name, Meter, Price);
}

