using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config.File;
using Tollgate.Metering;

namespace Tollgate.Billing;

/// <summary>
/// From a line of an invoice to the calls that it asks for: the line says the version of the prices and the time, and
/// the calls were stamped with terms and period when they were let in.
/// </summary>
public static class InvoiceLineCalls
{
    /// <summary>Which calls stand behind a line; a fee has none.</summary>
    public static async Task<Result<CallFilter>> FilterAsync(DbConnection db, InvoiceDocument invoice, InvoiceLine line)
    {
        if (line.Meter is null)
            return new Problem("line_without_calls", $"'{line.Description}' is a fee: no calls stand behind it.", "line");
        if (line.Label is not null) return Part(line);
        if (!Micros.TryParse(line.PeriodStart, out var start) || !Micros.TryParse(line.PeriodEnd, out var end))
            return new Problem("line_unreadable", "The line says no time.", "line");
        var (stretches, price) = await StretchesAsync(db, invoice.Subscription, line, (start, end));
        // the records of calls do not tell apart what the price does: more would be listed than is asked for
        if (price is not null && !price.Scope.IsAll) return Part(line);
        var meter = line.Meter == UsageStore.Calls
            ? UsageStore.CallsKey
            : await db.ExecuteScalarAsync<int?>("select key from meter_keys where name = @Meter", new { line.Meter });
        if (meter is null) return new Problem("meter_unknown", $"There is no meter '{line.Meter}' any more.", "line");
        var operations = (await db.QueryAsync<(long Key, string Operation, string Endpoint)>(
            "select key, operation, endpoint from operation_keys")).ToArray();
        return new CallFilter
        {
            Terms = [.. stretches.Select(e => (e.Key, e.Calendar.IndexAt(Micros.ToInstant(start))))],
            Operations = line.Operation is not null
                ? [.. operations.Where(o => o.Operation == line.Operation && o.Endpoint == line.Endpoint).Select(o => (int)o.Key)]
                : price?.Operations is null ? null : [.. operations.Where(o => price.Covers(o.Operation)).Select(o => (int)o.Key)],
            Meter = meter.Value,
            BillableOnly = true,
        };
    }

    private static Problem Part(InvoiceLine line) => new("line_is_a_part",
        $"'{line.Description}' is a part of the usage of its meter, told apart by dimensions or times. " +
        "GET /v1/usage tells it by dimensions and by hours.", "line");

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
}
