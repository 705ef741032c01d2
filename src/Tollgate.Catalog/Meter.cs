namespace Tollgate.Catalog;

/// <summary>How the measurements of a meter become one number.</summary>
public enum Aggregation : byte { Count, Sum, Max, Min, Average, UniqueCount, Latest }

/// <summary>
/// What is counted, and how. Key, aggregation and scale never change once usage may be stored under them.
/// </summary>
/// <param name="Key">Stands for the name in the journal and the rollups, for ever; <see cref="CallsKey"/> is calls.
/// </param>
/// <param name="Scale">Digits after the point, 0 to 9: quantities are stored as whole numbers × 10^scale.</param>
public sealed record Meter(int Key, string Name, Aggregation Aggregation, int Scale)
{
    /// <summary>Whether each measurement is kept with its time beside the sums, so that prices may look at single ones.
    /// </summary>
    public bool KeepsValues { get; init; }

    /// <summary>The meter that always exists: every billable call.</summary>
    public const string CallsName = "calls";

    public const int CallsKey = 1;

    public const int MaxScale = 9;

    /// <summary>The largest amount of one measurement, × 10^scale: thousands of the largest still fit into one sum.
    /// </summary>
    public const long MaxQuantity = 1_000_000_000_000_000;

    private static readonly string[] s_names = ["count", "sum", "max", "min", "average", "unique_count", "latest"];

    public static Meter Calls { get; } = new(CallsKey, CallsName, Aggregation.Count, 0);

    /// <summary>The aggregations by their names in files, in the order of the enum.</summary>
    public static IReadOnlyList<string> AggregationNames => s_names;

    /// <summary>Whether quantities of several operations, consumers or buckets may be added up.</summary>
    public bool IsAdditive => Aggregation is Aggregation.Count or Aggregation.Sum;

    public static string NameOf(Aggregation aggregation) => s_names[(int)aggregation];

    public static Aggregation? FindAggregation(string name) =>
        Array.IndexOf(s_names, name) is >= 0 and var at ? (Aggregation)at : null;

    /// <summary>A stored whole number as the quantity that it stands for, exactly.</summary>
    public decimal Unscaled(decimal quantity) => quantity / PowerOfTen(Scale);

    /// <summary>The number that a tally comes to. An average is rounded half away from zero to the meter's scale; all
    /// others are exact. Nothing measured is 0.</summary>
    public decimal ValueOf(in Tally tally)
    {
        if (Aggregation == Aggregation.UniqueCount) return tally.Items;
        if (Aggregation != Aggregation.Average) return Unscaled(tally.Quantity);
        return tally.Items == 0 ? 0
            : Unscaled(decimal.Round(tally.Quantity / tally.Items, MidpointRounding.AwayFromZero));
    }

    public static decimal PowerOfTen(int exponent)
    {
        decimal power = 1;
        for (var i = 0; i < exponent; i++) power *= 10;
        return power;
    }
}

/// <summary>
/// Measurements put together: enough to put two tallies together again, in any order, for every aggregation but the
/// unique count, whose values are kept one by one.
/// </summary>
/// <param name="Quantity">× 10^scale: the sum, the largest, the smallest or the latest.</param>
/// <param name="Items">How many measurements; of a unique count, how many values.</param>
/// <param name="LatestAt">When the latest of them was, microseconds UTC.</param>
public readonly record struct Tally(decimal Quantity, long Items, long LatestAt)
{
    /// <summary>Both together. Of two that are equally late the second counts.</summary>
    public Tally With(Aggregation aggregation, in Tally other)
    {
        if (Items == 0 && Quantity == 0) return other;
        if (other.Items == 0 && other.Quantity == 0) return this;
        var quantity = aggregation switch
        {
            Aggregation.Max => Math.Max(Quantity, other.Quantity),
            Aggregation.Min => Math.Min(Quantity, other.Quantity),
            Aggregation.Latest => other.LatestAt >= LatestAt ? other.Quantity : Quantity,
            _ => Quantity + other.Quantity,
        };
        return new Tally(quantity, Items + other.Items, Math.Max(LatestAt, other.LatestAt));
    }
}
