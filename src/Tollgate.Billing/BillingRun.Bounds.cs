using System.Data.Common;
using Tollgate.Catalog;

namespace Tollgate.Billing;

public sealed partial class BillingRun
{
    /// <summary>A problem when an invoice is out of all proportion to those before it.</summary>
    private async Task<Problem?> GrownAsync(DbConnection db, ReadDraft read)
    {
        var (period, lines) = (read.Draft.Bill.Period, read.Draft.Lines.Count);
        var days = Math.Max(1, Math.Ceiling((period.End - period.Start).TotalDays));
        if (lines > _maxLines * days)
            return new Problem("too_many_lines", $"{read.Draft.Subscription.Id}: its invoice at " +
                $"{Micros.ToText(read.Draft.Bill.BillAt)} has {lines} lines, more than {_maxLines} for each of its {days} " +
                $"days. It is not issued. When it is right: POST /v1/invoices/{read.Document.Id}/finalize.");
        var total = read.Draft.Total;
        if (_maxGrowth == 0 || total.Amount <= _growthFloor) return null;
        var before = await InvoiceStore.TotalsAsync(db, read.Draft.Subscription.Key, total.Currency.Code);
        if (before.Count < InvoiceStore.LeastHistory) return null;
        var largest = new Money(before.Max(), total.Currency);
        if (total.MinorUnits <= (decimal)largest.MinorUnits * _maxGrowth) return null;
        return new Problem("grown_too_much", $"{read.Draft.Subscription.Id}: its invoice at " +
            $"{Micros.ToText(read.Draft.Bill.BillAt)} comes to {total}, more than {_maxGrowth} times the largest of those " +
            $"before ({largest}). It is not issued. When it is right: POST /v1/invoices/{read.Document.Id}/finalize.");
    }
}
