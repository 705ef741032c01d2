using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <content>Limits and quotas that several nodes share: what this node may spend of them on its own.</content>
internal sealed partial class Pool : Sharer
{
    /// <summary>Counters in one question; the others follow in the next.</summary>
    private const int MostAsked = 64;

    /// <summary>Counters that are kept though nobody calls.</summary>
    private const int MostKept = 256;

    // none for nearly everybody who does not call
    private List<SharedCount>? _shares;
    private List<SharedWindow>? _windows;

    internal override string Tag => subscription;

    /// <summary>Holds a call to what this node may spend: it passes, waits for a lease, or there is none left.</summary>
    private void HoldToShares(
        BoundTerms bound, in Caller caller, string operation, long now, bool take, ref int violated, ref Decision decision)
    {
        if (decision.Sharing is Sharing.None or Sharing.Open) return;
        var (limits, machine, asks) = (bound.Terms.Limits, leases!.Now, 0u);
        for (var i = 0; i < limits.Length; i++)
        {
            var tally = decision.Tallies[(int)limits[i].By]!;
            switch (limits[i].Kind)
            {
                case WindowKind.Fixed:
                    ref var share = ref tally.Share(limits[i].Unit);
                    share ??= new SharedCount(NameOf(tally, limits[i], caller), tally, limits[i].Unit);
                    Hold(share, limits[i].Count, 1, i, machine, take, ref violated, ref decision);
                    break;
                case WindowKind.Concurrent:
                    tally.ConcurrentShare ??= new SharedCount(NameOf(tally, limits[i], caller), tally);
                    Hold(tally.ConcurrentShare, limits[i].Count, 1, i, machine, take, ref violated, ref decision);
                    break;
                default:
                    if (!HoldToWindow(tally, limits[i], i, caller, now, take, ref violated, ref decision)) asks |= 1u << i;
                    break;
            }
        }

        var quotas = bound.Terms.Quotas;
        for (var q = 0; q < quotas.Length; q++)
        {
            var i = limits.Length + q;
            if (!quotas[q].Blocks || quotas[q].NeedOf(caller.Operation, ref decision) is not (> 0 and var need)) continue;
            var slot = bound.Slots[q];
            slot.Share ??= new SharedCount($"tollgate:{{{subscription}}}:quota:{NameOf(slot.Shape.Quota)}", slot);
            var count = quotas[q].Count;
            if (slot.Used + slot.Share.Others + need > count) count += LiftOf(quotas[q], operation, ref decision);
            Hold(slot.Share, count, need, i, machine, take, ref violated, ref decision);
        }

        if (violated >= 0) decision.NeedsLease = false;
        // an admission of such a window is only asked for where nothing else refuses
        else if (asks != 0) Ask(asks, bound.Terms.Limits, now, ref decision);
    }

    /// <returns>False when it has to be asked for.</returns>
    private bool HoldToWindow(
        Tally tally, CompiledLimit limit, int index, in Caller caller, long now, bool take, ref int violated, ref Decision decision)
    {
        var counter = tally.WindowOf(limit, now);
        var share = counter.Share ??= new SharedWindow(NameOf(tally, limit, caller), counter);
        share.For(limit);
        ref var state = ref decision.Limits[index];
        var machine = leases!.Now;
        switch (decision.Sharing)
        {
            case Sharing.Share:
                state.Remaining = Math.Min(state.Remaining, share.Part(state, leases.Nodes, machine));
                break;
            case Sharing.Closed:
                decision.LimitsClosed = true;
                return true;
            default:
                share.Rejoin();
                // what this node admitted on its own refuses already
                if (state.Remaining == 0) return true;
                share.Tell(ref state, machine, now);
                if (share.HasAt(machine)) return true;
                if (machine >= share.QuietUntil) return !take;
                state.Remaining = 0;
                break;
        }

        if (state.Remaining == 0) violated = Later(violated, index, ref decision);
        return true;
    }

    private void Ask(uint asks, CompiledLimit[] limits, long now, ref Decision decision)
    {
        for (var i = 0; i < limits.Length; i++)
        {
            if ((asks & (1u << i)) == 0) continue;
            var share = decision.Tallies[(int)limits[i].By]!.WindowOf(limits[i], now).Share!;
            _windows ??= [];
            if (!_windows.Contains(share)) _windows.Add(share);
            (share.Demand, share.UsedAt) = (share.Demand + 1, leases!.Now);
        }

        decision.NeedsLease = true;
    }

    /// <summary>The call was admitted to a window that is not aligned to the clock.</summary>
    private void UseShare(
        Tally tally, CompiledLimit limit, in LimitState before, long now, ref LimitState state, ref Decision decision)
    {
        if (tally.WindowOf(limit, now).Share is not { } share) return;
        share.Use(decision.Sharing, leases!.Now);
        if (before.Remaining - 1 < state.Remaining)
            state = before with { Remaining = Math.Max(0, before.Remaining - 1) };
    }

    private void Hold(
        SharedCount share, long count, long units, int index, long now, bool take, ref int violated, ref Decision decision)
    {
        share.MoveOn(now);
        share.Limit = count;
        if (units > share.Step) share.Step = units;
        ref var state = ref decision.Limits[index];
        state.Remaining = Math.Min(state.Remaining, Math.Max(0, count - share.Others - share.Spent));
        switch (decision.Sharing)
        {
            case Sharing.Share:
                // of what nobody had leased, one part for each node
                var part = share.Granted + (Math.Max(0, count - share.Others - share.Granted) / leases!.Nodes);
                state.Remaining = Math.Max(0, part - share.Spent);
                break;
            case Sharing.Closed:
                decision.LimitsClosed = true;
                return;
            default:
                var room = share.RoomAt(now);
                if (room >= units || !take)
                {
                    share.UsedAt = now;
                    decision.RenewsLease |= take && share.IsDue(now, room);
                    return;
                }

                if (!share.IsExhausted(now))
                {
                    Demand(share, units, now);
                    decision.NeedsLease = true;
                    return;
                }

                state.Remaining = Math.Max(0, Math.Min(state.Remaining, units - 1));
                break;
        }

        if (state.Remaining < units) violated = Later(violated, index, ref decision);
    }

    /// <summary>Calls wait for so much more of a counter.</summary>
    private void Demand(SharedCount share, long units, long now)
    {
        _shares ??= [];
        if (!_shares.Contains(share)) _shares.Add(share);
        (share.Demand, share.UsedAt) = (share.Demand + units, now);
    }

    internal override async Task<bool?> AskAsync(SharedCounters counters, Leases of, bool last)
    {
        if (Plan(of) is not { } plan) return false;
        of.Asks();
        var (counts, windows) = (plan.AskCountsAsync(counters), plan.AskWindowsAsync(counters));
        var (granted, given) = (await counts, await windows);
        var again = Take(plan, granted, given, of.Now, last);
        return granted is null || given is null ? null : again;
    }

    /// <summary>What to ask: all that calls wait for, and that is to be renewed or given back. Null for nothing.</summary>
    internal LeasePlan? Plan(Leases of)
    {
        lock (this)
        {
            var askedAt = of.Now;
            var business = Roll(of, askedAt);
            foreach (var share in _shares ?? []) share.MoveOn(askedAt);

            Forget(askedAt, business);
            var counts = new List<(SharedCount Share, CounterQuestion Question)>(3);
            var windows = new List<(SharedWindow Share, WindowQuestion Question)>();
            // what calls wait for goes before what is renewed
            if (_shares?.Count > MostAsked) _shares.Sort((one, other) => (other.Demand > 0).CompareTo(one.Demand > 0));
            for (var i = 0; i < _shares?.Count; i++)
                if (_shares[i].ReturnsAhead(of.Times)) counts.Add((_shares[i], _shares[i].AskBack()));
            var back = counts.Count;
            for (var i = 0; i < _shares?.Count && counts.Count < back + MostAsked; i++)
                if (_shares[i].IsAsked(askedAt, of.Times)) counts.Add((_shares[i], _shares[i].Ask(askedAt, of.Times)));
            for (int i = 0, most = counts.Count + MostAsked; i < _shares?.Count && counts.Count < most && !of.IsEnding; i++)
            {
                var share = _shares[i];
                if (share.IsDueAhead(business, askedAt) && counts.FindIndex(0, back, c => c.Share == share) < 0)
                    counts.Add((share, share.AskAhead()));
            }

            for (var i = 0; i < _windows?.Count && windows.Count < MostAsked; i++)
                if (_windows[i].IsOverdue(askedAt)) windows.Add((_windows[i], _windows[i].Ask(_latest)));
            return counts.Count + windows.Count == 0 ? null : new LeasePlan(this, askedAt, counts, windows);
        }
    }

    /// <summary>Takes what Redis said; nothing where it did not answer.</summary>
    /// <returns>True when calls still wait for what others may give back.</returns>
    internal bool Take(LeasePlan plan, ReadOnlySpan<CounterAnswer> granted, ReadOnlySpan<WindowAnswer> given, long now, bool last)
    {
        var again = false;
        lock (this)
        {
            for (var i = 0; i < granted.Length; i++)
                again |= plan.Counts[i].Share.Take(plan.Counts[i].Question, granted[i], plan.AskedAt, now, last);
            for (var i = 0; i < given.Length; i++) again |= plan.Windows[i].Share.Take(plan.Windows[i].Question, given[i], now);
        }

        return again;
    }

    internal override (bool Overdue, bool Watched) Sweep(long now, bool returnAll)
    {
        lock (this)
        {
            var business = Roll(leases!, now);
            var (overdue, watched) = (false, false);
            // by index, since it is done ten times a second for everybody who calls
            for (var i = 0; i < _shares?.Count; i++)
            {
                var share = _shares[i];
                share.Returns |= returnAll;
                overdue |= share.IsOverdue(now) || share.IsDueAhead(business, now);
                watched |= !share.IsAtRest(now);
            }

            for (var i = 0; i < _windows?.Count; i++)
            {
                overdue |= _windows[i].IsOverdue(now);
                watched |= !_windows[i].IsAtRest(now);
            }

            if (!overdue && !watched) Forget(now, business);
            return (overdue, watched);
        }
    }

    /// <summary>Whether a Redis that has forgotten everything is to be told something.</summary>
    internal bool HasTold
    {
        get
        {
            lock (this) return _shares is { Count: > 0 } || _windows is { Count: > 0 };
        }
    }

    /// <summary>Somebody else needs what lies idle of a counter.</summary>
    internal override bool GivesBack(string key)
    {
        lock (this)
        {
            Roll(leases!, leases!.Now);
            if (_shares?.Find(s => s.Key == key) is not { IsOpen: true } share) return false;
            return share.Returns = true;
        }
    }

    /// <summary>Leaves out what nothing is to be said of any more. What was used in a window that runs stays, as far as there is
    /// room: a Redis that has forgotten it is told.</summary>
    private void Forget(long now, long business)
    {
        var isFull = _shares?.Count > MostKept;
        _shares?.RemoveAll(s => s.IsAtRest(now) && (isFull || s.IsOver(business)));
        _windows?.RemoveAll(w => w.IsAtRest(now));
    }

    /// <summary>Windows that are over by the clock have moved on.</summary>
    /// <returns>Business time.</returns>
    private long Roll(Leases of, long now)
    {
        var business = of.BusinessNow;
        for (var i = 0; i < _shares?.Count; i++)
            if (_shares[i].Roll(business, now)) _latest = Math.Max(_latest, business);
        return business;
    }

    /// <summary>By what it counts, as <see cref="Quota.CountsLike"/>: plans may name alike ones differently.</summary>
    private static string NameOf(Quota quota) =>
        $"{quota.Meter}:{quota.Per}:{(quota.Operations is { } operations ? string.Join(',', operations) : "*")}";

    /// <summary>The name must be the same on every node: ids of the store, and nothing of this process.</summary>
    private string NameOf(Tally tally, CompiledLimit limit, in Caller caller)
    {
        var subject = ReferenceEquals(tally, _strangers) ? ulong.MaxValue : SubjectOf(limit.By, caller).Id;
        var window = limit.Kind switch
        {
            WindowKind.Fixed => $"{limit.Unit}",
            WindowKind.Concurrent => "at-a-time",
            _ => $"{limit.Kind}:{limit.Unit}",
        };
        return FormattableString.Invariant($"tollgate:{{{subscription}}}:{limit.By}:{subject:x}:{window}");
    }
}
