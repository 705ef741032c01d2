using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Billing;

/// <summary>Usage that came so late that no bill looks back at it.</summary>
public sealed partial class BillingRun
{
    /// <summary>Looks at what was drained long after it was used: a bill to come tells of it, or it is marked.</summary>
    private async Task MarkLateAsync(long now, CancellationToken cancel)
    {
        var versions = new Dictionary<(string, int), PlanVersion>();
        while (await _database.ReadAsync(LateStamps.NextAsync, cancel) is { Count: > 0 } stamps)
            await _database.WriteAsync(async db =>
            {
                foreach (var stamp in stamps)
                {
                    await LateStamps.TakeAsync(db, stamp.Entitlement, stamp.Period);
                    if (await TooLateAsync(db, stamp, now, versions) is { } stretch)
                        await MarkAsync(db, stretch, stamp.Period, now);
                }
            }, cancel);
    }

    /// <summary>The stretch of usage that some price asks about and no bill to come looks at; null for none.</summary>
    private async Task<Stretch?> TooLateAsync(
        DbConnection db, (int Entitlement, int Period) stamp, long now, Dictionary<(string, int), PlanVersion> versions)
    {
        var id = await db.ExecuteScalarAsync<string?>(
            "select subscription_id from entitlements where key = @Entitlement", new { stamp.Entitlement });
        if (id is null || await InvoiceStore.OfSubscriptionAsync(db, id) is not { } billed) return null;
        var terms = await _reader.TermsAsync(db, billed.Subscription, versions);
        foreach (var bill in ToCome(terms, billed).Take(_maxBills + 1))
        {
            if (_reader.Stamps(terms, bill).Contains(stamp)) return null;
            // the next one to come looks back the furthest
            if (bill.LateBefore is not null && bill.BillAt > now) break;
        }

        return terms.Stretches.FirstOrDefault(s => s.Terms.Key == stamp.Entitlement);
    }

    /// <summary>Unless an invoice has told of all of it.</summary>
    private static async Task MarkAsync(DbConnection db, Stretch stretch, int period, long now)
    {
        var entitlement = stretch.Terms.Key;
        var used = await UsageStore.OfEntitlementAsync(db, entitlement, period);
        var told = (await ToldUsageStore.FindAsync(db, entitlement, period))?.Read() ?? [];
        if (used.Any(u => Drafting.Asks(stretch, u)) && !Totals(used).SequenceEqual(Totals(told)))
            await ToldUsageStore.MarkAsync(db, entitlement, period, (long)used.Sum(u => u.Quantity), now);

        static IEnumerable<(string Meter, decimal)> Totals(IReadOnlyList<OperationUsage> usage) => usage.GroupBy(u => u.Meter)
            .Select(g => (g.Key, g.Sum(u => u.Quantity))).Where(t => t.Item2 != 0).OrderBy(t => t.Key, StringComparer.Ordinal);
    }
}
