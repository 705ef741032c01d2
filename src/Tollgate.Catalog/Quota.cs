namespace Tollgate.Catalog;

/// <summary>What happens when the allowance is used up: calls are refused, or go on and are billed by the prices.
/// </summary>
public enum Overage : byte { Block, Bill }

/// <summary>
/// What a plan lets use of a meter in each period. It counts billable units, pooled over all consumers and keys of the
/// customer: what the plan does not bill is given back. The allowance is one number (invariant 7): what the gate
/// enforces, what a price with <c>included: from quota</c> includes, and what the invoice shows.
/// </summary>
/// <param name="Name">Unique in its plan; what an override on a subscription names. The meter's name unless said.
/// </param>
/// <param name="Meter">What is counted.</param>
/// <param name="Allowance">Units of the meter, 0 to <see cref="MaxAllowance"/>, at most as fine as the meter's scale.
/// </param>
public sealed record Quota(string Name, string Meter, decimal Allowance)
{
    /// <summary>The largest allowance: with nine digits after the point it leaves room to be summed.</summary>
    public const decimal MaxAllowance = 1_000_000_000_000_000;

    /// <summary>Names of operations, in ordinal order; null means every one. Never empty.</summary>
    public IReadOnlyList<string>? Operations { get; init; }

    public QuotaPeriod Per { get; init; } = QuotaPeriod.Billing;

    public Overage Overage { get; init; } = Overage.Block;

    public bool Covers(string operation) => Operations is null || Operations.Contains(operation);

    /// <summary>Whether both count the same: what one has used, the other has used as well.</summary>
    public bool CountsLike(Quota other) => Meter == other.Meter && Per == other.Per
        && (Operations ?? []).SequenceEqual(other.Operations ?? []) && Operations is null == other.Operations is null;

    /// <summary>Whether it counts the usage that a price bills, so that the price can include its allowance. The usual
    /// <c>per: month</c> is the billing period of a subscription that is billed by the month.</summary>
    public bool IsOn(PriceComponent price) => Meter == price.Meter && !Per.Calendar && price.Scope.IsAll
        && (Operations ?? []).SequenceEqual(price.Operations ?? []) && Operations is null == price.Operations is null;

    public bool Equals(Quota? other) => other is not null && Name == other.Name && Allowance == other.Allowance
        && Overage == other.Overage && CountsLike(other);

    public override int GetHashCode() => HashCode.Combine(Name, Meter, Allowance, Per, Overage);

    public override string ToString() => $"{Allowance} {Meter}/{Per}";
}

/// <summary>
/// The stretch of time over which a quota counts. Periods are intervals from the anchor of the subscription; calendar
/// ones begin on the first of the month, quarter or year, or on a Monday. Both in the zone of the subscription.
/// </summary>
/// <param name="Unit">Null: whatever the billing period of the subscription is.</param>
/// <param name="Calendar">Only with a unit.</param>
public readonly record struct QuotaPeriod(Interval? Unit, bool Calendar)
{
    private const string CalendarPrefix = "calendar ";

    /// <summary>For messages.</summary>
    public const string Forms = "period (the billing period of the subscription), day, week, month, quarter, year " +
        "(from its anchor) or one of these after 'calendar', as 'calendar month'";

    public static QuotaPeriod Billing => default;

    /// <summary>The windows of this for a subscription.</summary>
    /// <param name="terms">Whose anchor, zone and interval count.</param>
    public BillingCalendar CalendarFor(Entitlement terms)
    {
        var own = terms.Calendar;
        if (Unit is not { } unit) return own;
        var anchor = Calendar ? BillingCalendar.Aligned(Micros.ToInstant(terms.StartAt), own.Zone, unit).Anchor : own.Anchor;
        return BillingCalendar.Of(anchor, terms.Timezone, unit);
    }

    /// <summary>Reads <c>month</c>, <c>calendar month</c> or <c>period</c>; null when it is none of them.</summary>
    public static QuotaPeriod? Find(string text)
    {
        if (text == "period") return Billing;
        var calendar = text.StartsWith(CalendarPrefix, StringComparison.Ordinal);
        return Intervals.Find(calendar ? text[CalendarPrefix.Length..] : text) is { } unit
            ? new QuotaPeriod(unit, calendar)
            : null;
    }

    public override string ToString() =>
        Unit is not { } unit ? "period" : Calendar ? CalendarPrefix + unit.ToText() : unit.ToText();
}
