namespace Tollgate.Gateway;

/// <summary>What was used of one price, as every node names it.</summary>
/// <param name="Entitlement">Its key.</param>
/// <param name="Period">Index of the billing period.</param>
/// <param name="Price">Its name in the terms of the entitlement.</param>
/// <param name="At">When, by quarters of an hour; microseconds UTC.</param>
internal readonly record struct UsedRow(int Entitlement, int Period, string Price, long At);

/// <summary>
/// What this node has settled and a base does not hold yet. Each settlement is known by its record in the journal, and a base
/// by the position to which it has that journal: so what is in a base and what is on top of it is told apart exactly, however
/// many calls end while the base is read. Guarded by who holds it.
/// </summary>
internal sealed class Unstored
{
    /// <summary>Beyond so many the older ones are summed up, and are told apart no more.</summary>
    internal const int Most = 8_192;

    private readonly Dictionary<UsedRow, decimal> _sums = [];
    private List<Item> _items = [];

    /// <summary>By price and time.</summary>
    public IReadOnlyDictionary<UsedRow, decimal> Sums => _sums;

    /// <param name="sequence">Of the record in the journal.</param>
    /// <param name="row">What was used.</param>
    /// <param name="units">Of the meter; below zero for what is taken back.</param>
    public void Add(ulong sequence, in UsedRow row, decimal units)
    {
        if (units == 0) return;
        if (_items.Count >= Most) SumUp();
        _items.Add(new Item(sequence, sequence, row, units));
        Sum(row, units);
    }

    /// <summary>A base holds everything before a position.</summary>
    /// <returns>False when it holds some of what was summed up: that counts on, so too much is counted, and a later base
    /// mends it.</returns>
    public bool Forget(ulong position)
    {
        var exact = true;
        var kept = new List<Item>();
        _sums.Clear();
        foreach (var item in _items)
        {
            if (item.Last < position) continue;
            exact &= item.First >= position;
            kept.Add(item);
            Sum(item.Row, item.Units);
        }

        _items = kept;
        return exact;
    }

    private void SumUp()
    {
        var half = _items.Count / 2;
        _items =
        [
            .. _items.Take(half).GroupBy(i => i.Row)
                .Select(g => new Item(g.Min(i => i.First), g.Max(i => i.Last), g.Key, g.Sum(i => i.Units))),
            .. _items.Skip(half),
        ];
    }

    private void Sum(in UsedRow row, decimal units)
    {
        var sum = _sums.GetValueOrDefault(row) + units;
        if (sum == 0) _sums.Remove(row);
        else _sums[row] = sum;
    }

    private readonly record struct Item(ulong First, ulong Last, UsedRow Row, decimal Units);
}
