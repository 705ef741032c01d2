using NodaTime;
using Tollgate.Catalog;
using Interval = Tollgate.Catalog.Interval;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>An instant at which a subscription is billed, and what for.</summary>
/// <param name="BillAt">Microseconds UTC: a start, a change, the end of a period, or the end.</param>
/// <param name="Period">The part of the billing period that the subscription ran in; names the invoice.</param>
/// <param name="Settles">Index of the period whose usage and fees in arrears are due; none at a start or a change.
/// </param>
/// <param name="Opens">Index of the period whose fees in advance are due; none at a change or the end.</param>
public sealed record Bill(long BillAt, Period Period, int? Settles, int? Opens)
{
    /// <summary>From when on it may be issued: usage is waited for, a fee in advance is not.</summary>
    public long DueAt(long collectionWindow) => Waits ? BillAt + collectionWindow : BillAt;

    /// <summary>It settles usage that may still come late: not that of a trial, which costs nothing.</summary>
    public bool Waits { get; init; } = Settles is not null;

    /// <summary>The instant has an invoice already: only what changed since is billed.</summary>
    public bool IsRepeated { get; init; }

    /// <summary>Usage that came late is looked for in the periods before this one; none at a start or a change.</summary>
    public int? LateBefore { get; init; } = Settles;
}

/// <summary>How far a subscription is billed.</summary>
/// <param name="Settled">Newest instant whose usage is on an invoice. A period is settled once, even if the end of the
/// subscription is moved afterwards.</param>
/// <param name="Billed">Newest instant that has an invoice.</param>
/// <param name="Next">What lies before needs no look; null for the beginning.</param>
public readonly record struct BilledSoFar(long? Settled, long? Billed, long? Next)
{
    public static BilledSoFar Nothing => default;
}

/// <summary>Stretches that follow each other in one calendar: within it, periods are counted through.</summary>
/// <param name="Whole">Half-open; its end is <see cref="Instant.MaxValue"/> while it runs on.</param>
public sealed record Era(BillingCalendar Calendar, bool Aligned, Period Whole, IReadOnlyList<Stretch> Stretches)
{
    /// <summary>The eras of a subscription, in order of time. One that was left at the instant at which it began is
    /// empty, and holds the calls of that instant.</summary>
    public static IReadOnlyList<Era> Of(SubscriptionTerms terms)
    {
        var eras = new List<Era>();
        foreach (var stretch in terms.Stretches)
        {
            var t = stretch.Terms;
            var start = Micros.ToInstant(t.StartAt);
            var end = t.EndAt is { } e ? Instant.Max(start, Micros.ToInstant(e)) : Instant.MaxValue;
            if (eras.Count > 0 && eras[^1] is { } last && last.Whole.End == start && last.Holds(t))
                eras[^1] = last with
                {
                    Whole = last.Whole with { End = end },
                    Stretches = [.. last.Stretches, stretch],
                };
            else
                eras.Add(new Era(t.Calendar, terms.Subscription.IsAligned, new Period(start, end), [stretch]));
        }

        return eras;
    }

    /// <summary>The calendar in which a fee of this interval is charged: from the same anchor, or with the calendar.
    /// </summary>
    public BillingCalendar CalendarOf(Interval every) => every == Calendar.Interval ? Calendar : Aligned
        ? BillingCalendar.Aligned(Calendar.PeriodOf(0).Start, Calendar.Zone, every)
        : new BillingCalendar(Calendar.Anchor, Calendar.Zone, every);

    /// <summary>The intervals of all its fees, its own first.</summary>
    public IEnumerable<Interval> Intervals =>
        Stretches.SelectMany(s => s.Fees).Select(f => f.Every).Prepend(Calendar.Interval).Distinct();

    /// <summary>The first instant after this one at which something is billed, its end at the latest.</summary>
    public Instant? Next(Instant after)
    {
        if (after >= Whole.End) return null;
        var next = Whole.End;
        foreach (var every in Intervals)
        {
            var calendar = CalendarOf(every);
            next = Instant.Min(next, calendar.PeriodOf(calendar.IndexAt(after)).End);
        }

        foreach (var stretch in Stretches)
        {
            var start = Micros.ToInstant(stretch.Terms.StartAt);
            if (start > after) next = Instant.Min(next, start);
        }

        return next;
    }

    /// <summary>The period of an interval that ends at this instant, as far as the era ran in it; null when none does.
    /// </summary>
    public (Period Full, Period Part)? EndedAt(Interval every, Instant at)
    {
        if (at <= Whole.Start || at > Whole.End) return null;
        var full = FullAt(every, at - Duration.Epsilon);
        return full.End == at || at == Whole.End ? (full, full.Intersect(Whole)) : null;
    }

    /// <summary>The whole period of an interval that holds this instant.</summary>
    public Period FullAt(Interval every, Instant at)
    {
        var calendar = CalendarOf(every);
        return calendar.PeriodOf(calendar.IndexAt(at));
    }

    private bool Holds(Entitlement t) => (Calendar.Anchor, Calendar.Zone.Id, Calendar.Interval)
        == (t.Anchor, t.Timezone, t.Interval);
}

/// <summary>When a subscription is billed. Pure.</summary>
public static class Bills
{
    /// <summary>The bills of a subscription that are still to be looked at, in order of time. Endless while it runs on. Behind
    /// an end some look back at it, for usage that comes late: with nothing of it none is issued.</summary>
    /// <param name="terms">Whose.</param>
    /// <param name="sofar">How far it is billed.</param>
    /// <param name="behind">How many there are behind an end, one for each period that would have followed.</param>
    public static IEnumerable<Bill> Of(SubscriptionTerms terms, BilledSoFar sofar, int behind = 0)
    {
        var all = Era.Of(terms);
        var eras = all.Where(e => !e.Whole.IsEmpty).ToArray();
        // it ended when it began: what was called in that instant is settled
        if (eras.Length == 0 && all.Count > 0 && sofar.Settled is null && sofar.Next is not null)
        {
            var calendar = all[0].Calendar;
            yield return new Bill(
                Micros.Of(all[0].Whole.Start), all[0].Whole, calendar.IndexAt(all[0].Whole.Start), null);
        }

        var from = sofar.Next is { } next ? Micros.ToInstant(next) : Instant.MinValue;
        for (var i = 0; i < eras.Length; i++)
        {
            var era = eras[i];
            if (era.Whole.End < from) continue;
            // the end of the era before is the same bill
            var follows = i > 0 && eras[i - 1].Whole.End == era.Whole.Start;
            if (!follows && era.Whole.Start >= from && At(terms, sofar, era.Whole.Start, (null, era)) is { } opening)
                yield return opening;
            // the mark itself is looked at
            var at = from > era.Whole.Start ? from - Duration.FromTicks(10) : era.Whole.Start;
            while (era.Next(at) is { } instant && instant != Instant.MaxValue)
            {
                at = instant;
                var opens = at < era.Whole.End ? era
                    : i + 1 < eras.Length && eras[i + 1].Whole.Start == at ? eras[i + 1] : null;
                if (At(terms, sofar, at, (era, opens)) is { } bill) yield return bill;
            }
        }

        if (eras.Length == 0 || eras[^1].Whole.End == Instant.MaxValue) yield break;
        var (last, end) = (eras[^1].Calendar, eras[^1].Whole.End);
        for (var n = 1; n <= behind; n++)
        {
            var full = last.PeriodOf(last.IndexAt(end) + n - 1);
            var billAt = Micros.Of(full.End);
            if (full.End >= from && !(sofar.Billed >= billAt))
                yield return new Bill(billAt, full with { Start = Instant.Max(full.Start, end) }, null, null)
                {
                    LateBefore = last.IndexAt(end - Duration.Epsilon) + n,
                    Waits = true,
                };
        }
    }

    /// <summary>The periods that were settled before a bill, as they were, the latest first; also those of a calendar that the
    /// subscription has left since.</summary>
    /// <param name="terms">Whose.</param>
    /// <param name="bill">One of <see cref="Of"/>.</param>
    /// <param name="most">Periods, at most.</param>
    public static IEnumerable<(int Back, Bill Bill)> Before(SubscriptionTerms terms, Bill bill, int most)
    {
        if (bill.LateBefore is not { } before) yield break;
        var at = Micros.ToInstant(bill.BillAt);
        var back = 0;
        int? next = before;
        foreach (var era in Era.Of(terms).Where(e => !e.Whole.IsEmpty && e.Whole.Start < at).Reverse())
        {
            var index = next ?? era.Calendar.IndexAt(era.Whole.End - Duration.Epsilon) + 1;
            var oldest = era.Calendar.IndexAt(era.Whole.Start);
            next = null;
            while (--index >= oldest && back < most)
            {
                back++;
                var part = era.Calendar.PeriodOf(index).Intersect(era.Whole);
                if (!part.IsEmpty) yield return (back, new Bill(Micros.Of(part.End), part, index, null));
            }
        }
    }

    /// <summary>The calls that a bill settles: key of the entitlement and index of the period that they were stamped
    /// with. Their time is not looked at again.</summary>
    public static IEnumerable<(Stretch Stretch, int Period)> Settled(SubscriptionTerms terms, Bill bill)
    {
        if (bill.Settles is not { } index) yield break;
        var at = Micros.ToInstant(bill.BillAt);
        var eras = Era.Of(terms);
        var settled = eras.FirstOrDefault(e => !e.Whole.IsEmpty && e.Whole.Start < at && at <= e.Whole.End);
        foreach (var stretch in settled?.Stretches ?? []) yield return (stretch, index);
        // terms that were left in the instant in which they began: their calls stand with those that follow
        foreach (var era in eras.Where(e => e.Whole.IsEmpty))
        {
            var start = era.Whole.Start;
            if (start == bill.Period.Start || (start == at && !eras.Any(e => !e.Whole.IsEmpty && e.Whole.Start == at)))
                foreach (var stretch in era.Stretches) yield return (stretch, era.Calendar.IndexAt(start));
        }
    }

    private static Bill? At(
        SubscriptionTerms terms, BilledSoFar sofar, Instant at, (Era? Before, Era? Opens) eras)
    {
        var (before, opens) = eras;
        var billAt = Micros.Of(at);
        var again = sofar.Billed >= billAt;
        if (again && !terms.ChangeAt(billAt)) return null;
        var ended = before?.EndedAt(before.Calendar.Interval, at);
        // a period whose end is moved behind its invoice is not settled once more
        if (ended is { } e && (sofar.Settled >= billAt || sofar.Settled > Micros.Of(e.Part.Start))) ended = null;
        var opened = opens?.FullAt(opens.Calendar.Interval, at);
        var begins = opened is not null && !again && (at == opens!.Whole.Start || opened.Value.Start == at);
        var period = ended?.Part
            ?? opened?.Intersect(opens!.Whole)
            ?? before!.FullAt(before.Calendar.Interval, at - Duration.Epsilon).Intersect(before.Whole);
        return new Bill(billAt, period,
            ended is { } settled ? before!.Calendar.IndexAt(settled.Full.Start) : null,
            begins ? opens!.Calendar.IndexAt(at) : null)
        {
            IsRepeated = again,
            Waits = ended is { } over && before!.Stretches.Any(s => s.Phase == Phase.Active
                && s.Terms.StartAt < billAt && !(s.Terms.EndAt <= Micros.Of(over.Part.Start))),
        };
    }
}
