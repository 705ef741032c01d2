using NodaTime;

namespace Tollgate.Catalog;

/// <summary>Usage of a price that has a line, and tiers, of its own.</summary>
/// <param name="Price">The price's own, or that of the cell of its matrix.</param>
/// <param name="Label">What tells it from the others; null for nothing.</param>
internal sealed record Group(Price Price, string? Label)
{
    private bool _mixed;
    private Usage? _first;

    /// <summary>Operation and endpoint, when all of it is of the same; null for usage of no operation.</summary>
    public Usage? Single => _mixed || _first is { Operation: "" } ? null : _first;

    public decimal Quantity { get; private set; }

    /// <summary>In priced units: of its quantity, or what there is of it when it is not told yet what is consumed.</summary>
    public decimal Included { get; set; }

    public List<long> FreeUntil { get; } = [];

    /// <summary>What of it is paid with credit in units.</summary>
    public List<UnitBurn> Burns { get; } = [];

    public decimal Credited => Burns.Sum(b => b.Units);

    /// <summary>One by one, in order of time.</summary>
    public List<(decimal Value, long At)> Events { get; } = [];

    /// <summary>When the so-manieth events were; none for 0.</summary>
    public IEnumerable<long> TimesOf(params int[] counts) =>
        counts.Where(c => c > 0 && Events.Count > 0).Select(c => Events[Math.Min(c, Events.Count) - 1].At);

    public void Add(in Usage used)
    {
        Quantity = Exact.Add(Quantity, used.Total);
        if (Price is Price.Percentage { LooksAtEvents: true })
            for (var i = 0L; i < Math.Max(1, used.Events); i++) Events.Add((used.Quantity, used.At));
        if (_mixed) return;
        _first ??= used;
        _mixed = (_first.Value.Operation, _first.Value.Endpoint) != (used.Operation, used.Endpoint);
    }
}

/// <summary>
/// Tells usage of a price apart. Units at one amount have a line for each operation; what has tiers, packages or
/// events fills them together. A price with a matrix, or that is told apart by dimensions, has such a line for each
/// cell and each combination of values.
/// </summary>
internal static class UsageGroups
{
    /// <summary>The usage that a price is for, in the order in which included units are consumed.</summary>
    public static Usage[] InOrder(PriceComponent price, IEnumerable<Usage> usage, DateTimeZone zone) =>
        [.. usage.Where(u => (u.Quantity != 0 || u.Events > 0) && u.Meter == price.Meter && price.Covers(u, zone))
            .OrderBy(u => u.At).ThenBy(u => u.Operation, StringComparer.Ordinal)
            .ThenBy(u => u.Endpoint, StringComparer.Ordinal)
            .ThenBy(u => DimensionText.Of(u.Dimensions), StringComparer.Ordinal)];

    /// <param name="used">As <see cref="InOrder"/> gives it.</param>
    /// <param name="burns">What of each item is paid with credit in units; null for nothing.</param>
    public static IEnumerable<Group> Of(
        PriceComponent price, Usage[] used, decimal included, DateTimeZone zone, List<UnitBurn>?[]? burns = null)
    {
        if (!price.IsSplit && price.Price is not Price.PerUnit { Convert: null })
        {
            var all = new Group(price.Price, null) { Included = included };
            for (var i = 0; i < used.Length; i++)
            {
                all.Add(used[i]);
                all.Burns.AddRange(burns?[i] ?? []);
            }

            return [all];
        }

        var groups = new SortedDictionary<GroupKey, Group>();
        var left = included;
        for (var i = 0; i < used.Length; i++)
        {
            var u = used[i];
            var key = GroupKey.Of(price, u, zone);
            if (!groups.TryGetValue(key, out var group))
                groups[key] = group = new Group(price.PriceAt(key.Cell), price.LabelOf(key.Cell, key.Values));
            group.Add(u);
            group.Burns.AddRange(burns?[i] ?? []);
            if (left == 0 && u.Total > 0) continue;
            // what a correction takes back is included again
            var free = u.Total < 0 ? Math.Max(u.Total, -group.Included) : Math.Min(u.Total, left);
            (left, group.Included) = (left - free, group.Included + free);
            if (left == 0) group.FreeUntil.Add(u.At);
        }

        return groups.Values;
    }

    /// <summary>Cells in the order of the matrix and what none of them holds behind them; in each by values, then by
    /// operation.</summary>
    private readonly record struct GroupKey(int Cell, IReadOnlyList<string> Values, string Operation, string Endpoint)
        : IComparable<GroupKey>
    {
        public static GroupKey Of(PriceComponent price, in Usage used, DateTimeZone zone)
        {
            var cell = price.CellOf(used, zone);
            var ofOperation = price.PriceAt(cell) is Price.PerUnit { Convert: null };
            return new GroupKey(cell, price.ValuesOf(used), ofOperation ? used.Operation : "", ofOperation ? used.Endpoint : "");
        }

        public int CompareTo(GroupKey other)
        {
            var order = Cell.CompareTo(other.Cell);
            for (var i = 0; order == 0 && i < Values.Count; i++)
                order = string.CompareOrdinal(Values[i], other.Values[i]);
            if (order == 0) order = string.CompareOrdinal(Operation, other.Operation);
            return order == 0 ? string.CompareOrdinal(Endpoint, other.Endpoint) : order;
        }
    }
}

/// <summary>Sets of dimensions as text.</summary>
public static class DimensionText
{
    /// <summary>In one order, so that equal sets are equal text.</summary>
    public static string Of(IReadOnlyDictionary<string, string>? dimensions) => dimensions is null or { Count: 0 } ? ""
        : string.Join('\n', dimensions.OrderBy(d => d.Key, StringComparer.Ordinal).Select(d => $"{d.Key}\t{d.Value}"));
}
