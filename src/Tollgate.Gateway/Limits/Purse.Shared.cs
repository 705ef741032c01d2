using Tollgate.Gateway.Cost;

namespace Tollgate.Gateway;

/// <content>
/// A purse that several nodes share. What is counted here is then all that anybody may have used: what the store knew, what
/// this node has settled since and holds, and what the others said that they have settled and hold. So a lease that is covered
/// here is covered whatever the others do with theirs, and a call within it needs no arithmetic.
/// </content>
internal sealed partial class Purse
{
    private readonly SharedPurse? _shared;
    private readonly Dictionary<UsedRow, decimal> _elsewhere = [];

    // what this node may use while nobody can be asked; null while the nodes count together
    private decimal[]? _parts;
    private bool _holdsToPart;
    private bool _isUntold;

    public bool IsShared => _shared is not null;

    /// <summary>Something is to be said to the others.</summary>
    public void Tell()
    {
        lock (_lock) _isUntold = true;
    }

    private decimal MostOf(int side) => _parts is not null && _holdsToPart ? _parts[side] : _sides[side].Balance.Amount;

    /// <summary>Reserves what a call may cost out of what this node has leased. Where that does not suffice the decision says
    /// that a lease is to be asked for, and nothing is taken.</summary>
    /// <param name="charge">What it may cost.</param>
    /// <param name="take">False only looks.</param>
    /// <param name="decision">Gets the balance that does not cover it, and what is to be asked.</param>
    /// <returns>False when another purse is in force by now: ask that one.</returns>
    public bool TryHold(in Charge charge, bool take, ref Decision decision)
    {
        decision.Shortage = null;
        lock (_lock)
        {
            if (_replaced) return false;
            var account = AccountOf(charge);
            var sharing = SharingOf(ref decision);
            if (sharing == Sharing.Closed) decision.LimitsClosed = true;
            else if (sharing != Sharing.Leased) HoldAlone(account, charge, sharing, take, ref decision);
            else if (take) HoldLeased(account, charge, ref decision);
            else
            {
                account.Consider(charge, new More(charge), _stock);
                decision.Shortage = ShortageOf(account);
            }

            return true;
        }
    }

    /// <summary>Reserves more of one meter for a call under way out of what this node has leased, as much as there is.</summary>
    /// <inheritdoc cref="TryExtend"/>
    public bool TryExtendHeld(in Charge charge, CostMeter? meter, ref long units, ref Decision decision)
    {
        decision.Shortage = null;
        var sharing = SharingOf(ref decision);
        if (sharing is Sharing.Open or Sharing.Share)
        {
            lock (_lock)
            {
                if (_replaced) return false;
                GoAlone(sharing);
                _isUntold = true;
            }

            return TryExtend(charge, meter, ref units, out decision.Shortage);
        }

        lock (_lock)
        {
            if (_replaced) return false;
            var (account, now, one) = (AccountOf(charge), _shared!.Now, meter?.One ?? 1);
            var wanted = units;
            foreach (var track in account.TracksOf(charge))
            {
                // without a balance there is only credit in units, which stops no call under way
                if (_sides.Length == 0 || !track.Price.Covers(charge.Operation)
                    || !More.Of(meter, units).IsOf(track.Price.Meter!)) continue;
                var room = Math.Max(0, track.Lease?.RoomAt(now, track.Spent) ?? 0) * one;
                if (room < units) units = (long)room;
                if (room >= wanted) continue;
                var lease = track.Lease ??= new UnitLease();
                lease.Use(wanted / one, now, charge.At);
                if (now < lease.ShortUntil) decision.Shortage = lease.Short;
                else (lease.Demand, decision.NeedsCredit) = (wanted / one, sharing == Sharing.Leased);
            }

            if (units < wanted) decision.Shortage ??= new Shortage(_sides[0].Balance, _sides[0].Used);
            if (units <= 0) return true;
            foreach (var track in account.TracksOf(charge))
                if (track.Price.Covers(charge.Operation))
                    account.ReserveLeased(track, More.Of(meter, units).Of(track.Price.Meter!), charge.At, _stock);
            return true;
        }
    }

    /// <summary>What others said that they hold, in place of what they said before.</summary>
    /// <returns>False when it is of terms that are not known here.</returns>
    public bool Learn(IEnumerable<HeldRow> others)
    {
        lock (_lock) return _replaced || TryLearn(others);
    }

    private bool TryLearn(IEnumerable<HeldRow> others)
    {
        var known = new Dictionary<UsedRow, decimal>();
        foreach (var row in others) known[row.Row] = known.GetValueOrDefault(row.Row) + row.U;
        foreach (var row in _elsewhere.Keys) known.TryAdd(row, 0);
        foreach (var (row, units) in known)
        {
            var change = units - _elsewhere.GetValueOrDefault(row);
            if (change == 0) continue;
            if (Find(row) is not var (account, track, settled)) return false;
            account.Hold(track, change, row.At, BeganAfter(row.At, settled), settled ? null : _stock);
            Sum(account);
            if (units == 0) _elsewhere.Remove(row);
            else _elsewhere[row] = units;
        }

        return true;
    }

    private (PurseAccount Account, PurseAccount.Track Track, bool Settled)? Find(in UsedRow row)
    {
        var key = row.Entitlement;
        if (Array.Find(Entries, e => e.Key == key) is not { Prices: { } prices } entry) return null;
        var charge = new Charge(entry.Key, row.Period, prices, "", 0) { Era = entry.Era, At = row.At };
        var account = AccountOf(charge);
        return account.Find(charge, row.Price) is { } track ? (account, track, entry.IsSettled(row.Period, Terms)) : null;
    }

    private Sharing SharingOf(ref Decision decision)
    {
        if (decision.Sharing != Sharing.Leased || !_shared!.IsAdrift) return decision.Sharing;
        return decision.OfBalances = decision.Plan?.Unavailable ?? Sharing.Share;
    }

    private void HoldLeased(PurseAccount account, in Charge charge, ref Decision decision)
    {
        var (now, more) = (_shared!.Now, new More(charge));
        var (any, lacks) = (false, false);
        foreach (var track in account.TracksOf(charge))
        {
            var units = track.Price.Covers(charge.Operation) ? more.Of(track.Price.Meter!) : 0;
            if (units == 0) continue;
            any = true;
            var lease = track.Lease ??= new UnitLease();
            if (lease.RoomAt(now, track.Spent) >= units) continue;
            lacks = true;
            if (now < lease.ShortUntil) decision.Shortage ??= lease.Short;
        }

        if (decision.Shortage is not null) return;
        // what costs nothing passes as long as nothing is overdrawn
        if (!any) decision.Shortage = ShortageOf(account, charge);
        decision.NeedsCredit = lacks;
        if (!any) return;
        foreach (var track in account.TracksOf(charge))
        {
            var units = track.Price.Covers(charge.Operation) ? more.Of(track.Price.Meter!) : 0;
            if (units == 0) continue;
            var lease = track.Lease!;
            lease.Use(units, now, charge.At);
            if (!lacks)
            {
                track.Reserved += units;
                decision.RenewsCredit |= lease.IsDue(now, lease.Usable - track.Spent);
            }
            else if (lease.RoomAt(now, track.Spent) < units) lease.Demand += units;
        }
    }

    private void HoldAlone(PurseAccount account, in Charge charge, Sharing sharing, bool take, ref Decision decision)
    {
        GoAlone(sharing);
        account.Consider(charge, new More(charge), _stock);
        decision.Shortage = ShortageOf(account);
        if (decision.Shortage is not null || !take) return;
        _isUntold = true;
        foreach (var track in account.TracksOf(charge))
            if (track.Price.Covers(charge.Operation)) (track.Lease ??= new UnitLease()).LastAt = charge.At;
        Reserve(account, charge, new More(charge));
    }

    /// <summary>Nobody can be asked. Of what nobody had leased then, this node takes one part for each node.</summary>
    private void GoAlone(Sharing sharing)
    {
        _holdsToPart = sharing == Sharing.Share;
        if (_parts is not null) return;
        var nodes = _shared!.Nodes;
        _parts = [.. _sides.Select(s => s.Balance.Amount - Math.Max(0, s.Balance.Amount - s.Used) * (nodes - 1) / nodes)];
        foreach (var account in _accounts.Values)
        {
            foreach (var track in account.Tracks)
            {
                if (track.Lease is not { } lease) continue;
                account.Grant(track, 0, _stock);
                (lease.Usable, lease.Demand) = (0, 0);
            }

            Sum(account);
        }

        _shared.GoAlone();
    }

    private Shortage? ShortageOf(PurseAccount account, in Charge charge)
    {
        account.Consider(charge, new More(charge), _stock);
        return ShortageOf(account);
    }

    private Shortage? ShortageOf(PurseAccount account)
    {
        for (var s = 0; s < _sides.Length; s++)
            if (!IsCovered(account, s)) return new Shortage(_sides[s].Balance, _sides[s].Used);
        return null;
    }
}
