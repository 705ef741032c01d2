using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <content>Limits and quotas that several nodes share: what this node may spend of them on its own.</content>
internal sealed partial class Pool
{
    /// <summary>Counters in one question; the others follow in the next.</summary>
    private const int MostAsked = 64;

    private readonly List<SharedCount> _shares = [];

    /// <summary>The question under way; questions about one pool follow one after the other.</summary>
    internal Task<bool>? Asking { get; set; }

    internal string Subscription => subscription;

    /// <summary>Holds a call to what this node may spend: it passes, waits for a lease, or there is none left.</summary>
    private void HoldToShares(BoundTerms bound, in Caller caller, bool take, ref int violated, ref Decision decision)
    {
        if (decision.Sharing is Sharing.None or Sharing.Open) return;
        var limits = bound.Terms.Limits;
        for (var i = 0; i < limits.Length; i++)
        {
            if (limits[i].Kind != WindowKind.Fixed) continue;
            var tally = decision.Tallies[(int)limits[i].By]!;
            ref var share = ref tally.Share(limits[i].Unit);
            share ??= NewShare(tally, limits[i], caller);
            Hold(share, limits[i].Count, 1, i, take, ref violated, ref decision);
        }

        var quotas = bound.Terms.Quotas;
        for (var q = 0; q < quotas.Length; q++)
        {
            var i = limits.Length + q;
            if (!quotas[q].Blocks || quotas[q].NeedOf(caller.Operation, ref decision) is not (> 0 and var need)) continue;
            var slot = _slots[bound.Places[q]];
            slot.Share ??= new SharedCount($"tollgate:{{{subscription}}}:quota:{NameOf(slot.Shape.Quota)}", slot);
            Hold(slot.Share, quotas[q].Count, need, i, take, ref violated, ref decision);
        }

        if (violated >= 0) decision.NeedsLease = false;
    }

    private void Hold(
        SharedCount share, long count, long units, int index, bool take, ref int violated, ref Decision decision)
    {
        var now = leases!.Now;
        share.MoveOn();
        share.Limit = count;
        ref var state = ref decision.Limits[index];
        state.Remaining = Math.Min(state.Remaining, Math.Max(0, count - share.Others - share.Spent));
        switch (decision.Sharing)
        {
            case Sharing.Share:
                // of what nobody had leased, one part for each node
                var part = share.Granted + (Math.Max(0, count - share.Others - share.Granted) / leases.Nodes);
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

                if (now >= share.ExhaustedUntil)
                {
                    if (!_shares.Contains(share)) _shares.Add(share);
                    (share.Demand, share.UsedAt, decision.NeedsLease) = (share.Demand + units, now, true);
                    return;
                }

                state.Remaining = Math.Max(0, Math.Min(state.Remaining, units - 1));
                break;
        }

        if (state.Remaining < units) violated = Later(violated, index, ref decision);
    }

    /// <summary>What is to be asked now, and by which counter.</summary>
    internal (SharedCount Share, CounterQuestion Question)[] Questions(long now)
    {
        lock (this)
        {
            foreach (var share in _shares) share.MoveOn();
            _shares.RemoveAll(s => s.IsAtRest(now));
            return [.. _shares.OrderByDescending(s => s.Demand > 0).Take(MostAsked).Select(s => (s, s.Ask(now)))];
        }
    }

    /// <returns>True when calls still wait and somebody may give back what they need.</returns>
    internal bool TakeLeases(
        (SharedCount Share, CounterQuestion Question)[] asked, CounterAnswer[] answers, long askedAt, long now, bool last)
    {
        var again = false;
        lock (this)
            for (var i = 0; i < asked.Length; i++)
                again |= asked[i].Share.Take(asked[i].Question, answers[i], askedAt, now, last);
        return again;
    }

    /// <summary>Whether something is to be renewed or given back, and whether anything is to be watched at all.</summary>
    internal (bool Overdue, bool Watched) Sweep(long now, bool returnAll)
    {
        lock (this)
        {
            if (returnAll) foreach (var share in _shares) share.Returns = true;
            return (_shares.Exists(s => s.IsOverdue(now)), _shares.Count > 0);
        }
    }

    /// <summary>Somebody else needs what lies idle of a counter.</summary>
    internal bool GivesBack(string key)
    {
        lock (this)
        {
            if (_shares.Find(s => s.Key == key) is not { IsOpen: true } share) return false;
            return share.Returns = true;
        }
    }

    /// <summary>By what it counts, as <see cref="Quota.CountsLike"/>: plans may name alike ones differently.</summary>
    private static string NameOf(Quota quota) =>
        $"{quota.Meter}:{quota.Per}:{(quota.Operations is { } operations ? string.Join(',', operations) : "*")}";

    /// <summary>The name must be the same on every node: ids of the store, and nothing of this process.</summary>
    private SharedCount NewShare(Tally tally, CompiledLimit limit, in Caller caller)
    {
        var subject = ReferenceEquals(tally, _strangers) ? ulong.MaxValue : SubjectOf(limit.By, caller).Id;
        return new SharedCount(
            FormattableString.Invariant($"tollgate:{{{subscription}}}:{limit.By}:{subject:x}:{limit.Unit}"), tally, limit.Unit);
    }
}
