using NodaTime;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>A subscription's counts, driven call by call at instants that a test names: no server, no journal.</summary>
internal sealed class Counted
{
    private readonly Pool _pool;
    private readonly Entitlement _of;
    private BoundTerms _bound;

    public Counted(string limits, params Quota[] quotas)
        : this(new LocalDate(2026, 1, 1), "UTC", At("2026-01-01T00:00:00Z"), limits, quotas) { }

    public Counted(LocalDate anchor, string zone, long start, string limits, params Quota[] quotas)
    {
        _pool = new Pool(new AddressBudget(3));
        _of = new Entitlement
        {
            Key = 1,
            SubscriptionId = "sub_1",
            CustomerKey = 1,
            PlanId = "plan_1",
            PlanVersion = 1,
            Priority = 0,
            StartAt = start,
            EndAt = null,
            Anchor = anchor,
            Timezone = zone,
        };
        _bound = Bind(start, limits, quotas);
    }

    public Terms Terms => _bound.Terms;

    public static long At(string text) => Micros.TryParse(text, out var at) ? at : throw new FormatException(text);

    /// <summary>Other terms from now on.</summary>
    public void Change(long now, string limits, params Quota[] quotas) => _bound = Bind(now, limits, quotas);

    /// <summary>Kinds of quotas that are counted.</summary>
    public int Kinds => _pool.Kinds;

    /// <summary>Forgets what is too much, but for these terms.</summary>
    public void Forget() => _pool.Forget([_bound]);

    public Decision Call(long now, Caller caller = default, long units = 1, bool take = true)
    {
        var decision = new Decision { Units = units, Bound = _bound, Pool = _pool };
        decision.Violated = _pool.TryTake(_bound, caller, "", now, take, ref decision);
        return decision;
    }

    /// <summary>How many of so many calls at one instant pass.</summary>
    public int Calls(int count, long now, Caller caller = default) =>
        Enumerable.Range(0, count).Count(_ => Call(now, caller).Violated < 0);

    public void Settle(Decision decision, long units, int operation = 0) =>
        _pool.Settle(ref decision, operation, units);

    public void Release(Decision decision) => _pool.Release(ref decision);

    private BoundTerms Bind(long now, string limits, Quota[] quotas) => _pool.Bind(
        new Terms(
            limits.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(l => Limit.TryParse(l)!),
            quotas.Select(q => new CompiledQuota(q, name => [int.Parse(name)], Tollgate.Catalog.Interval.Month)), HeaderFamilies.Kong),
        _of, now);
}
