using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Billing;

/// <summary>
/// Usage by quarters of an hour in few rows that cost the same: what an invoice told is kept for years. Quarters of an
/// hour are put together where nothing changes between them: neither runs an allowance out there, nor does one of them
/// lie in another band of the week.
/// </summary>
internal static class Compact
{
    /// <summary>As an issued invoice notes it. Where credit in units is burnt nothing is put together: which usage it paid
    /// depends on each quarter of an hour.</summary>
    public static IEnumerable<ToldUsage> Told(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage)
    {
        var byTime = usage.Values.Any(rows => rows.Any(u => u.At != 0));
        long[] cuts = !byTime ? [] : terms.Stretches.Any(s => s.Credited.Count > 0)
            ? [.. usage.Values.SelectMany(rows => rows.Select(u => u.At)).Distinct().Order()] : [.. Drafting.Used(terms, bill, usage)
            .SelectMany(l => l.Rated.FreeUntil).Distinct().Order()];
        return Of(terms, bill, usage, cuts);
    }

    /// <summary>The same without a look at allowances: equal when nothing was added since.</summary>
    public static ToldUsage[] Compared(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage) =>
        [.. Of(terms, bill, usage, [])];

    private static IEnumerable<ToldUsage> Of(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage, long[] cuts) =>
        Bills.Settled(terms, bill).Select(s => ToldUsage.Of(
            s.Stretch.Terms.Key, s.Period, Merged(usage[s.Stretch.Terms.Key], s.Stretch, cuts)));

    private static IReadOnlyList<OperationUsage> Merged(IReadOnlyList<OperationUsage> usage, Stretch stretch, long[] cuts)
    {
        if (usage.All(u => u.At == 0)) return usage;
        WeekTimes[] bands = [.. stretch.Metered.Prices
            .SelectMany(p => p.Matrix.Select(c => c.Scope.When).Prepend(p.Scope.When)).OfType<WeekTimes>()];
        var zone = stretch.Terms.Calendar.Zone;
        return
        [
            .. usage.Where(u => u.At == 0),
            .. usage.Where(u => u.At != 0)
                .GroupBy(u => (u.Meter, u.Operation, u.Api, u.Endpoint, DimensionText.Of(u.Dimensions), PlaceOf(u.At),
                    Each: u.Events == 0 ? (decimal?)null : u.Quantity / u.Events))
                .Select(g => g.First() with
                {
                    At = g.Min(u => u.At),
                    Admitted = g.Sum(u => u.Admitted),
                    Quantity = g.Sum(u => u.Quantity),
                    Unknown = g.Sum(u => u.Unknown),
                    Events = g.Sum(u => u.Events),
                }),
        ];

        string PlaceOf(long at)
        {
            var cut = Array.BinarySearch(cuts, at);
            var between = cut >= 0 ? $"={cut}" : $"{~cut}";
            return bands.Length == 0 ? between
                : between + " " + string.Concat(bands.Select(b => b.Holds(at, zone) ? '1' : '0'));
        }
    }
}
