using NodaTime;

namespace Tollgate.Catalog;

/// <summary>
/// One stretch of constant terms of a subscription: the record that stands between Billing, which writes it, and the
/// Gateway, which compiles it. Each call that it let in carries its key and the index of the billing period.
/// </summary>
public sealed record Entitlement
{
    /// <summary>Stamped on each call; 0 is nobody's.</summary>
    public required int Key { get; init; }

    public required string SubscriptionId { get; init; }

    public required int CustomerKey { get; init; }

    public required string PlanId { get; init; }

    public required int PlanVersion { get; init; }

    /// <summary>Name of the phase of the plan that this stretch is in; null for the plan's own terms.</summary>
    public string? PlanPhase { get; init; }

    /// <summary>Of several that include an operation the highest wins; among equals the older.</summary>
    public required int Priority { get; init; }

    /// <summary>Microseconds UTC; half-open.</summary>
    public required long StartAt { get; init; }

    /// <summary>None while it runs on.</summary>
    public required long? EndAt { get; init; }

    public required LocalDate Anchor { get; init; }

    public required string Timezone { get; init; }

    /// <summary>How long a billing period is: what a quota counts over, and what the period of a call is an index of.
    /// </summary>
    public Interval Interval { get; init; } = Interval.Month;

    /// <summary>What was agreed with this customer in place of the plan's own.</summary>
    public Overrides Overrides { get; init; } = Overrides.None;

    /// <summary>Why nobody may call by these terms at the moment, although they run.</summary>
    public Hold Hold { get; init; }

    public BillingCalendar Calendar => BillingCalendar.Of(Anchor, Timezone, Interval);
}

/// <summary>What stops calls on a subscription that runs. Written by Billing, read by the gate on the next call.</summary>
public enum Hold : byte
{
    None,

    /// <summary>402 <c>payment_overdue</c>.</summary>
    PaymentOverdue,

    /// <summary>As if there were no subscription: another one may let the call in, else 403 <c>no_plan</c>.</summary>
    Paused,
}

/// <summary>How holds are written in the API and in the store.</summary>
public static class Holds
{
    public static string ToText(this Hold hold) => hold switch
    {
        Hold.None => "none",
        Hold.PaymentOverdue => "payment_overdue",
        Hold.Paused => "paused",
        _ => throw new ArgumentOutOfRangeException(nameof(hold), hold, "none, payment_overdue or paused"),
    };

    public static Hold? Find(string? text) => text switch
    {
        "none" => Hold.None,
        "payment_overdue" => Hold.PaymentOverdue,
        "paused" => Hold.Paused,
        _ => null,
    };
}

/// <summary>What a subscription has in place of what its plan says.</summary>
/// <param name="Limits">All limits of the subscription; null: those of the plan.</param>
/// <param name="Allowances">Name of a quota → units; quotas that are not named keep the plan's allowance.</param>
public sealed record Overrides(IReadOnlyList<Limit>? Limits, IReadOnlyDictionary<string, decimal> Allowances)
{
    public static Overrides None { get; } = new(null, new Dictionary<string, decimal>());

    /// <summary>In the customer's currency, in place of the plan's with the same names, or beside them.</summary>
    public IReadOnlyList<PriceComponent> Prices { get; init; } = [];

    public bool IsNone => Limits is null && Allowances.Count == 0 && Prices.Count == 0;

    /// <summary>The quotas of a plan version as this subscription has them.</summary>
    public IReadOnlyList<Quota> Apply(IReadOnlyList<Quota> quotas) => Allowances.Count == 0 ? quotas :
        [.. quotas.Select(q => Allowances.TryGetValue(q.Name, out var a) ? q with { Allowance = a } : q)];
}

// What ids are of. The rows themselves live in the rooms that own them.
public sealed class Customer : IIdentified { public static string IdPrefix => "cus"; private Customer() { } }

public sealed class Consumer : IIdentified { public static string IdPrefix => "con"; private Consumer() { } }

public sealed class Credential : IIdentified { public static string IdPrefix => "key"; private Credential() { } }

public sealed class AccessGroup : IIdentified { public static string IdPrefix => "acl"; private AccessGroup() { } }

public sealed class TokenCredential : IIdentified { public static string IdPrefix => "jwt"; private TokenCredential() { } }

public sealed class Subscription : IIdentified { public static string IdPrefix => "sub"; private Subscription() { } }

public sealed class Invoice : IIdentified { public static string IdPrefix => "inv"; private Invoice() { } }

public sealed class Plan : IIdentified { public static string IdPrefix => "plan"; private Plan() { } }

public sealed class Api : IIdentified { public static string IdPrefix => "api"; private Api() { } }

public sealed class ConfigObject : IIdentified { public static string IdPrefix => "obj"; private ConfigObject() { } }
