using NodaTime;
using Tollgate.Catalog;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>
/// What brings a period up to a minimum spend, or down to a maximum: a line of its own, after all others are rounded
/// (money.md 12). What a period costs is its usage, its fees in arrears, and of the fees in advance on the invoices before
/// the part that is for it; each without what coupons of its price take off. A minimum is prorated by the days that cost
/// something; a maximum is not.
/// </summary>
internal static class Commitments
{
    public static IEnumerable<DraftLine> Of(
        SubscriptionTerms terms, Bill bill, IReadOnlyList<DraftLine> settled, DraftInputs inputs)
    {
        var commitments = inputs.Agreed.Commitments;
        if (bill.Settles is not { } index || commitments.Count == 0) yield break;
        var at = Micros.ToInstant(bill.BillAt);
        var era = Era.Of(terms).First(e => !e.Whole.IsEmpty && e.Whole.Start < at && at <= e.Whole.End);
        var full = era.Calendar.PeriodOf(index);
        var version = settled.Count > 0 ? settled[^1].PlanVersion : terms.Stretches[^1].Prices.Version;
        foreach (var c in commitments)
        {
            var part = bill.Period.Intersect(new Period(
                Micros.ToInstant(c.StartAt), c.EndAt is { } end ? Micros.ToInstant(end) : Instant.MaxValue));
            var units = Active(terms, era, part);
            if (units == 0) continue;
            var currency = Currency.Of(c.Currency);
            var isMinimum = c.Kind == CommitmentRow.Minimum;
            var amount = new Money(c.Amount, currency);
            var bound = isMinimum
                ? Money.Round(new Proration(units, Fees.Units(terms, era.Calendar, full)).Of(amount.Amount), currency)
                : amount;
            var spent = settled.Where(l => l.Amount.Currency == currency)
                .Aggregate(InAdvance(terms, era, bill, inputs.Charged, currency), (sum, l) => sum + l.Charged);
            var difference = bound - spent;
            if (isMinimum ? difference.MinorUnits <= 0 : difference.MinorUnits >= 0) continue;
            yield return new DraftLine(
                new RatedLine
                {
                    PriceName = isMinimum ? "minimum spend" : "maximum spend",
                    Kind = isMinimum ? LineKind.Minimum : LineKind.Maximum,
                    UnitAmount = difference.Amount,
                    PreciseAmount = difference.Amount,
                }, difference, version, null, part);
        }
    }

    /// <summary>Days, or seconds, of a time that are neither trial nor pause.</summary>
    private static int Active(SubscriptionTerms terms, Era era, Period part) => era.Stretches
        .Where(s => s.Phase == Phase.Active)
        .Select(s => part.Intersect(Fees.Of(s))).Where(p => !p.IsEmpty)
        .Sum(p => Fees.Units(terms, era.Calendar, p));

    /// <summary>What invoices before have charged in advance for the time of this bill, credits taken off; of a fee that
    /// goes on beyond it the part by days.</summary>
    private static Money InAdvance(
        SubscriptionTerms terms, Era era, Bill bill, IReadOnlyList<BilledFee> charged, Currency currency)
    {
        var sum = Money.Zero(currency);
        foreach (var fee in charged.Where(f => f.Charged.Currency == currency))
        {
            var within = fee.Period.Intersect(bill.Period);
            if (within.IsEmpty) continue;
            var (units, of) = (Fees.Units(terms, era.Calendar, within), Fees.Units(terms, era.Calendar, fee.Period));
            sum += units >= of ? fee.Charged : Money.Round(fee.Charged.Amount * units / of, currency);
        }

        return sum;
    }
}
