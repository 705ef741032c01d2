using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Gateway.Cost;

/// <summary>A meter on the hot path.</summary>
public sealed class CostMeter(PublishedMeter meter)
{
    public int Key { get; } = meter.Meter.Key;

    public string Name { get; } = meter.Name;

    public int Scale { get; } = meter.Meter.Scale;

    public Aggregation Aggregation { get; } = meter.Meter.Aggregation;

    public UnitSource Source { get; } = meter.Source;

    public JsonPath? Path { get; } = meter.Value;

    /// <summary>Whether a call may settle in parts: what it used later is added to what it used before.</summary>
    public bool IsAdditive { get; } = meter.Meter.IsAdditive;

    /// <summary>What is set aside for a call before its cost is known, × 10^scale: one for a meter that counts calls, 0
    /// where only the answer tells.</summary>
    public long Reserve { get; init; } = meter.Source == UnitSource.Call ? 1 : 0;

    /// <summary>What a stored number is divided by to be units.</summary>
    public decimal One { get; } = Meter.PowerOfTen(meter.Meter.Scale);

    /// <summary>Whether it measures values to tell apart instead of numbers.</summary>
    public bool IsUnique => Aggregation == Aggregation.UniqueCount;
}

/// <summary>What a call of an operation costs, as far as it is known before: its weight, and which meters count it.
/// </summary>
public sealed class OperationCost
{
    public static OperationCost One { get; } = new(1, []);

    public OperationCost(long weight, CostMeter[] meters)
    {
        Weight = weight;
        ReservedCalls = weight;
        Meters = meters;
        ReadsBody = meters.Any(m => m.Source == UnitSource.ResponseBody);
        CountsRequest = meters.Any(m => m.Source == UnitSource.RequestBytes);
        NeedsEnd = ReadsBody || CountsRequest || meters.Any(m => m.Source == UnitSource.ResponseBytes);
    }

    /// <summary>Units of <c>calls</c> unless the upstream says another number.</summary>
    public long Weight { get; }

    /// <summary>Units of <c>calls</c> that are set aside for a call; its weight, or more.</summary>
    public long ReservedCalls { get; init; }

    /// <summary>Whether calls are held to what was set aside for them, and to what else there is room for.</summary>
    public bool IsHeld { get; init; }

    /// <summary>Whether an answer ends where there is no room for what it costs.</summary>
    public bool CutsOverrun { get; init; }

    /// <summary>How often a broken call of it may be repeated for nothing.</summary>
    public int FreeRetries { get; init; }

    /// <summary>The meters that count its calls beside <c>calls</c>; each may need a record of its own.</summary>
    public CostMeter[] Meters { get; }

    /// <summary>Where a meter stands among those that count; −1 when it does not.</summary>
    public int IndexOf(int meter)
    {
        for (var i = 0; i < Meters.Length; i++)
            if (Meters[i].Key == meter) return i;
        return -1;
    }

    public bool ReadsBody { get; }

    public bool CountsRequest { get; }

    /// <summary>Whether the cost is known only when the answer ends.</summary>
    public bool NeedsEnd { get; }

    /// <summary>The cost of a published operation.</summary>
    public static OperationCost Of(PublishedOperation operation, IReadOnlyList<PublishedMeter> meters)
    {
        // an operation of any method is counted by whatever the caller's method is
        var counting = meters.Where(m => m.Meter.Key != Meter.CallsKey && m.Source != UnitSource.Event
            && m.Operations?.Contains(operation.Name) != false
            && (m.Methods is null || operation.Methods?.All(m.Methods.Contains) == true))
            .Select(m => MeterOf(m, operation.Reserve)).ToArray();
        return counting.Length == 0 && operation is { Weight: 1, FreeRetries: 0, Reserve: null } ? One
            : new OperationCost(operation.Weight, counting)
            {
                FreeRetries = operation.FreeRetries,
                ReservedCalls = Math.Max(operation.Weight, (long)(operation.Reserve?.GetValueOrDefault(Meter.CallsName) ?? 0)),
                IsHeld = operation.Reserve is not null,
                CutsOverrun = operation.CutsOverrun,
            };
    }

    private static CostMeter MeterOf(PublishedMeter meter, IReadOnlyDictionary<string, decimal>? reserve)
    {
        var made = new CostMeter(meter);
        // a meter may have become another's since it was set aside of
        return made.IsAdditive && reserve?.GetValueOrDefault(made.Name) is > 0 and var units
            ? new CostMeter(meter) { Reserve = Math.Max(made.Reserve, (long)Math.Min(units * made.One, Meter.MaxQuantity)) }
            : made;
    }
}
