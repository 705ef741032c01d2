using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
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
        if (!Micros.TryParse(line.PeriodStart, out var start) || !Micros.TryParse(line.PeriodEnd, out var end))
            return new Problem("line_unreadable", "The line says no time.", "line");
        var stretches = (await EntitlementStore.OfSubscriptionAsync(db, invoice.Subscription))
            .Where(e => e.PlanVersion == line.PlanVersion && e.StartAt < end && (e.EndAt ?? long.MaxValue) > start
                && Math.Max(e.StartAt, start) == start).ToArray();
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
                : await CoveredAsync(db, stretches, line, operations),
            Meter = meter.Value,
            BillableOnly = true,
        };
    }

    /// <summary>A line over several operations is of those that its price covers.</summary>
    private static async Task<IReadOnlyList<int>?> CoveredAsync(
        DbConnection db, Entitlement[] stretches, InvoiceLine line, (long Key, string Operation, string Endpoint)[] operations)
    {
        if (stretches.FirstOrDefault() is not { } terms) return [];
        var version = (await ConfigStore.VersionsAsync(db, terms.PlanId)).FirstOrDefault(v => v.Version == line.PlanVersion);
        var price = version?.ToPlanVersion().Prices.FirstOrDefault(p => p.Name == line.Price);
        return price?.Operations is null
            ? null
            : [.. operations.Where(o => price.Covers(o.Operation)).Select(o => (int)o.Key)];
    }
}
