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

    public BillingCalendar Calendar => new(Anchor, DateTimeZoneProviders.Tzdb[Timezone], Interval);
}

// What ids are of. The rows themselves live in the rooms that own them.
public sealed class Customer : IIdentified { public static string IdPrefix => "cus"; private Customer() { } }

public sealed class Consumer : IIdentified { public static string IdPrefix => "con"; private Consumer() { } }

public sealed class Credential : IIdentified { public static string IdPrefix => "key"; private Credential() { } }

public sealed class Subscription : IIdentified { public static string IdPrefix => "sub"; private Subscription() { } }

public sealed class Invoice : IIdentified { public static string IdPrefix => "inv"; private Invoice() { } }

public sealed class Plan : IIdentified { public static string IdPrefix => "plan"; private Plan() { } }

public sealed class Api : IIdentified { public static string IdPrefix => "api"; private Api() { } }

public sealed class ConfigObject : IIdentified { public static string IdPrefix => "obj"; private ConfigObject() { } }
