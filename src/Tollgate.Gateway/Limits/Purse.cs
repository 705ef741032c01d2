using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Gateway;

/// <summary>
/// The balances of one customer, and what usage has taken from them: exact amounts, before any rounding, of what is
/// settled and of what calls under way may still cost. So the sum never goes beyond a balance, whatever is called at the
/// same moment. One lock, the customer's own.
/// </summary>
internal sealed class Purse
{
    /// <summary>Stretches of terms and periods that are kept apart; older ones are closed into one sum.</summary>
    private const int MostAccounts = 64;

    private readonly Lock _lock = new();
    private readonly Side[] _sides;
    private readonly object _origin;
    private long _settlements;
    private bool _replaced;

    private Purse(IEnumerable<Balance> balances, object origin)
    {
        Balances = [.. balances];
        _sides = [.. (Balances.Count > 0 ? Balances : [s_unbounded]).Select(b => new Side(b))];
        _origin = origin;
    }

    private static readonly Balance s_unbounded = new()
    {
        CustomerKey = 0,
        Kind = BalanceKind.SpendCap,
        Amount = decimal.MaxValue,
        Currency = Currency.Usd,
        Since = 0,
    };

    public IReadOnlyList<Balance> Balances { get; }

    /// <summary>One that refuses nothing, and knows what is under way when the store is asked.</summary>
    public static Purse Counting() => new([], new object());

    public long Settlements
    {
        get
        {
            lock (_lock) return _settlements;
        }
    }

    /// <summary>One of these balances for the same calls; <see cref="TryReplace"/> then puts it in force.</summary>
    public Purse With(IReadOnlyList<Balance> balances) => new(balances, _origin);

    /// <summary>What has been taken from each balance, in their order; with what is reserved.</summary>
    public decimal[] Used()
    {
        lock (_lock) return [.. _sides.Take(Balances.Count).Select(s => s.Used)];
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
            foreach (var side in _sides)
            {
                if (side.Used + side.CostOf(charge) <= side.Balance.Amount) continue;
                refused = new Shortage(side.Balance, side.Used);
                return true;
            }

            if (!reserve) return true;
            foreach (var side in _sides) side.Add(charge, charge.Units, 0);
            return true;
        }
    }

    /// <summary>What a call cost.</summary>
    /// <param name="charge">As it was reserved.</param>
    /// <param name="reservedIn">Where; null for a call that was admitted before there was a balance.</param>
    /// <param name="units">Billed units; 0 when the call is not billed.</param>
    /// <returns>False when another purse is in force by now: tell that one.</returns>
    public bool TrySettle(in Charge charge, Purse? reservedIn, long units)
    {
        lock (_lock)
        {
            if (_replaced) return false;
            _settlements++;
            var reserved = ReferenceEquals(reservedIn?._origin, _origin) ? -charge.Units : 0;
            foreach (var side in _sides) side.Add(charge, reserved, units);
            return true;
        }
    }

    /// <summary>Adds what the store knows of one of the balances.</summary>
    public void Restore(int balance, in Charge before, in Charge since)
    {
        if (before.Units > 0) _sides[balance].AddBefore(before);
        if (since.Units > 0) _sides[balance].Add(since, 0, since.Units);
    }

    /// <summary>Puts this in the place of another, with what calls under way have reserved there. Not when calls have ended
    /// since the store was asked: it may know of them or not.</summary>
    public bool TryReplace(Purse other, long settlements, bool force, Action inForce)
    {
        lock (other._lock)
        {
            if (other._settlements != settlements && !force) return false;
            foreach (var side in _sides) side.TakeOver(other._sides[0]);
            other._replaced = true;
            inForce();
            return true;
        }
    }

    /// <summary>One balance and what was taken from it.</summary>
    private sealed class Side(Balance balance)
    {
        private readonly Dictionary<(int Entitlement, int Period), Account> _accounts = [];

        public Balance Balance { get; } = balance;

        public decimal Used { get; private set; }

        public decimal CostOf(in Charge charge)
        {
            var account = AccountOf(charge);
            return Balance.Gross(account.AmountWith(charge.Operation, charge.Units)) - account.Gross;
        }

        public void Add(in Charge charge, long reserved, long settled)
        {
            var account = AccountOf(charge);
            account.Add(charge.Operation, reserved, settled);
            Sum(account);
        }

        public void AddBefore(in Charge charge)
        {
            var account = AccountOf(charge);
            account.AddBefore(charge.Operation, charge.Units);
            Sum(account);
        }

        public void TakeOver(Side other)
        {
            foreach (var (key, theirs) in other._accounts)
            {
                var account = _accounts.TryGetValue(key, out var mine) ? mine : _accounts[key] = new Account(theirs.Prices);
                account.TakeOver(theirs);
                Sum(account);
            }
        }

        private void Sum(Account account)
        {
            var gross = Balance.Gross(account.AmountWith("", 0));
            Used += gross - account.Gross;
            account.Gross = gross;
        }

        private Account AccountOf(in Charge charge)
        {
            var key = (charge.Entitlement, charge.Period);
            if (_accounts.TryGetValue(key, out var account)) return account;
            // what has nothing under way any more stays in the sum
            if (_accounts.Count >= MostAccounts)
                foreach (var old in _accounts.Where(a => a.Value.IsAtRest && a.Key.Period < key.Period).ToArray())
                    _accounts.Remove(old.Key);
            return _accounts[key] = new Account(charge.Prices);
        }
    }

    /// <summary>What one stretch of terms has used within one billing period, for each price of calls.</summary>
    private sealed class Account(PlanVersion prices)
    {
        private readonly decimal[] _included =
            [.. prices.Prices.Where(p => p.Meter == UsageStore.Calls).Select(p => IncludedBy(p, prices))];
        private readonly PriceComponent[] _components =
            [.. prices.Prices.Where(p => p.Meter == UsageStore.Calls)];
        private readonly decimal[] _before = new decimal[prices.Prices.Count];
        private readonly decimal[] _settled = new decimal[prices.Prices.Count];
        private readonly decimal[] _reserved = new decimal[prices.Prices.Count];

        public PlanVersion Prices { get; } = prices;

        /// <summary>As it stands in the sum.</summary>
        public decimal Gross { get; set; }

        public bool IsAtRest => Array.TrueForAll(_reserved, r => r == 0);

        /// <summary>What the usage since the balance costs, with so many units of an operation on top. Tiers and included
        /// units go on from what was used before.</summary>
        public decimal AmountWith(string operation, long units)
        {
            var sum = 0m;
            for (var i = 0; i < _components.Length; i++)
            {
                var price = _components[i].Price;
                var more = units > 0 && _components[i].Covers(operation) ? units : 0;
                var used = _settled[i] + _reserved[i] + more;
                if (used == 0) continue;
                sum += Rating.Exactly(price, _before[i] + used, _included[i]);
                if (_before[i] > 0) sum -= Rating.Exactly(price, _before[i], _included[i]);
            }

            return sum;
        }

        public void Add(string operation, long reserved, long settled)
        {
            for (var i = 0; i < _components.Length; i++)
            {
                if (!_components[i].Covers(operation)) continue;
                _reserved[i] += reserved;
                _settled[i] += settled;
            }
        }

        public void AddBefore(string operation, long units)
        {
            for (var i = 0; i < _components.Length; i++)
                if (_components[i].Covers(operation)) _before[i] += units;
        }

        /// <summary>The allowance is one number: of the quota that counts what the price is for.</summary>
        private static decimal IncludedBy(PriceComponent price, PlanVersion plan) => !price.Price.IncludedFromQuota
            ? price.Price.Included
            : plan.Quotas.FirstOrDefault(q => q.Meter == price.Meter && q.Operations is null == price.Operations is null
                && (q.Operations ?? []).Order().SequenceEqual((price.Operations ?? []).Order()))?.Allowance ?? 0;

        public void TakeOver(Account other)
        {
            for (var i = 0; i < _reserved.Length; i++) _reserved[i] = other._reserved[i];
        }
    }
}

/// <summary>What a call may cost, and by which prices.</summary>
/// <param name="Period">Index of the billing period: tiers and included units are of one period.</param>
internal readonly record struct Charge(
    int Entitlement, int Period, PlanVersion Prices, string Operation, long Units);

/// <summary>A balance that does not cover a call, and what has been taken from it.</summary>
public sealed record Shortage(Balance Balance, decimal Used);
