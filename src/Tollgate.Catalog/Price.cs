namespace Tollgate.Catalog;

/// <summary>Whether a flat price is due before or after the period that it is for.</summary>
public enum BillingTiming : byte { Arrears, Advance }

/// <summary>What a price asks for a quantity. The cases and their arithmetic stand in <see cref="Rating"/>.</summary>
public abstract record Price
{
    private Price() { }

    /// <summary>A base fee for each period, whatever is used.</summary>
    /// <param name="Amount">Major units; at most 12 digits after the point.</param>
    public sealed record Flat(decimal Amount, BillingTiming In) : Price;

    /// <summary>The same for each unit.</summary>
    /// <param name="UnitAmount">Major units; at most 12 digits after the point.</param>
    public sealed record PerUnit(decimal UnitAmount) : Price;
}

/// <summary>
/// A price of a plan under its name, and the usage that it is for. Usage that several prices of one plan name is
/// billed by each of them.
/// </summary>
/// <param name="Name">Unique in its plan; lines are described by it.</param>
/// <param name="Meter">What is counted; none for a flat price.</param>
/// <param name="Operations">Names of operations; null means every one. Never empty.</param>
public sealed record PriceComponent(string Name, string? Meter, IReadOnlyList<string>? Operations, Price Price)
{
    public bool Covers(string operation) => Operations is null || Operations.Contains(operation);
}

/// <summary>
/// The prices and allowances of a plan as they were published: never changed afterwards. Limits and gates are not part
/// of it.
/// </summary>
/// <param name="Version">1, 2, 3 …</param>
/// <param name="Prices">In the order in which lines are printed.</param>
public sealed record PlanVersion(string PlanId, int Version, Currency Currency, IReadOnlyList<PriceComponent> Prices)
{
    /// <summary>Unique by name. What a subscription agreed on otherwise stands in its <see cref="Overrides"/>.</summary>
    public IReadOnlyList<Quota> Quotas { get; init; } = [];
}
