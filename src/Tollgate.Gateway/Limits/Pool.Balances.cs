using Tollgate.Catalog;
using Tollgate.Gateway.Cost;

namespace Tollgate.Gateway;

/// <content>The balances of the customer beside the quotas of the subscription, and calls that cost more than was set
/// aside for them.</content>
internal sealed partial class Pool
{
    /// <summary>Sets more aside for a call under way, as much as quotas and balances have room for.</summary>
    /// <inheritdoc cref="Gate.Extend"/>
    internal long Extend(ref Decision decision, CompiledOperation operation, CostMeter? meter, long units)
    {
        var key = meter?.Key ?? Meter.CallsKey;
        lock (this)
        {
            var (bound, room, violated) = (decision.Bound!, units, -1);
            for (var q = 0; q < bound.Slots.Length; q++)
            {
                var (quota, slot) = (bound.Terms.Quotas[q], bound.Slots[q]);
                // a window that has moved on knows nothing of the call
                if (!quota.Blocks || !quota.Covers(key, operation.Key) || slot.Start > decision.CountedAt) continue;
                var left = Math.Max(0, quota.Count - slot.Used);
                if (left < room) left = Math.Max(0, quota.Count + LiftOf(quota, operation.Name, ref decision) - slot.Used);
                if (decision.Sharing == Sharing.Leased && slot.Share is { } share)
                    left = LeasedOf(share, quota, Math.Min(left, room), operation.Name, ref decision);
                if (left < room) (room, violated) = (left, bound.Terms.Limits.Length + q);
            }

            if (room > 0) ExtendBalances(ref decision, operation.Name, meter, ref room);
            if (room < units) decision.Violated = decision.Shortage is null ? violated : -1;
            foreach (var slot in _slots)
            {
                if (slot.Number < decision.SlotsMade && slot.Start <= decision.CountedAt && slot.Shape.Covers(key, operation.Key))
                    slot.Reserved += room;
            }

            return room;
        }
    }

    /// <summary>What this node may spend of a quota for a call under way. What it has not leased is asked for.</summary>
    private long LeasedOf(SharedCount share, CompiledQuota quota, long wanted, string operation, ref Decision decision)
    {
        var now = leases!.Now;
        share.MoveOn(now);
        share.Limit = quota.Count;
        if (share.Spent + share.Others + wanted > quota.Count) share.Limit += LiftOf(quota, operation, ref decision);
        var room = Math.Max(0, share.RoomAt(now));
        if (room >= wanted) return wanted;
        if (share.IsExhausted(now)) return room;
        Demand(share, wanted, now);
        decision.NeedsLease = true;
        return room;
    }

    private static void ExtendBalances(ref Decision decision, string operation, CostMeter? meter, ref long room)
    {
        // a call that was admitted before there was a balance has nothing set aside in it
        if (decision.Purse is null || decision.Entitlement is not { Prices: not null } entitlement) return;
        var charge = Charge.Of(entitlement, ref decision, operation);
        while (decision.Consumer?.Customer?.Purse is { } purse)
            if (purse.IsShared ? purse.TryExtendHeld(charge, meter, ref room, ref decision)
                : purse.TryExtend(charge, meter, ref room, out decision.Shortage)) return;
    }

    /// <summary>By how much credit in units lifts a quota, × 10^scale.</summary>
    private static long LiftOf(CompiledQuota quota, string operation, ref Decision decision)
    {
        if (decision.Entitlement is not { Prices: not null } entitlement || decision.Consumer?.Customer?.Purse is not { } purse
            || !UnitCredit.IsLifted(quota.Quota, entitlement.Source.Interval)) return 0;
        return (long)(purse.LiftOf(Charge.Of(entitlement, ref decision, operation), quota) * quota.One);
    }

    /// <summary>Takes back what was just reserved.</summary>
    private static void GiveBack(string operation, ref Decision decision)
    {
        var charge = Charge.Of(decision.Entitlement!, ref decision, operation);
        Span<Spent> none = stackalloc Spent[decision.Cost?.Meters.Length ?? 0];
        for (var i = 0; i < none.Length; i++) none[i] = new Spent(decision.Cost!.Meters[i].Reserve, 0);
        while (decision.Consumer!.Customer?.Purse is { } purse && !purse.TrySettle(charge, decision.Purse, 0, none))
        {
            // another one is in force by now
        }

        decision.Purse = null;
    }

    /// <summary>Whether the balances of the customer cover the call; then what it may cost is reserved.</summary>
    private static bool IsCovered(string operation, ref Decision decision) => IsCovered(operation, true, ref decision);

    /// <summary>Whether they would, without reserving anything.</summary>
    internal static void LookAtBalances(string operation, ref Decision decision) => IsCovered(operation, false, ref decision);

    private static bool IsCovered(string operation, bool reserve, ref Decision decision)
    {
        if (decision.IsFree || decision.Entitlement is not { Prices: not null } entitlement) return true;
        var charge = Charge.Of(entitlement, ref decision, operation);
        while (decision.Consumer?.Customer?.Purse is { } purse)
        {
            // another one may be in force by now
            if (!(purse.IsShared ? purse.TryHold(charge, reserve, ref decision)
                : purse.TryReserve(charge, out decision.Shortage, reserve))) continue;
            var covered = decision.Shortage is null && !decision.IsHeldUp;
            if (covered && reserve) decision.Purse = purse;
            return covered;
        }

        return true;
    }
}
