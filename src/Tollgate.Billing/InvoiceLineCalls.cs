using System.Data.Common;
using Dapper;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Config.File;
using Tollgate.Metering;

namespace Tollgate.Billing;

/// <summary>What stands behind a line of an invoice.</summary>
/// <param name="Meter">What the line counts.</param>
/// <param name="Stamps">Entitlement and period that its usage is stamped with.</param>
/// <param name="Covers">Whether usage of an operation and a set of dimensions, by their keys, at an instant is the line's.
/// </param>
/// <param name="Operations">Keys of those that it may be of; null for any.</param>
public sealed record LineUsage(
    Meter Meter, IReadOnlyList<(int Entitlement, int Period)> Stamps, Func<long, long, long, bool> Covers,
    IReadOnlyList<int>? Operations)
{
    /// <summary>The calls, events and samples of it.</summary>
    public CallFilter Filter => new()
    {
        Terms = Stamps,
        Operations = Operations,
        Meter = Meter.Key,
        BillableOnly = true,
        Also = call => Covers(call.Operation, call.Dimensions, call.At),
    };

    /// <summary>The rows of the rollups that it is a sum over.</summary>
    public async IAsyncEnumerable<RollupRow> RollupsAsync(DbConnection db)
    {
        await foreach (var row in RollupRows.ReadAsync(db, Meter.Key, Stamps))
            if (Covers(row.OperationKey, row.Dimensions, row.Bucket)) yield return row;
    }

    /// <summary>What the rollups come to now: what came after the invoice is in it.</summary>
    public async Task<decimal> SumAsync(DbConnection db)
    {
        if (!Meter.IsAdditive) return (await UsageStore.TogetherAsync(db, Meter.Name, Stamps)).Quantity;
        var sum = 0m;
        await foreach (var row in RollupsAsync(db)) sum += row.Quantity;
        return Meter.Unscaled(sum);
    }
}

/// <summary>
/// From a line of an invoice to the usage that it asks for: the line says the version of the prices, the time and its
/// part of the price, and usage was stamped with terms and period when it came.
/// </summary>
public static class InvoiceLineCalls
{
    /// <summary>Which usage stands behind a line; a fee has none.</summary>
    public static async Task<Result<LineUsage>> FindAsync(DbConnection db, InvoiceDocument invoice, InvoiceLine line)
    {
        if (line.Meter is null)
            return new Problem("line_without_calls", $"'{line.Description}' is a fee: no calls stand behind it.", "line");
        if (line.Kind is InvoiceLine.Maximum or InvoiceLine.Minimum)
            return new Problem("line_without_calls",
                $"'{line.Description}' keeps the price '{line.Price}' between its bounds: ask for the other lines of it.", "line");
        if (!Micros.TryParse(line.PeriodStart, out var start) || !Micros.TryParse(line.PeriodEnd, out var end))
            return new Problem("line_unreadable", "The line says no time.", "line");
        var meters = await UsageStore.MetersAsync(db);
        if (!meters.TryGetValue(line.Meter, out var meter))
            return new Problem("meter_unknown", $"There is no meter '{line.Meter}' any more.", "line");
        var (stretches, price) = await StretchesAsync(db, invoice.Subscription, line, (start, end));
        if (price is null && line.Label is not null)
            return new Problem("price_unknown", $"The price '{line.Price}' is not among the terms of that time any more.", "line");
        (int, int)[] stamps = [.. stretches.Select(e => (e.Key, e.Calendar.IndexAt(Micros.ToInstant(start))))];
        if (!meter.IsAdditive) return new LineUsage(meter, stamps, (_, _, _) => true, null);
        var part = new LinePart(line, meter.Name, price, stretches.Length > 0 ? stretches[0].Calendar.Zone : DateTimeZone.Utc)
        {
            Operations = (await db.QueryAsync<(long Key, string Operation, string Endpoint)>(
                "select key, operation, endpoint from operation_keys")).ToDictionary(o => o.Key, o => (o.Operation, o.Endpoint)),
            Sets = await DimensionSets.OfMeterAsync(db, meter.Key),
        };
        return new LineUsage(meter, stamps, part.Covers, part.Keys);
    }

    /// <summary>The terms that a line is over: those of its version at its beginning, and later ones that left its price
    /// as it was.</summary>
    private static async Task<(Entitlement[] Stretches, PriceComponent? Price)> StretchesAsync(
        DbConnection db, string subscriptionId, InvoiceLine line, (long Start, long End) time)
    {
        var subscription = await SubscriptionStore.FindAsync(db, subscriptionId)
            ?? throw new InvalidOperationException($"There is no subscription {subscriptionId}.");
        var terms = await new DraftReader(row => row.ToPlanVersion(), 0).TermsAsync(db, subscription, []);
        var within = terms.Stretches.Where(s =>
            s.Terms.StartAt < time.End && (s.Terms.EndAt ?? long.MaxValue) > time.Start).ToArray();
        foreach (var run in PeriodRating.Runs([.. within.Select(s => s.Metered)]))
            if (run.Price.Name == line.Price && within[run.Stretches[0]] is var first
                && first.Prices.Version == line.PlanVersion && first.Terms.StartAt <= time.Start)
                return ([.. run.Stretches.Select(i => within[i].Terms)], run.Price);
        return ([.. within.Where(s => s.Prices.Version == line.PlanVersion && s.Terms.StartAt <= time.Start)
            .Select(s => s.Terms)], null);
    }

    /// <summary>Tells usage of a line from that of the other lines of its price, as rating does.</summary>
    private sealed class LinePart(InvoiceLine line, string meter, PriceComponent? price, DateTimeZone zone)
    {
        private readonly Dictionary<(long, long), bool> _known = [];

        public required IReadOnlyDictionary<long, (string Operation, string Endpoint)> Operations { get; init; }

        public required IReadOnlyDictionary<int, IReadOnlyDictionary<string, string>> Sets { get; init; }

        /// <summary>Operations that usage of the line can be of, so that few records are looked at.</summary>
        public IReadOnlyList<int>? Keys => line.Operation is not null
            ? [.. Operations.Where(o => o.Value == (line.Operation, line.Endpoint ?? "")).Select(o => (int)o.Key)]
            : price?.Operations is null ? null
            : [.. Operations.Where(o => price.Covers(o.Value.Operation)).Select(o => (int)o.Key)];

        public bool Covers(long operation, long dimensions, long at)
        {
            if (price?.LooksAtHours == true) return Find(operation, dimensions, at);
            if (_known.TryGetValue((operation, dimensions), out var known)) return known;
            return _known[(operation, dimensions)] = Find(operation, dimensions, at);
        }

        private bool Find(long operation, long dimensions, long at)
        {
            var (name, endpoint) = operation == 0 ? ("", "")
                : Operations.TryGetValue(operation, out var found) ? found : ($"operation {operation}", $"operation {operation}");
            if (line.Operation is not null && (name, endpoint) != (line.Operation, line.Endpoint ?? "")) return false;
            if (price is null) return true;
            var used = new Usage(meter, name, 1)
            {
                Endpoint = endpoint,
                At = at,
                Dimensions = Sets.GetValueOrDefault((int)dimensions),
            };
            if (!price.Covers(used, zone)) return false;
            var cell = price.CellOf(used, zone);
            // units at one amount have a line for each operation, and one for usage of none
            if (line.Operation is null && name.Length > 0 && price.PriceAt(cell) is Price.PerUnit { Convert: null }) return false;
            return price.LabelOf(cell, price.ValuesOf(used)) == line.Label;
        }
    }
}
