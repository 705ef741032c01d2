using System.Collections.Frozen;
using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Gateway;

/// <summary>Which consumers an API admits, on the hot path: by the groups that they are in.</summary>
internal sealed class AccessList(AccessRules rules)
{
    private readonly FrozenSet<string> _groups = rules.Groups.ToFrozenSet(StringComparer.Ordinal);

    /// <param name="consumer">Null: nobody is known to call, and nobody is in no group.</param>
    /// <param name="snapshot">Knows the names of plans.</param>
    /// <param name="at">The instant at which plans must run.</param>
    public bool Admits(ConsumerEntry? consumer, GateSnapshot snapshot, long at) =>
        consumer is not null && IsIn(consumer, snapshot, at) == rules.Allows;

    private bool IsIn(ConsumerEntry consumer, GateSnapshot snapshot, long at)
    {
        foreach (var group in consumer.Groups)
            if (_groups.Contains(group)) return true;
        if (!rules.Plans) return false;
        foreach (var entitlement in consumer.Entitlements)
        {
            if (entitlement.RunsAt(at) && entitlement.Source.Hold != Hold.Paused
                && snapshot.FindPlan(entitlement.PlanId) is { } plan && _groups.Contains(plan.Name)) return true;
        }

        return false;
    }
}
