using Tollgate.Catalog;
using Tollgate.Gateway.Cost;

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
                if (side.Covers(charge, new More(charge))) continue;
                refused = new Shortage(side.Balance, side.Used);
                return true;
            }

            if (!reserve) return true;
            foreach (var side in _sides) side.Reserve(charge, new More(charge));
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
            foreach (var side in _sides)
            {
                if (side.Covers(charge, More.Of(meter, units))) continue;
                refused = new Shortage(side.Balance, side.Used);
                // a price never falls when more is used, so what is covered is everything up to some number
                for (var (low, high) = (0L, units - 1); ; )
                {
                    if (low >= high)
                    {
                        units = low;
                        break;
                    }

                    var middle = low + (high - low + 1) / 2;
                    (low, high) = side.Covers(charge, More.Of(meter, middle)) ? (middle, high) : (low, middle - 1);
                }
            }

            if (units > 0)
                foreach (var side in _sides) side.Reserve(charge, More.Of(meter, units));
            return true;
        }
    }

    /// <summary>What a call cost.</summary>
    /// <param name="charge">As it was reserved, <c>calls</c> with what they were extended by.</param>
    /// <param name="reservedIn">Where; null for a call that was admitted before there was a balance.</param>
    /// <param name="calls">Billed units of <c>calls</c>; 0 when the call is not billed.</param>
    /// <param name="meters">Of the operation's meters, in their order.</param>
    /// <returns>False when another purse is in force by now: tell that one.</returns>
    public bool TrySettle(in Charge charge, Purse? reservedIn, long calls, ReadOnlySpan<Spent> meters)
    {
        lock (_lock)
        {
            if (_replaced) return false;
            _settlements++;
            var mine = ReferenceEquals(reservedIn?._origin, _origin);
            foreach (var side in _sides)
            {
                side.Settle(charge, null, new Spent(mine ? charge.Units : 0, calls));
                for (var i = 0; i < meters.Length; i++)
                    side.Settle(charge, charge.Cost!.Meters[i], mine ? meters[i] : meters[i] with { Freed = 0 });
            }

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
            foreach (var side in _sides) side.Settle(charge, meter, mine ? spent : spent with { Freed = 0 });
            return true;
        }
    }

    /// <summary>What somebody used without calling.</summary>
    /// <param name="charge">Whose; nothing is set aside.</param>
    /// <param name="used">Of one meter.</param>
    /// <param name="at">When; a balance that began later knows it only for its tiers.</param>
    /// <returns>False when another purse is in force by now: tell that one.</returns>
    public bool TryCount(in Charge charge, in More used, long at)
    {
        lock (_lock)
        {
            if (_replaced) return false;
            _settlements++;
            foreach (var side in _sides) side.Count(charge, used, before: at < side.Balance.Since);
            return true;
        }
    }

    /// <summary>Adds what the store knows of one of the balances, of one meter.</summary>
    public void Restore(int balance, in Charge charge, string meter, decimal before, decimal since)
    {
        if (before != 0) _sides[balance].Count(charge, new More(meter, before), before: true);
        if (since != 0) _sides[balance].Count(charge, new More(meter, since), before: false);
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

        public bool Covers(in Charge charge, in More more)
        {
            var account = AccountOf(charge);
            return Used + Balance.Gross(account.AmountWith(charge.Operation, more)) - account.Gross <= Balance.Amount;
        }

        public void Reserve(in Charge charge, in More more)
        {
            var account = AccountOf(charge);
            account.Reserve(charge.Operation, more);
            Sum(account);
        }

        public void Settle(in Charge charge, CostMeter? meter, in Spent spent)
        {
            var account = AccountOf(charge);
            account.Reserve(charge.Operation, More.Of(meter, -spent.Freed));
            account.Count(charge.Operation, More.Of(meter, spent.Units), before: false);
            Sum(account);
        }

        public void Count(in Charge charge, in More used, bool before)
        {
            var account = AccountOf(charge);
            account.Count(charge.Operation, used, before);
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
            var gross = Balance.Gross(account.AmountWith("", default));
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

    /// <summary>What one stretch of terms has used within one billing period, for each price that calls are held to.
    /// </summary>
    private sealed class Account(PlanVersion prices)
    {
        private readonly decimal[] _included =
            [.. prices.Prices.Where(p => p.IsHeldAtGate).Select(p => IncludedBy(p, prices))];
        private readonly PriceComponent[] _components = [.. prices.Prices.Where(p => p.IsHeldAtGate)];
        private readonly decimal[] _before = new decimal[prices.Prices.Count];
        private readonly decimal[] _settled = new decimal[prices.Prices.Count];
        private readonly decimal[] _reserved = new decimal[prices.Prices.Count];

        public PlanVersion Prices { get; } = prices;

        /// <summary>As it stands in the sum.</summary>
        public decimal Gross { get; set; }

        public bool IsAtRest => Array.TrueForAll(_reserved, r => r == 0);

        /// <summary>What the usage since the balance costs, with some of an operation on top. Tiers and included units go on
        /// from what was used before.</summary>
        public decimal AmountWith(string operation, in More more)
        {
            var sum = 0m;
            for (var i = 0; i < _components.Length; i++)
            {
                var price = _components[i].Price;
                var used = _settled[i] + _reserved[i]
                    + (_components[i].Covers(operation) ? more.Of(_components[i].Meter!) : 0);
                if (used == 0) continue;
                sum += Rating.Exactly(price, _before[i] + used, _included[i]);
                if (_before[i] > 0) sum -= Rating.Exactly(price, _before[i], _included[i]);
            }

            return sum;
        }

        public void Reserve(string operation, in More more)
        {
            for (var i = 0; i < _components.Length; i++)
                if (_components[i].Covers(operation)) _reserved[i] += more.Of(_components[i].Meter!);
        }

        public void Count(string operation, in More used, bool before)
        {
            for (var i = 0; i < _components.Length; i++)
                if (_components[i].Covers(operation)) (before ? _before : _settled)[i] += used.Of(_components[i].Meter!);
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
/// <param name="Units">Of <c>calls</c>.</param>
/// <param name="Cost">What may be used of other meters; none for usage that is not of a call.</param>
internal readonly record struct Charge(
    int Entitlement, int Period, PlanVersion Prices, string Operation, long Units, OperationCost? Cost = null)
{
    public static Charge Of(EntitlementEntry entitlement, ref Decision decision, string operation) =>
        new(entitlement.Key, decision.Period, entitlement.Prices!, operation, decision.Units, decision.Cost);
}

/// <summary>Units on top of what was used: all that a call may cost, or some of one meter.</summary>
internal readonly struct More
{
    private readonly OperationCost? _cost;
    private readonly string? _meter;
    private readonly decimal _units;

    /// <summary>What is set aside for a call.</summary>
    public More(in Charge charge) => (_cost, _meter, _units) = (charge.Cost, Meter.CallsName, charge.Units);

    public More(string meter, decimal units) => (_meter, _units) = (meter, units);

    /// <param name="meter">Null is <c>calls</c>.</param>
    /// <param name="units">× 10^scale.</param>
    public static More Of(CostMeter? meter, long units) =>
        meter is null ? new(Meter.CallsName, units) : new(meter.Name, units / meter.One);

    public decimal Of(string meter)
    {
        if (meter == _meter) return _units;
        if (_cost is null) return 0;
        foreach (var m in _cost.Meters)
            if (m.Name == meter) return m.Reserve / m.One;
        return 0;
    }
}

/// <summary>A balance that does not cover a call, and what has been taken from it.</summary>
public sealed record Shortage(Balance Balance, decimal Used);
