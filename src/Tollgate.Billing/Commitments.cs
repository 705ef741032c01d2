using NodaTime;
using Tollgate.Catalog;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>
/// What brings the usage and the fees in arrears of a period up to a minimum, or down to a maximum: a line of its own,
/// after all others are rounded (money.md 12). The bound is for a whole period, and prorated for a part of one.
/// </summary>
internal static class Commitments
{
    public static IEnumerable<DraftLine> Of(
        SubscriptionTerms terms, Bill bill, IReadOnlyList<DraftLine> settled, IReadOnlyList<CommitmentRow> commitments)
    {
        if (bill.Settles is not { } index || commitments.Count == 0) yield break;
        var at = Micros.ToInstant(bill.BillAt);
        var era = Era.Of(terms).First(e => !e.Whole.IsEmpty && e.Whole.Start < at && at <= e.Whole.End);
        var full = era.Calendar.PeriodOf(index);
        var version = settled.Count > 0 ? settled[^1].PlanVersion : terms.Stretches[^1].Prices.Version;
        foreach (var c in commitments)
        {
            var part = bill.Period.Intersect(new Period(
                Micros.ToInstant(c.StartAt), c.EndAt is { } end ? Micros.ToInstant(end) : Instant.MaxValue));
            var units = part.IsEmpty ? 0 : Fees.Units(terms, era.Calendar, part);
            if (units == 0) continue;
            var currency = Currency.Of(c.Currency);
            var factor = new Proration(units, Fees.Units(terms, era.Calendar, full));
            var bound = Money.Round(factor.Of(new Money(c.Amount, currency).Amount), currency);
            var spent = settled.Where(l => l.Amount.Currency == currency)
                .Aggregate(Money.Zero(currency), (sum, l) => sum + l.Amount);
            var difference = bound - spent;
            var isMinimum = c.Kind == CommitmentRow.Minimum;
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
}
