using Tollgate.Catalog;
using Tollgate.Gateway.Cost;

namespace Tollgate.Gateway;

/// <summary>What a call may cost, and by which prices.</summary>
/// <param name="Period">Index of the billing period: tiers and included units are of one period.</param>
/// <param name="Units">Of <c>calls</c>.</param>
/// <param name="Cost">What may be used of other meters; none for usage that is not of a call.</param>
internal readonly record struct Charge(
    int Entitlement, int Period, PlanVersion Prices, string Operation, long Units, OperationCost? Cost = null)
{
    /// <summary>The stretches of terms over which periods are counted through; their prices go on where they are the same.
    /// </summary>
    public int Era { get; init; } = Entitlement;

    /// <summary>When it was used, microseconds UTC.</summary>
    public long At { get; init; }

    public static Charge Of(EntitlementEntry entitlement, ref Decision decision, string operation) =>
        new(entitlement.Key, decision.Period, entitlement.Prices!, operation, decision.Units, decision.Cost)
        {
            Era = entitlement.Era,
            At = decision.LookedAt,
        };
}

/// <summary>Units on top of what was used: all that a call may cost, or some of one meter.</summary>
internal readonly struct More
{
    private readonly OperationCost? _cost;
    private readonly string? _meter;
    private readonly decimal _units;

    /// <summary>What is set aside for a call.</summary>
    public More(in Charge charge) => (_cost, _meter, _units) = (charge.Cost, Meter.CallsName, charge.Units);

    public More(string meter, decimal units) => (_meter, _units) = (meter, units);

    /// <param name="meter">Null is <c>calls</c>.</param>
    /// <param name="units">× 10^scale.</param>
    public static More Of(CostMeter? meter, long units) =>
        meter is null ? new(Meter.CallsName, units) : new(meter.Name, units / meter.One);

    public decimal Of(string meter)
    {
        if (meter == _meter) return _units;
        if (_cost is null) return 0;
        foreach (var m in _cost.Meters)
            if (m.Name == meter) return m.Reserve / m.One;
        return 0;
    }

    /// <summary>Whether it is of this meter at all.</summary>
    public bool IsOf(string meter) => meter == _meter;
}
