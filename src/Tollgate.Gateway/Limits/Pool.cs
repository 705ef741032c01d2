using System.Runtime.CompilerServices;
using Tollgate.Catalog;

[assembly: InternalsVisibleTo("Tollgate.Tests")]
[assembly: InternalsVisibleTo("Tollgate.Bench")]

namespace Tollgate.Gateway;

/// <summary>
/// All that one subscription has used. One lock, the subscription's own, makes the limits and quotas of a call one step:
/// taken together or not at all, over all consumers and keys of the customer. It is held for a few comparisons.
/// There may be a million of these, so it locks itself, and most have one consumer and nothing else.
/// </summary>
/// <param name="addresses">How many addresses may be counted for themselves.</param>
/// <param name="subscription">Its id, by which every node knows it; of a consumer with limits of its own and no subscription,
/// the consumer's.</param>
/// <param name="leases">Of limits that nodes share; null where each counts for itself.</param>
internal sealed partial class Pool(AddressBudget addresses, string subscription = "", Leases? leases = null)
{
    /// <summary>Stands for whichever key of a consumer: what is only known of them together.</summary>
    internal const LimitScope AnyKey = (LimitScope)byte.MaxValue;

    private Subject _firstSubject;
    private Tally? _first;
    private Dictionary<Subject, Tally>? _others;
    private Tally? _strangers;
    private QuotaSlot[] _slots = [];
    private WindowUnit _longestByAddress;
    private long _latest;
    private long _settlements;
    private long _sweptAt;

    /// <summary>How many calls have ended here: whoever reads the store beside it sees whether it stood still.</summary>
    internal long Settlements
    {
        get
        {
            lock (this) return _settlements;
        }
    }

    /// <summary>
    /// Takes an admission from every limit and reserves units of every quota and of every balance, or nothing when one of
    /// them has no room.
    /// </summary>
    /// <param name="bound">The terms, with the places of their quotas here.</param>
    /// <param name="caller">Whose call it is.</param>
    /// <param name="now">Business time, microseconds UTC.</param>
    /// <param name="operation">Its name, by which prices know it.</param>
    /// <param name="take">False only looks: the states are those before.</param>
    /// <param name="decision">Gets the states, and what is to be given back when the call ends.</param>
    /// <returns>−1 when there is room, else the index of the policy without that lasts longest.</returns>
    internal int TryTake(
        BoundTerms bound, in Caller caller, string operation, long now, bool take, ref Decision decision)
    {
        var limits = bound.Terms.Limits;
        lock (this)
        {
            var came = now;
            now = decision.LookedAt = _latest = Math.Max(now, _latest);
            decision.IsLate = take && decision.Leaves(came, now);
            if (decision.IsLate) return -1;
            decision.Tallies[(int)LimitScope.Consumer] = TallyOf(LimitScope.Consumer, caller, now);
            var violated = -1;
            for (var i = 0; i < limits.Length; i++)
            {
                ref var tally = ref decision.Tallies[(int)limits[i].By];
                tally ??= TallyOf(limits[i].By, caller, now);
                decision.Limits[i] = tally.Look(limits[i], now);
                if (decision.Limits[i].Remaining == 0) violated = Later(violated, i, ref decision);
            }

            LookAtQuotas(bound, caller.Operation, operation, now, ref violated, ref decision);
            HoldToShares(bound, caller, operation, now, take, ref violated, ref decision);
            if (violated < 0 && take && !decision.IsHeldUp && IsCovered(operation, ref decision)
                && (violated = StillLifted(bound, caller.Operation, operation, ref decision)) < 0)
                Take(bound, caller.Operation, now, ref decision);
            return violated;
        }
    }

    /// <summary>The call costs what it was billed. What was reserved beyond that returns to the window that it came from;
    /// limits count admissions, and give nothing back.</summary>
    /// <param name="decision">As it was admitted; its states then tell what the call cost.</param>
    /// <param name="operation">Its key.</param>
    /// <param name="calls">Billed units of <c>calls</c>; 0 when the call is not billed.</param>
    /// <param name="meters">Those of the operation's meters; none when the call is not billed.</param>
    internal void Settle(ref Decision decision, int operation, long calls, ReadOnlySpan<Spent> meters = default)
    {
        lock (this)
        {
            _settlements++;
            foreach (var slot in _slots)
            {
                // a window that has moved on knows nothing of the call
                if (slot.Start > decision.CountedAt) continue;
                var reserved = slot.Shape.UnitsOf(operation, ref decision);
                if (reserved == CompiledQuota.NotCounted) continue;
                var spent = SpentOn(slot.Shape, ref decision, reserved, calls, meters);
                if (slot.Number < decision.SlotsMade) slot.Reserved -= spent.Freed;
                slot.Settled += spent.Units;
            }

            if (decision.Bound is not { } bound) return;
            for (var q = 0; q < bound.Slots.Length; q++)
            {
                ref var state = ref decision.Limits[bound.Terms.Limits.Length + q];
                if (state.Remaining == LimitState.NotCounted) continue;
                var quota = bound.Terms.Quotas[q];
                var reserved = quota.UnitsOf(operation, ref decision);
                var spent = SpentOn(quota, ref decision, reserved, calls, meters);
                state.Remaining = Math.Max(0, state.Remaining + spent.Freed - spent.Units);
            }
        }
    }

    /// <summary>Counts what a call under way, or an event, has used.</summary>
    /// <param name="meter">Its key.</param>
    /// <param name="operation">Its key; 0 for an event.</param>
    /// <param name="at">When it was counted, or happened; microseconds UTC.</param>
    /// <param name="spent">Of a call so much less is reserved.</param>
    /// <param name="slots">How many quotas had been counted when it was admitted.</param>
    internal void Count(int meter, int operation, long at, in Spent spent, int slots = 0)
    {
        lock (this)
        {
            _settlements++;
            foreach (var slot in _slots)
            {
                if (slot.Start > at || at >= slot.End || !slot.Shape.Covers(meter, operation)) continue;
                if (slot.Number < slots) slot.Reserved -= spent.Freed;
                slot.Settled += spent.Units;
            }
        }
    }

    private static Spent SpentOn(
        CompiledQuota quota, ref Decision decision, long reserved, long calls, ReadOnlySpan<Spent> meters) =>
        quota.OfCalls ? new Spent(reserved, calls)
        : quota.IndexIn(decision.Cost) is >= 0 and var at && at < meters.Length ? meters[at]
        : new Spent(reserved, 0);

    /// <summary>The call is no longer under way.</summary>
    internal void Release(ref Decision decision)
    {
        lock (this)
            foreach (var limit in decision.Bound!.Terms.Limits)
            {
                if (limit.Kind != WindowKind.Concurrent) continue;
                var tally = decision.Tallies[(int)limit.By]!;
                tally.UnderWay--;
                tally.ConcurrentShare?.Free();
            }
    }

    /// <summary>Whether this quota is counted here.</summary>
    internal bool Counts(CompiledQuota quota)
    {
        lock (this) return Array.Exists(_slots, s => s.CountsLike(quota));
    }

    /// <summary>The open window of a quota that is counted here.</summary>
    internal (long Start, long End) WindowOf(CompiledQuota quota)
    {
        lock (this)
        {
            var slot = Array.Find(_slots, s => s.CountsLike(quota))!;
            return (slot.Start, slot.End);
        }
    }

    /// <summary>Sets what the store knows to be settled in the open windows of quotas. Not when calls have ended since it
    /// was asked: it may know of them or not.</summary>
    internal bool TryRestore(
        IEnumerable<(CompiledQuota Quota, long Start, long Units)> known, long settlements, bool force)
    {
        lock (this)
        {
            if (_settlements != settlements && !force) return false;
            foreach (var (quota, start, units) in known)
                if (Array.Find(_slots, s => s.CountsLike(quota)) is { } slot && slot.Start == start)
                    slot.Settled = slot.Past = units;
            return true;
        }
    }

    /// <summary>Adds units that were billed before this process.</summary>
    internal void RestoreUnits(CompiledQuota quota, long start, long units)
    {
        lock (this)
        {
            if (Array.Find(_slots, s => s.CountsLike(quota)) is not { } slot || slot.Start != start) return;
            slot.Settled += units;
            slot.Past += units;
        }
    }

    /// <summary>Adds admissions of before this process to a fixed window of a subject.</summary>
    internal void Restore(LimitScope scope, in Caller caller, WindowUnit unit, long at, long admissions)
    {
        lock (this) PastOf(scope, caller).Restore(unit, at, admissions);
    }

    /// <summary>Adds admissions of before this process to the window of a limit that has one of its own.</summary>
    internal void Restore(
        CompiledLimit limit, LimitScope scope, in Caller caller, long now, long at, long admissions)
    {
        lock (this) PastOf(scope, caller).Restore(limit, now, at, admissions);
    }

    private static int Later(int violated, int candidate, ref Decision decision) =>
        violated < 0 || (!decision.NeverFits && decision.Limits[candidate].ResetAt > decision.Limits[violated].ResetAt)
            ? candidate : violated;

    private void LookAtQuotas(
        BoundTerms bound, int operation, string name, long now, ref int violated, ref Decision decision)
    {
        foreach (var slot in _slots) slot.MoveTo(now);
        var quotas = bound.Terms.Quotas;
        for (var q = 0; q < quotas.Length; q++)
        {
            var i = bound.Terms.Limits.Length + q;
            ref var state = ref decision.Limits[i];
            var slot = bound.Slots[q];
            var need = quotas[q].NeedOf(operation, ref decision);
            state.Remaining = need >= 0 ? Math.Max(0, quotas[q].Count - slot.Used) : LimitState.NotCounted;
            state.ResetAt = slot.End;
            if (!quotas[q].Blocks || state.Remaining < 0 || state.Remaining >= need) continue;
            // beyond the allowance calls pass as far as credit in units pays for them
            var most = quotas[q].Count + LiftOf(quotas[q], name, ref decision);
            state.Remaining = Math.Max(0, most - slot.Used);
            if (state.Remaining >= need) continue;
            violated = need > most && !decision.NeverFits ? i : Later(violated, i, ref decision);
            decision.NeverFits |= need > most;
        }
    }

    /// <summary>Whether credit in units pays for what goes beyond a quota, now that it is reserved: another subscription of
    /// the customer may have taken the last of it.</summary>
    private static int StillLifted(BoundTerms bound, int operation, string name, ref Decision decision)
    {
        var quotas = bound.Terms.Quotas;
        for (var q = 0; q < quotas.Length; q++)
        {
            var used = bound.Slots[q].Used + Math.Max(0, quotas[q].UnitsOf(operation, ref decision));
            if (!quotas[q].Blocks || used <= quotas[q].Count || decision.Purse is not { } purse) continue;
            var paid = purse.BurntOf(Charge.Of(decision.Entitlement!, ref decision, name), quotas[q]);
            if (used <= quotas[q].Count + paid * quotas[q].One) continue;
            GiveBack(name, ref decision);
            return bound.Terms.Limits.Length + q;
        }

        return -1;
    }

    private void Take(BoundTerms bound, int operation, long now, ref Decision decision)
    {
        var limits = bound.Terms.Limits;
        for (var scope = 0; scope < Tallies.Scopes; scope++) decision.Tallies[scope]?.Count();
        for (var i = 0; i < limits.Length; i++)
        {
            var tally = decision.Tallies[(int)limits[i].By]!;
            switch (limits[i].Kind)
            {
                case WindowKind.Fixed:
                    decision.Limits[i].Remaining--;
                    break;
                case WindowKind.Concurrent:
                    decision.Limits[i].Remaining--;
                    tally.UnderWay++;
                    break;
                default:
                    tally.Add(limits[i], now, 1);
                    var before = decision.Limits[i];
                    decision.Limits[i] = tally.Look(limits[i], now);
                    if (decision.Sharing > Sharing.None) UseShare(tally, limits[i], before, now, ref decision.Limits[i], ref decision);
                    break;
            }
        }

        for (var q = 0; q < bound.Terms.Quotas.Length; q++)
        {
            ref var state = ref decision.Limits[limits.Length + q];
            if (state.Remaining < 0) continue;
            var units = bound.Terms.Quotas[q].UnitsOf(operation, ref decision);
            state.Remaining = Math.Max(0, state.Remaining - units);
        }

        foreach (var slot in _slots)
            slot.Reserved += Math.Max(0, slot.Shape.UnitsOf(operation, ref decision));
        (decision.CountedAt, decision.SlotsMade) = (now, _slotsMade);
    }

    private Tally TallyOf(LimitScope scope, in Caller caller, long now)
    {
        var subject = SubjectOf(scope, caller);
        var tally = Find(subject) ?? NewTally(subject, caller, now);
        tally.MoveTo(now);
        return tally;
    }

    /// <summary>The place of a subject for what was before this process: made where there is none.</summary>
    private Tally PastOf(LimitScope scope, in Caller caller)
    {
        var subject = SubjectOf(scope, caller);
        return Find(subject) ?? NewTally(subject, caller, 0);
    }

    private Tally? Find(Subject subject) =>
        _first is not null && subject == _firstSubject ? _first : _others?.GetValueOrDefault(subject);

    private Tally Put(Subject subject, Tally tally)
    {
        if (_first is null) (_firstSubject, _first) = (subject, tally);
        else (_others ??= [])[subject] = tally;
        return tally;
    }

    /// <summary>A place for a new subject. Addresses are what a stranger can make up, so their number is bounded: when all
    /// places are taken, and none of them is idle, the rest shares one, which can only admit fewer.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private Tally NewTally(Subject subject, in Caller caller, long now)
    {
        if (subject.Scope == LimitScope.Ip && !addresses.TryTake() && !(Sweep(now) && addresses.TryTake()))
        {
            addresses.Share();
            return _strangers ??= new Tally();
        }

        var tally = new Tally();
        // all consumers together have used what each has
        if (subject.Scope == LimitScope.Customer)
        {
            if (_firstSubject.Scope == LimitScope.Consumer && _first is not null) tally.Add(_first);
            foreach (var (other, used) in _others ?? [])
                if (other.Scope == LimitScope.Consumer) tally.Add(used);
        }
        else if (subject.Scope == LimitScope.Key && Find(SubjectOf(AnyKey, caller)) is { } past)
        {
            tally.Copy(past);
        }

        return Put(subject, tally);
    }

    /// <summary>Forgets addresses whose windows have all ended; at most once a second, since it looks at each.</summary>
    private bool Sweep(long now)
    {
        if (_others is null || now - _sweptAt < Micros.PerSecond) return false;
        _sweptAt = now;
        var gone = _others.Where(t => t.Key.Scope == LimitScope.Ip && t.Value.IsIdle(_longestByAddress, now))
            .Select(t => t.Key).ToArray();
        foreach (var subject in gone) _others.Remove(subject);
        addresses.Return(gone.Length);
        return gone.Length > 0;
    }

    private static Subject SubjectOf(LimitScope scope, in Caller caller) => scope switch
    {
        LimitScope.Consumer or AnyKey => new Subject(scope, (uint)caller.Consumer),
        LimitScope.Key => new Subject(scope, (uint)caller.Credential),
        LimitScope.Operation => new Subject(scope, (uint)caller.Operation),
        LimitScope.Ip => new Subject(scope, caller.Address),
        _ => new Subject(scope, 0),
    };

    private readonly record struct Subject(LimitScope Scope, ulong Id);
}

/// <summary>Terms, and for each of their quotas where the pool of the subscription counts it.</summary>
/// <param name="AreOwn">Limits among them are those of one consumer.</param>
internal record BoundTerms(Terms Terms, QuotaSlot[] Slots, bool AreOwn = false);
