using System.Runtime.InteropServices;

namespace Tollgate.Metering;

/// <summary>Usage out of events that was counted for somebody: what the gate has not seen pass.</summary>
/// <param name="Operation">0 for most: an event names none.</param>
/// <param name="Bucket">The quarter of an hour in which it was; microseconds UTC.</param>
public readonly record struct OutsideUsage(int Customer, int Entitlement, int Period, int Meter, int Operation, long Bucket);

/// <summary>The events of one transaction, added up for whoever wants to hear of them after it.</summary>
internal sealed class OutsideUsages
{
    private readonly Dictionary<OutsideUsage, long> _sums = [];

    public void Clear() => _sums.Clear();

    public void Add(in Attributed whose, UnattributedRow row)
    {
        var usage = new OutsideUsage(whose.Customer, whose.Entitlement, whose.Period, (int)row.Meter, (int)row.Operation,
            RollupKey.BucketOf(row.OccurredAt));
        ref var sum = ref CollectionsMarshal.GetValueRefOrAddDefault(_sums, usage, out _);
        sum += row.Quantity;
    }

    public void TellTo(Action<OutsideUsage, long>? listener)
    {
        if (listener is null) return;
        foreach (var (usage, units) in _sums) listener(usage, units);
    }
}
