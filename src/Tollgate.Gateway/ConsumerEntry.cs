using System.Collections.Concurrent;
using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>A credential as the gate sees it; replaced whole when it changes.</summary>
/// <param name="ExpiresAt">Microseconds UTC; <see cref="long.MaxValue"/> for never.</param>
public sealed record CredentialEntry(int Key, string Id, ConsumerEntry Consumer, bool Revoked, long ExpiresAt);

/// <summary>
/// A consumer as the gate sees it. Its names and counters live as long as it is known; its entitlements are replaced
/// at once by whoever reloads it.
/// </summary>
public sealed class ConsumerEntry(int key, string id, string username, string? customId)
{
    private readonly ConcurrentDictionary<string, WindowCounters> _counters = new(StringComparer.Ordinal);
    private volatile EntitlementEntry[] _entitlements = [];

    /// <summary>Whoever calls an API that asks for no key.</summary>
    public static ConsumerEntry Anonymous { get; } = new(0, "", "anonymous", null);

    public int Key { get; } = key;

    public string Id { get; } = id;

    public string Username { get; } = username;

    /// <summary>The names as a header can carry them: what is not ASCII is percent-encoded.</summary>
    public string UsernameHeader { get; } = HeaderText(username);

    public string? CustomIdHeader { get; } = customId is null ? null : HeaderText(customId);

    /// <summary>Under which the table holds its credentials; written only by the table, one change at a time.</summary>
    internal KeyHash[] Hashes { get; set; } = [];

    /// <summary>Highest priority first, then the older subscription.</summary>
    public EntitlementEntry[] Entitlements => _entitlements;

    /// <summary>What was used stays with the subscription, so a change of plan or limit forgets nothing.</summary>
    public void Entitle(IEnumerable<Entitlement> terms) => _entitlements =
    [
        // a subscription is as old as its first stretch of terms: a new price makes nobody younger
        .. from t in terms
           group t by t.SubscriptionId into subscription
           from t in subscription
           orderby t.Priority descending, subscription.Min(s => s.Key), t.Key
           select new EntitlementEntry(t, CountersOf(t.SubscriptionId)),
    ];

    private static string HeaderText(string name) =>
        System.Text.Ascii.IsValid(name) ? name : Uri.EscapeDataString(name);

    public WindowCounters CountersOf(string subscriptionId) =>
        _counters.GetOrAdd(subscriptionId, _ => new WindowCounters());
}

/// <summary>Terms on the hot path: which plan, from when to when, and in which billing period it is now.</summary>
public sealed class EntitlementEntry(Entitlement terms, WindowCounters counters)
{
    private readonly BillingCalendar _calendar = terms.Calendar;
    private volatile PeriodStamp? _period;

    public int Key { get; } = terms.Key;

    public string SubscriptionId { get; } = terms.SubscriptionId;

    public string PlanId { get; } = terms.PlanId;

    public WindowCounters Counters { get; } = counters;

    public bool RunsAt(long now) => terms.StartAt <= now && now < (terms.EndAt ?? long.MaxValue);

    /// <summary>The index of the billing period that holds this instant. Computed once for each period.</summary>
    public int PeriodAt(long now)
    {
        var stamp = _period;
        if (stamp is not null && stamp.Start <= now && now < stamp.End) return stamp.Index;
        var index = _calendar.IndexAt(Micros.ToInstant(now));
        var period = _calendar.PeriodOf(index);
        _period = new PeriodStamp(index, Micros.Of(period.Start), Micros.Of(period.End));
        return index;
    }

    private sealed record PeriodStamp(int Index, long Start, long End);
}
