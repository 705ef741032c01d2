using NodaTime;
using Tollgate.Catalog;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>A fee in advance as an invoice has it: a charge, or a credit of what was not used.</summary>
/// <param name="UnitAmount">For one, for a whole period.</param>
/// <param name="Amount">What was asked for it: without its share of coupons, promotional credit and credit notes. Negative for a
/// credit.</param>
public sealed record BilledFee(string Name, decimal UnitAmount, decimal Quantity, Period Period, Money Amount)
{
    /// <summary>Days, or seconds, of a whole period of the fee; 0 when the charge was for a whole one.</summary>
    public required int OfUnits { get; init; }

    public bool IsCredit { get; init; }

    public required int PlanVersion { get; init; }

    /// <summary>Before anything was taken off.</summary>
    public required Money Full { get; init; }

    /// <summary>Without what coupons of its price took off: what counts for a minimum or a maximum.</summary>
    public required Money Charged { get; init; }

    /// <summary>As it was taxed; null where its invoice does not say.</summary>
    public Tax? Tax { get; init; }

    /// <summary>The part of an amount that was asked for.</summary>
    public decimal Asked(decimal amount) => Full.MinorUnits == 0 || Full == Amount
        ? amount
        : amount * Amount.MinorUnits / Full.MinorUnits;
}

/// <summary>
/// What is charged for time. A fee in arrears is charged when its period ends, for the part in which it stood. One in
/// advance is charged when its period begins; where terms change, what is charged is compared with what the new terms
/// ask for: the unused part of the one is given back, the rest of the period is charged for the other (money.md 9).
/// </summary>
internal static class Fees
{
    /// <summary>Fees in arrears of every interval that ends with this bill.</summary>
    public static IEnumerable<DraftLine> Arrears(SubscriptionTerms terms, Bill bill)
    {
        if (bill.IsRepeated) yield break;
        var at = Micros.ToInstant(bill.BillAt);
        foreach (var era in Era.Of(terms))
            foreach (var every in era.Intervals)
            {
                // of its own interval the bill says whether it is settled already
                if (era.EndedAt(every, at) is not var (full, part)) continue;
                if (bill.Settles is null && every == era.Calendar.Interval) continue;
                var ofUnits = Units(terms, era.Calendar, full);
                var lines = new List<DraftLine>();
                foreach (var stretch in era.Stretches)
                {
                    var days = part.Intersect(Of(stretch));
                    if (days.IsEmpty || Units(terms, era.Calendar, days) is not (> 0 and var units)) continue;
                    foreach (var fee in stretch.Fees.Where(f => f.In == BillingTiming.Arrears && f.Every == every))
                        AddOrJoin(lines, fee, days, new Proration(units, ofUnits));
                }

                foreach (var line in lines) yield return line;
            }
    }

    /// <summary>
    /// Fees in advance as of this bill: for the periods that begin with it, and, where terms change, the difference to
    /// what the invoices before have charged. Asked a second time, there is no difference.
    /// </summary>
    public static IEnumerable<DraftLine> Advance(SubscriptionTerms terms, Bill bill, IReadOnlyList<BilledFee> billed)
    {
        var at = Micros.ToInstant(bill.BillAt);
        var era = Era.Of(terms).FirstOrDefault(e => e.Whole.Contains(at));
        var wanted = era is null ? [] : terms.InForceAt(bill.BillAt)!.Fees
            .Where(f => f.In == BillingTiming.Advance)
            .Select(f => (Fee: f, Full: era.FullAt(f.Every, at)))
            .Select(w => (w.Fee, w.Full, Part: w.Full.Intersect(new Period(at, era.Whole.End)))).ToList();
        // elsewhere only what begins is charged: what began before is on an invoice
        if (!Compares(terms, bill)) wanted.RemoveAll(w => w.Full.Start != at);
        var paid = Covered(billed).Where(c => c.Left.Period.End > at).ToList();
        foreach (var cover in paid.ToArray())
        {
            var left = cover.Left;
            var kept = wanted.FindIndex(w => w.Fee.Name == left.Name && w.Fee.UnitAmount == left.UnitAmount
                && w.Fee.Quantity == left.Quantity && w.Fee.Currency == left.Amount.Currency
                && w.Part.End == left.Period.End);
            if (kept < 0) continue;
            wanted.RemoveAt(kept);
            paid.Remove(cover);
        }

        // behind an end days are counted as before it
        var counting = (era ?? Era.Of(terms).LastOrDefault(e => !e.Whole.IsEmpty && e.Whole.Start < at))?.Calendar
            ?? terms.Subscription.Calendar;
        foreach (var cover in paid)
            if (Credit(terms, counting, cover, at) is { } credit) yield return credit;
        foreach (var (fee, full, part) in wanted)
        {
            var units = part.IsEmpty ? 0 : Units(terms, era!.Calendar, part);
            if (units > 0)
                yield return Line(fee, part, new Proration(units, Units(terms, era!.Calendar, full))) with
                {
                    InAdvance = true,
                };
        }
    }

    /// <summary>Whether a bill looks at what the invoices before have charged.</summary>
    public static bool Compares(SubscriptionTerms terms, Bill bill) => terms.ChangeAt(bill.BillAt);

    /// <summary>Days, or seconds, as the subscription counts parts of a period.</summary>
    public static int Units(SubscriptionTerms terms, BillingCalendar calendar, Period period) =>
        terms.Subscription.ProratesBySecond
            ? (int)(period.End - period.Start).TotalSeconds
            : calendar.Days(period);

    /// <summary>What of the charges is left to be used: credits cut it off at their beginning.</summary>
    private static List<Cover> Covered(IReadOnlyList<BilledFee> billed)
    {
        var covers = new List<Cover>();
        foreach (var fee in billed)
        {
            if (!fee.IsCredit)
            {
                covers.Add(new Cover(fee, fee));
                continue;
            }

            var cut = covers.FindLastIndex(c => c.Left.Name == fee.Name && c.Left.UnitAmount == fee.UnitAmount
                && c.Left.Quantity == fee.Quantity && c.Left.Period.End == fee.Period.End);
            if (cut >= 0)
                covers[cut] = covers[cut] with
                {
                    Left = covers[cut].Left with
                    {
                        Period = covers[cut].Left.Period with { End = fee.Period.Start },
                        Amount = covers[cut].Left.Amount + fee.Amount,
                    },
                };
        }

        return covers;
    }

    /// <summary>The unused part of a charge, never more than what was billed for it.</summary>
    private static DraftLine? Credit(SubscriptionTerms terms, BillingCalendar calendar, Cover covered, Instant at)
    {
        var (charge, cover) = covered;
        var unused = cover.Period with { Start = Instant.Max(at, cover.Period.Start) };
        var factor = new Proration(Units(terms, calendar, unused),
            cover.OfUnits > 0 ? cover.OfUnits : Units(terms, calendar, cover.Period));
        if (factor.Days == 0) return null;
        var currency = cover.Amount.Currency;
        var precise = charge.Asked(factor.Of(cover.UnitAmount * cover.Quantity));
        var amount = Money.Round(precise, currency);
        if (amount.MinorUnits > cover.Amount.MinorUnits) (amount, precise) = (cover.Amount, cover.Amount.Amount);
        return amount.MinorUnits == 0 ? null : new DraftLine(
            Rated(cover.Name, cover.UnitAmount, cover.Quantity, -precise) with { Factor = factor }, -amount,
            cover.PlanVersion, null, unused)
        {
            InAdvance = true,
            IsCredit = true,
            Tax = cover.Tax,
        };
    }

    /// <summary>A fee that a new stretch left as it was is one line over both: cut in two and rounded twice it could
    /// come to a cent more.</summary>
    private static void AddOrJoin(List<DraftLine> lines, Fee fee, Period part, Proration factor)
    {
        var before = lines.FindLastIndex(l => l.Rated.PriceName == fee.Name && l.Period.End == part.Start
            && l.Rated.UnitAmount == fee.UnitAmount && l.Rated.Quantity == fee.Quantity
            && l.Amount.Currency == fee.Currency);
        if (before < 0)
        {
            lines.Add(Line(fee, part, factor));
            return;
        }

        var first = lines[before];
        lines[before] = Line(fee with { PlanVersion = first.PlanVersion }, new Period(first.Period.Start, part.End),
            factor with { Days = first.Rated.Factor.Days + factor.Days });
    }

    private static DraftLine Line(Fee fee, Period part, Proration factor)
    {
        var precise = factor.Of(fee.UnitAmount * fee.Quantity);
        return new DraftLine(
            Rated(fee.Name, fee.UnitAmount, fee.Quantity, precise) with { Factor = factor },
            Money.Round(precise, fee.Currency), fee.PlanVersion, null, part);
    }

    private static RatedLine Rated(string name, decimal unitAmount, decimal quantity, decimal precise) => new()
    {
        PriceName = name,
        Kind = LineKind.Fee,
        Quantity = quantity,
        UnitAmount = unitAmount,
        PreciseAmount = precise,
    };

    /// <summary>When a stretch holds.</summary>
    public static Period Of(Stretch stretch)
    {
        var start = Micros.ToInstant(stretch.Terms.StartAt);
        return new Period(start, stretch.Terms.EndAt is { } end
            ? Instant.Max(start, Micros.ToInstant(end))
            : Instant.MaxValue);
    }

    /// <summary>A charge, and what credits have left of it.</summary>
    private sealed record Cover(BilledFee Charge, BilledFee Left);
}
