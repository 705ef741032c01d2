using Tollgate.Catalog;
using Tollgate.Gateway.Cost;

namespace Tollgate.Gateway;

/// <summary>
/// The balances of one customer, in money and in units, and what usage has taken from them: exact, before any rounding, of
/// what is settled and of what calls under way may still cost. So the sum never goes beyond a balance, whatever is called at
/// the same moment. One lock, the customer's own.
/// </summary>
internal sealed partial class Purse
{
    /// <summary>Billing periods that are kept apart; older ones are closed into one sum.</summary>
    private const int MostAccounts = 64;

    private readonly Lock _lock = new();
    private readonly Side[] _sides;
    private readonly UnitStock _stock;
    private readonly Dictionary<(int Era, int Period), PurseAccount> _accounts = [];
    private readonly object _origin;
    private long _settlements;
    private bool _replaced;

    private Purse(PurseTerms terms, object origin, SharedPurse? shared)
    {
        (Terms, _shared) = (terms, shared);
        _sides = [.. terms.Balances.Select(b => new Side(b))];
        _stock = new UnitStock(terms.Units);
        _origin = origin;
    }

    public PurseTerms Terms { get; }

    public IReadOnlyList<Balance> Balances => Terms.Balances;

    /// <summary>One that refuses nothing, and knows what is under way when the store is asked.</summary>
    /// <param name="shared">Of nodes that share it; null where each counts for itself.</param>
    public static Purse Counting(SharedPurse? shared = null) => new(PurseTerms.None, new object(), shared);

    public long Settlements
    {
        get
        {
            lock (_lock) return _settlements;
        }
    }

    /// <summary>One of these balances for the same calls; <see cref="TryReplace"/> then puts it in force.</summary>
    public Purse With(PurseTerms terms) => new(terms, _origin, _shared);

    /// <summary>What has been taken from each balance, in their order; with what is reserved.</summary>
    public decimal[] Used()
    {
        lock (_lock) return [.. _sides.Select(s => s.Used)];
    }

    /// <summary>What is left of each credit in units, in their order.</summary>
    public decimal[] Left()
    {
        lock (_lock) return _stock.Left();
    }

    /// <summary>Reserves what a call may cost in every balance, or nothing when one of them does not cover it.</summary>
    /// <param name="charge">What it may cost.</param>
    /// <param name="refused">The balance that does not cover it, and what has been taken from it.</param>
    /// <param name="reserve">False only looks.</param>
    /// <returns>False when another purse is in force by now: ask that one.</returns>
    public bool TryReserve(in Charge charge, out Shortage? refused, bool reserve = true)
    {
        refused = null;
        lock (_lock)
        {
            if (_replaced) return false;
            var account = AccountOf(charge);
            account.Consider(charge, new More(charge), _stock);
            for (var s = 0; s < _sides.Length; s++)
            {
                if (IsCovered(account, s)) continue;
                refused = new Shortage(_sides[s].Balance, _sides[s].Used);
                return true;
            }

            if (reserve) Reserve(account, charge, new More(charge));
            return true;
        }
    }

    /// <summary>Reserves more of one meter for a call under way, as much as every balance covers.</summary>
    /// <param name="charge">As it was reserved.</param>
    /// <param name="meter">Null is <c>calls</c>.</param>
    /// <param name="units">× 10^scale; becomes what is reserved.</param>
    /// <param name="refused">The balance that does not cover all of it.</param>
    /// <returns>False when another purse is in force by now: ask that one.</returns>
    public bool TryExtend(in Charge charge, CostMeter? meter, ref long units, out Shortage? refused)
    {
        refused = null;
        lock (_lock)
        {
            if (_replaced) return false;
            var account = AccountOf(charge);
            for (var s = 0; s < _sides.Length; s++)
            {
                if (IsCovered(account, s, charge, meter, units)) continue;
                refused = new Shortage(_sides[s].Balance, _sides[s].Used);
                // a price never falls when more is used, so what is covered is everything up to some number
                for (var (low, high) = (0L, units - 1); ; )
                {
                    if (low >= high)
                    {
                        units = low;
                        break;
                    }

                    var middle = low + (high - low + 1) / 2;
                    (low, high) = IsCovered(account, s, charge, meter, middle) ? (middle, high) : (low, middle - 1);
                }
            }

            if (units > 0) Reserve(account, charge, More.Of(meter, units));
            return true;
        }
    }

    /// <summary>What a call cost.</summary>
    /// <param name="charge">As it was reserved, <c>calls</c> with what they were extended by.</param>
    /// <param name="reservedIn">Where; null for a call that was admitted before there was a balance.</param>
    /// <param name="calls">Billed units of <c>calls</c>; 0 when the call is not billed.</param>
    /// <param name="meters">Of the operation's meters, in their order.</param>
    /// <param name="sequence">Of the record in the journal.</param>
    /// <returns>False when another purse is in force by now: tell that one.</returns>
    public bool TrySettle(
        in Charge charge, Purse? reservedIn, long calls, ReadOnlySpan<Spent> meters, ulong sequence = 0)
    {
        lock (_lock)
        {
            if (_replaced) return false;
            _settlements++;
            var mine = ReferenceEquals(reservedIn?._origin, _origin);
            var account = AccountOf(charge);
            Settle(account, charge, null, new Spent(mine ? charge.Units : 0, calls) { Sequence = sequence });
            for (var i = 0; i < meters.Length; i++)
                Settle(account, charge, charge.Cost!.Meters[i], mine ? meters[i] : meters[i] with { Freed = 0 });
            Sum(account);
            return true;
        }
    }

    /// <summary>What a call under way used of one meter; so much less is reserved.</summary>
    /// <inheritdoc cref="TrySettle"/>
    public bool TrySettlePart(in Charge charge, Purse? reservedIn, CostMeter meter, in Spent spent)
    {
        lock (_lock)
        {
            if (_replaced) return false;
            _settlements++;
            var mine = ReferenceEquals(reservedIn?._origin, _origin);
            var account = AccountOf(charge);
            Settle(account, charge, meter, mine ? spent : spent with { Freed = 0 });
            Sum(account);
            return true;
        }
    }

    /// <summary>What somebody used without calling.</summary>
    /// <param name="charge">Whose, and when; nothing is set aside. A balance that began later knows it only for its tiers.
    /// </param>
    /// <param name="used">Of one meter.</param>
    /// <param name="sequence">Of the last of its records in the journal.</param>
    /// <returns>False when another purse is in force by now: tell that one.</returns>
    public bool TryCount(in Charge charge, in More used, ulong sequence = 0)
    {
        lock (_lock)
        {
            if (_replaced) return false;
            _settlements++;
            var account = AccountOf(charge);
            _isUntold |= account.Count(
                charge, used, 0, BeganAfter(charge.At, settled: false), _stock, _shared?.Unstored, sequence);
            Sum(account);
            return true;
        }
    }

    /// <summary>Adds what the store knows, in the order of time.</summary>
    /// <param name="charge">Whose, and when.</param>
    /// <param name="used">Of one meter.</param>
    /// <param name="settled">It is on an invoice, which has burnt what it took of credit.</param>
    public void Restore(in Charge charge, in More used, bool settled)
    {
        var account = AccountOf(charge);
        account.Count(charge, used, 0, BeganAfter(charge.At, settled), settled ? null : _stock);
        Sum(account);
    }

    /// <summary>How far credit in units lifts a quota of the running period: what it has paid, and what is left of it.
    /// </summary>
    public decimal LiftOf(in Charge charge, CompiledQuota quota)
    {
        lock (_lock) return _stock.IsEmpty ? 0 : AccountOf(charge).LiftOf(quota.Quota, charge.At, _stock);
    }

    /// <summary>What credit in units has paid of what a quota counts in the running period, with what is reserved. Any number
    /// when there is no such credit: then a quota is not lifted.</summary>
    public decimal BurntOf(in Charge charge, CompiledQuota quota)
    {
        lock (_lock) return _stock.IsEmpty ? 0 : AccountOf(charge).LiftOf(quota.Quota, charge.At, UnitStock.Empty);
    }

    /// <summary>Puts this in the place of another, with what calls under way have reserved there. Not when calls have ended
    /// since the store was asked: it may know of them or not.</summary>
    public bool TryReplace(Purse other, long settlements, bool force, Action inForce)
    {
        lock (other._lock)
        {
            if (other._settlements != settlements && !force) return false;
            foreach (var (key, theirs) in other._accounts)
            {
                if (!_accounts.TryGetValue(key, out var account)) _accounts[key] = account = new PurseAccount(_sides.Length);
                account.TakeOver(theirs, _stock);
                Sum(account);
            }

            other._replaced = true;
            inForce();
            return true;
        }
    }

    private bool IsCovered(PurseAccount account, int side, in Charge charge, CostMeter? meter, long units)
    {
        account.Consider(charge, More.Of(meter, units), _stock);
        return IsCovered(account, side);
    }

    /// <summary>Whether a balance covers what is considered on top.</summary>
    private bool IsCovered(PurseAccount account, int side)
    {
        var of = _sides[side];
        return of.Used + of.Balance.Gross(account.Amount(side, considered: true)) - account.Gross[side] <= MostOf(side);
    }

    private void Reserve(PurseAccount account, in Charge charge, in More more)
    {
        account.Reserve(charge, more, _stock);
        Sum(account);
    }

    private void Settle(PurseAccount account, in Charge charge, CostMeter? meter, in Spent spent) =>
        _isUntold |= account.Count(charge, More.Of(meter, spent.Units), spent.Freed / (meter?.One ?? 1), 0, _stock,
            _shared?.Unstored, spent.Sequence);

    private void Sum(PurseAccount account)
    {
        for (var s = 0; s < _sides.Length; s++)
        {
            var gross = _sides[s].Balance.Gross(account.Amount(s, considered: false));
            _sides[s].Used += gross - account.Gross[s];
            account.Gross[s] = gross;
        }
    }

    /// <summary>The balances that usage of an instant came before, as bits.</summary>
    private uint BeganAfter(long at, bool settled)
    {
        var before = 0u;
        for (var s = 0; s < _sides.Length; s++)
            if (at < _sides[s].Balance.Since || (settled && _sides[s].Balance.IsOfOpenUsage)) before |= 1u << s;
        return before;
    }

    private PurseAccount AccountOf(in Charge charge)
    {
        var key = (charge.Era, charge.Period);
        if (_accounts.TryGetValue(key, out var account)) return account;
        // what has nothing under way any more stays in the sum
        if (_accounts.Count >= MostAccounts && _shared is null)
            foreach (var old in _accounts.Where(a => a.Value.IsAtRest && a.Key.Period < key.Period).ToArray())
                _accounts.Remove(old.Key);
        return _accounts[key] = new PurseAccount(_sides.Length);
    }

    /// <summary>One balance and what was taken from it.</summary>
    private sealed class Side(Balance balance)
    {
        public Balance Balance { get; } = balance;

        public decimal Used { get; set; }
    }
}
