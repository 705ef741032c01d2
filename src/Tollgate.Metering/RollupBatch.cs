using System.Runtime.InteropServices;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>One row of the rollups: whose usage, of what, in which quarter of an hour.</summary>
internal readonly record struct RollupKey(
    int Entitlement, int Period, int Consumer, int Meter, int Operation, byte Method, int Dimensions, long Bucket)
    : IComparable<RollupKey>
{
    // the drain looks a key up for each record: what differs between rows of one batch decides
    public override int GetHashCode()
    {
        var hash = ((uint)Entitlement * 0x9E3779B1u) ^ ((uint)Consumer * 0x85EBCA6Bu) ^ ((uint)Operation * 0xC2B2AE35u)
            ^ ((uint)Meter * 0x27D4EB2Fu) ^ (uint)(Bucket / UsageStore.Bucket) ^ ((uint)Dimensions << 8) ^ Method;
        return (int)(hash ^ (hash >> 15));
    }

    public bool Equals(RollupKey other) => Entitlement == other.Entitlement && Consumer == other.Consumer
        && Bucket == other.Bucket && Operation == other.Operation && Meter == other.Meter && Period == other.Period
        && Method == other.Method && Dimensions == other.Dimensions;

    /// <summary>The order of the primary key.</summary>
    public int CompareTo(RollupKey other)
    {
        var order = Entitlement.CompareTo(other.Entitlement);
        if (order == 0) order = Period.CompareTo(other.Period);
        if (order == 0) order = Consumer.CompareTo(other.Consumer);
        if (order == 0) order = Meter.CompareTo(other.Meter);
        if (order == 0) order = Operation.CompareTo(other.Operation);
        if (order == 0) order = Method.CompareTo(other.Method);
        if (order == 0) order = Dimensions.CompareTo(other.Dimensions);
        return order == 0 ? Bucket.CompareTo(other.Bucket) : order;
    }


    public static RollupKey Of(in Admission a, int meter, int dimensions) => new(
        a.Entitlement, a.Period, a.Consumer, meter, a.Operation, a.Method, dimensions, BucketOf(a.AdmittedAt));

    /// <summary>The start of the quarter of an hour, also before 1970.</summary>
    public static long BucketOf(long at) => at - ((at % UsageStore.Bucket + UsageStore.Bucket) % UsageStore.Bucket);
}

/// <summary>What is added to a row of the rollups.</summary>
internal readonly record struct RollupSum(long Admitted, long Quantity, long Unknown, long Items, long LatestAt)
{
    /// <summary>Quantities stop here, either side: a sum that would pass it stays at it, and no record can keep the
    /// drain from going on. Nine thousand measurements of the largest size in one quarter of an hour reach it.</summary>
    public const long MostQuantity = 9_000_000_000_000_000_000;

    public RollupSum With(Aggregation aggregation, in RollupSum other)
    {
        var quantity = Items == 0 && Quantity == 0 ? other.Quantity
            : other.Items == 0 && other.Quantity == 0 ? Quantity
            : aggregation switch
            {
                Aggregation.Max => Math.Max(Quantity, other.Quantity),
                Aggregation.Min => Math.Min(Quantity, other.Quantity),
                Aggregation.Latest => other.LatestAt >= LatestAt ? other.Quantity : Quantity,
                _ => Plus(Quantity, other.Quantity),
            };
        return new RollupSum(Admitted + other.Admitted, quantity, Unknown + other.Unknown, Items + other.Items,
            Math.Max(LatestAt, other.LatestAt));
    }

    private static long Plus(long a, long b) => (long)Int128.Clamp((Int128)a + b, -MostQuantity, MostQuantity);
}

/// <summary>A value of a unique count, and where it was seen.</summary>
internal readonly record struct UniqueValue(RollupKey Row, long Hash);

/// <summary>The records of one transaction, added up. Pure: what it makes of records is decided by them alone.</summary>
internal sealed class RollupBatch(
    IReadOnlyDictionary<int, Aggregation> meters, IReadOnlySet<int> keeping, uint journal, Dictionary<RollupKey, RollupSum> sums)
{
    /// <summary>Of meters that keep each of their values.</summary>
    public Dictionary<SingleKey, long> Singles { get; } = [];

    public Dictionary<RollupKey, RollupSum> Sums => sums;

    public HashSet<UniqueValue> Uniques { get; } = [];

    /// <summary>Admitted in this batch, and not settled in it.</summary>
    public Dictionary<ulong, Admission> Opened { get; } = [];

    /// <summary>Settled in this batch, and admitted in an earlier one.</summary>
    public List<ulong> Closed { get; } = [];

    /// <summary>Adds a record of a call. Records of events are added once it is known whose they are.</summary>
    public void AddCall(in JournalRecord record)
    {
        switch (record.Kind)
        {
            case RecordKind.Admitted:
                Opened[record.Sequence] = record.Admission;
                Add(RollupKey.Of(record.Admission, Meter.CallsKey, 0), new RollupSum(1, 0, 0, 0, 0));
                break;
            case RecordKind.Settled:
                if (!Opened.Remove(record.AdmissionSequence)) Closed.Add(record.AdmissionSequence);
                if (record.Billable)
                    AddUnits(RollupKey.Of(record.Admission, Meter.CallsKey, 0), record.Quantity, record.Admission.AdmittedAt);
                break;
            case RecordKind.Measured:
                AddUnits(RollupKey.Of(record.Admission, record.Meter, record.Dimensions), record.Quantity,
                    record.Admission.AdmittedAt);
                AddSingle(record);
                break;
            case RecordKind.Corrected:
                // what is taken back was counted as a measurement before: it is not one more
                Add(RollupKey.Of(record.Admission, record.Meter, record.Dimensions),
                    new RollupSum(0, record.Quantity, 0, 0, record.Admission.AdmittedAt));
                AddSingle(record);
                break;
        }
    }

    /// <summary>Adds one measurement of a meter.</summary>
    public void AddUnits(in RollupKey row, long quantity, long at)
    {
        if (AggregationOf(row.Meter) != Aggregation.UniqueCount)
        {
            Add(row, new RollupSum(0, quantity, 0, 1, at));
            return;
        }

        Uniques.Add(new UniqueValue(row, quantity));
        Add(row, new RollupSum(0, 0, 0, 1, at));
    }

    /// <summary>Adds one measurement out of an event.</summary>
    public void AddOutside(in RollupKey row, UnattributedRow of)
    {
        AddUnits(row, of.Quantity, of.OccurredAt);
        if (keeping.Contains(row.Meter))
            AddSingle(SingleKey.Of(row, of.OccurredAt, (uint)of.Journal, (ulong)of.Sequence), of.Quantity);
    }

    /// <summary>A call whose process died before it could say how it ended.</summary>
    public void AddUnknown(in Admission admission) =>
        Add(RollupKey.Of(admission, Meter.CallsKey, 0), new RollupSum(0, 0, 1, 0, 0));

    public Aggregation AggregationOf(int meter) =>
        meter == Meter.CallsKey ? Aggregation.Sum : meters.GetValueOrDefault(meter, Aggregation.Sum);

    private void AddSingle(in JournalRecord record)
    {
        if (!keeping.Contains(record.Meter)) return;
        var row = RollupKey.Of(record.Admission, record.Meter, record.Dimensions);
        AddSingle(SingleKey.Of(row, record.Admission.AdmittedAt, journal, record.AdmissionSequence), record.Quantity);
    }

    private void AddSingle(in SingleKey key, long quantity) =>
        CollectionsMarshal.GetValueRefOrAddDefault(Singles, key, out _) += quantity;

    private void Add(in RollupKey key, in RollupSum sum)
    {
        ref var before = ref CollectionsMarshal.GetValueRefOrAddDefault(sums, key, out var known);
        before = known ? before.With(AggregationOf(key.Meter), sum) : sum;
    }
}
