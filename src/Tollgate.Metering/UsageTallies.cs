using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>A row of the store: columns that were not asked for stay at null. Read by property, since SQLite does not
/// know the type of a computed column before there is a row.</summary>
internal sealed class UsageSum
{
    public long Bucket { get; init; }

    public long Meter { get; init; }

    public string? Consumer { get; init; }

    public string? Customer { get; init; }

    public string? Api { get; init; }

    public string? Operation { get; init; }

    public string? Endpoint { get; init; }

    public long? Method { get; init; }

    public long Dimensions { get; init; }

    /// <summary>Of a unique count the hash of one value.</summary>
    public long Quantity { get; init; }

    public long Admitted { get; init; }

    public long Unknown { get; init; }

    public long Items { get; init; }

    public long LatestAt { get; init; }

    public Tally Tally => new(Quantity, Items, LatestAt);
}

/// <summary>The rows of one window, put together by groups as the meter says.</summary>
internal sealed class UsageTallies(Meter meter)
{
    private readonly SortedDictionary<Group, (Tally Tally, long Admitted, HashSet<long>? Values)> _groups = [];

    public int Count => _groups.Count;

    /// <summary>Different values that are held to be counted.</summary>
    public int Values { get; private set; }

    public void Add(UsageSum row, IEnumerable<string?> dimensions)
    {
        var group = new Group(row, [.. dimensions]);
        _groups.TryGetValue(group, out var sum);
        if (meter.Aggregation == Aggregation.UniqueCount)
        {
            sum.Values ??= [];
            if (sum.Values.Add(row.Quantity)) Values++;
        }
        else
        {
            sum.Tally = sum.Tally.With(meter.Aggregation, row.Tally);
            sum.Admitted = checked(sum.Admitted + row.Admitted);
        }

        _groups[group] = sum;
    }

    /// <summary>The answer's rows of the window, in order of the names of the groups; then the next may begin.</summary>
    public IReadOnlyList<UsageRow> Close(long? start, long? end)
    {
        var rows = _groups.Select(g => g.Key.Row(
            g.Value.Values?.Count ?? meter.ValueOf(g.Value.Tally), g.Value.Admitted, start, end)).ToArray();
        _groups.Clear();
        Values = 0;
        return rows;
    }

    private sealed class Group(UsageSum row, string?[] dimensions) : IComparable<Group>
    {
        private readonly string?[] _texts =
            [row.Customer, row.Consumer, row.Operation, row.Api, row.Endpoint, .. dimensions];

        private readonly long? _method = row.Method;

        public int CompareTo(Group? other)
        {
            for (var i = 0; i < _texts.Length; i++)
            {
                var order = string.CompareOrdinal(_texts[i], other!._texts[i]);
                if (order != 0) return order;
            }

            return Nullable.Compare(_method, other!._method);
        }

        public UsageRow Row(decimal value, long admitted, long? start, long? end) => new(value, admitted)
        {
            WindowStart = start,
            WindowEnd = end,
            Customer = _texts[0],
            Consumer = _texts[1],
            Api = _texts[3],
            Operation = _texts[2],
            Endpoint = _texts[4],
            Method = (int?)_method,
            Dimensions = _texts[5..],
        };
    }
}
