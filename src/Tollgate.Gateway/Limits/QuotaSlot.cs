using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>
/// What a subscription has used of one kind of quota in the current window: settled units, and those that calls under
/// way may still cost. Belongs to a pool, whose lock guards it.
/// </summary>
internal sealed class QuotaSlot
{
    private BillingCalendar _calendar;

    public QuotaSlot(CompiledQuota shape, BillingCalendar calendar, long now, int number = 0)
    {
        (Shape, _calendar, Number) = (shape, calendar, number);
        MoveTo(now);
    }

    /// <summary>How many the pool had made before: a call that was admitted later has its reserve here.</summary>
    public int Number { get; }

    /// <summary>What it counts; the allowance of the terms is what it is held against.</summary>
    public CompiledQuota Shape { get; private set; }

    /// <summary>Microseconds UTC; half-open.</summary>
    public long Start { get; private set; }

    public long End { get; private set; }

    /// <summary>Billable units of calls that have ended.</summary>
    public long Settled { get; set; }

    /// <summary>What calls under way may still cost.</summary>
    public long Reserved { get; set; }

    /// <summary>Of those that are settled, what the store knew when it was asked.</summary>
    public long Past { get; set; }

    /// <summary>What this node may spend of a window that nodes share; null while nobody asked.</summary>
    public SharedCount? Share { get; set; }

    public long Used => Settled + Reserved;

    public bool CountsLike(CompiledQuota quota) => Shape.Quota.CountsLike(quota.Quota);

    /// <summary>Windows move forward only. Calls of an older window that are still under way settle into nothing here.
    /// </summary>
    public void MoveTo(long now)
    {
        if (now < End) return;
        var period = _calendar.At(now);
        (Start, End) = (period.Start, period.End);
        (Settled, Reserved, Past) = (0, 0, 0);
    }

    /// <summary>The operations by their keys of now, and the boundaries of another calendar from here on: what was used
    /// stays, and the window ends when the new one does.</summary>
    public void GoOn(CompiledQuota shape, BillingCalendar calendar, long now)
    {
        Shape = shape;
        if (_calendar.Anchor == calendar.Anchor && _calendar.Interval == calendar.Interval
            && _calendar.Zone.Id == calendar.Zone.Id) return;
        MoveTo(now);
        _calendar = calendar;
        End = calendar.At(Math.Max(now, Start)).End;
    }
}
