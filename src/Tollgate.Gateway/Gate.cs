using Tollgate.Catalog;
using Tollgate.Gateway.Cost;
using Tollgate.Metering;

namespace Tollgate.Gateway;

/// <summary>What the gate decided about one call, and by what.</summary>
public struct Decision
{
    public Verdict Verdict;
    public ConsumerEntry? Consumer;
    public CredentialEntry? Credential;

    /// <summary>Whose terms the call goes by; none for anonymous calls and for consumers without a plan.</summary>
    public EntitlementEntry? Entitlement;

    public CompiledPlan? Plan;

    /// <summary>Index of the billing period of the entitlement.</summary>
    public int Period;

    /// <summary>How many records its meters may need beside its own two; set by the caller of the gate.</summary>
    public int Measures;

    /// <summary>It passes though it cannot be written down: its plan says so.</summary>
    public bool IsUnrecorded;

    /// <summary>Said of a call that all limits would let in; it then takes nothing. <see cref="Verdict.Admit"/> for none;
    /// set by the caller of the gate.</summary>
    public Verdict Otherwise;

    /// <summary>The call costs nothing, whatever is used: quotas and balances need no room for it. Set by the caller of the
    /// gate, of a repetition.</summary>
    public bool IsFree;

    /// <summary>Which of the limits and quotas refused, the one that lasts longest; −1 for none.</summary>
    public int Violated;

    /// <summary>The quota that is violated has never room for such a call: it takes more than the whole allowance.</summary>
    public bool NeverFits;

    /// <summary>Units of <c>calls</c> that the call may cost.</summary>
    public long Units;

    /// <summary>What it may cost on other meters, as far as that is known before.</summary>
    public OperationCost? Cost;

    /// <summary>Whether the limits say what the call cost in the end.</summary>
    public bool Settled;

    /// <summary>Where the limits and quotas of <see cref="Terms"/> stand, in their order.</summary>
    public LimitStates Limits;

    /// <summary>The balance that does not cover the call; none for other verdicts.</summary>
    public Shortage? Shortage;

    /// <summary>The call cannot be decided before a lease of a shared limit was asked for.</summary>
    internal bool NeedsLease;

    /// <summary>A lease is nearly used up or over; it is renewed beside the call.</summary>
    internal bool RenewsLease;

    /// <summary>The call cannot be decided before a lease of the customer's balances was asked for.</summary>
    internal bool NeedsCredit;

    /// <summary>As <see cref="RenewsLease"/>, of balances.</summary>
    internal bool RenewsCredit;

    /// <summary>There is a limit, nobody can tell what is left of it, and the plan says <c>closed</c>.</summary>
    internal bool LimitsClosed;

    /// <summary>This node has not heard for too long what others change.</summary>
    public bool IsStale;

    internal Sharing Sharing;

    /// <summary>How it is held to balances that this node cannot share although Redis answers; none while it can.</summary>
    internal Sharing OfBalances;
    internal Purse? Purse;

    /// <summary>The instant at which it was counted: later than the admission where the clock was set back.</summary>
    internal long CountedAt;

    /// <summary>The instant at which its limits, quotas and balances were looked at, also of a call that is refused.</summary>
    internal long LookedAt;

    /// <summary>How many quotas the pool had counted by then: it reserved units in those of them that it still has.</summary>
    internal int SlotsMade;
    internal Pool? Pool;
    internal BoundTerms? Bound;
    internal Tallies Tallies;

    /// <summary>What the plan says is happening, where limits or balances are not shared.</summary>
    internal readonly Sharing Alone => Sharing > Sharing.Leased ? Sharing : OfBalances;

    /// <summary>Another call was quicker, and the billing period or the terms have ended in between: it belongs to those of
    /// <see cref="LookedAt"/>, and is decided again.</summary>
    internal bool IsLate;

    internal readonly bool IsHeldUp => NeedsLease || NeedsCredit || LimitsClosed || IsLate;

    /// <summary>The instant of the admission: where another call was quicker, and a window has begun in between, the one at which it
    /// was counted.</summary>
    internal readonly long AdmittedAt(long now) => IsHeldUpUntil(CountedAt, now) ? CountedAt : now;

    /// <summary>Whether a call that came now would be of another billing period, or of other terms, where it is counted.</summary>
    internal readonly bool Leaves(long now, long countedAt) => IsHeldUpUntil(countedAt, now)
        && Entitlement is { } of && !(of.RunsAt(countedAt) && of.PeriodAt(countedAt) == Period);

    /// <summary>A process may be held up for some seconds; what is further ahead is a clock that was set back.</summary>
    private static bool IsHeldUpUntil(long at, long now) => at > now && at - now <= 15 * Micros.PerSecond;

    /// <summary>By what the call was counted; null when nothing was.</summary>
    public readonly Terms? Terms => Bound?.Terms;

    /// <summary>What is used of a limit or quota of the terms: also what went beyond it, before it was lowered or because what is
    /// beyond is billed. As far as this node knows.</summary>
    internal long UsedOf(int index)
    {
        var (terms, told) = (Terms!, Math.Max(0, Terms!.PolicyAt(index).Count - Limits[index].Remaining));
        if (index >= terms.Limits.Length) return Math.Max(told, Bound!.Slots[index - terms.Limits.Length].Used);
        var limit = terms.Limits[index];
        return limit.Kind == WindowKind.Fixed && Tallies[(int)limit.By] is { } tally ? Math.Max(told, tally.Used(limit.Unit)) : told;
    }
}

/// <summary>
/// The decision: no I/O, no allocation, one short lock of the subscription's own. A refusal takes nothing. An admission
/// has reserved its place in the journal, so what was let in can always be written down.
/// </summary>
public sealed class Gate(GateTable table, UsageJournal journal)
{
    /// <summary>Decides for a caller who sent a key. What is admitted must be settled, and then released.</summary>
    /// <param name="snapshot">The state in which the operation was found.</param>
    /// <param name="operation">What is called.</param>
    /// <param name="keyHash">The keyed hash of the key.</param>
    /// <param name="now">Business time, microseconds UTC: the admission instant, everywhere.</param>
    /// <param name="address">Of the client, as <see cref="Caller.AddressOf"/> tells it.</param>
    /// <param name="decision">Filled as far as the checks came.</param>
    public void Decide(
        GateSnapshot snapshot, CompiledOperation operation, ReadOnlySpan<byte> keyHash, long now, ulong address,
        ref Decision decision)
    {
        if (table.Find(keyHash) is not { } credential)
        {
            decision.Verdict = Verdict.KeyUnknown;
            return;
        }

        Decide(snapshot, operation, credential, now, address, ref decision);
    }

    /// <summary>Decides for a caller whose credential was found.</summary>
    public void Decide(
        GateSnapshot snapshot, CompiledOperation operation, CredentialEntry credential, long now, ulong address,
        ref Decision decision)
    {
        decision.Credential = credential;
        decision.Consumer = credential.Consumer;
        var caller = new Caller(credential.Consumer.Key, credential.Key, operation.Key, address);
        for (var at = now; ; at = decision.LookedAt)
        {
            decision.Verdict = credential.Revoked ? Verdict.KeyRevoked
                : at >= credential.ExpiresAt ? Verdict.KeyExpired
                : Entitle(snapshot, operation, at, at, ref decision);
            if (decision.Verdict != Verdict.Admit) return;
            Take(caller, operation, at, take: true, ref decision);
            if (!decision.IsLate) return;
        }
    }

    /// <summary>What would be decided, by the same checks in the same order; nothing is taken and nothing stays reserved.
    /// </summary>
    /// <param name="snapshot">The state in which the operation was found.</param>
    /// <param name="operation">What would be called.</param>
    /// <param name="at">The instant that is asked about: keys and subscriptions are judged as of then.</param>
    /// <param name="now">Business time. Limits, quotas and balances are only looked at when it is the same: nobody knows
    /// what will have been used.</param>
    /// <param name="address">Of the client; 0 for one that has not called.</param>
    /// <param name="decision">Has the consumer, and the credential when there is one.</param>
    public void Look(
        GateSnapshot snapshot, CompiledOperation operation, long at, long now, ulong address, ref Decision decision)
    {
        decision.Violated = -1;
        decision.Verdict = decision.Credential is { Revoked: true } ? Verdict.KeyRevoked
            : decision.Credential is { } credential && at >= credential.ExpiresAt ? Verdict.KeyExpired
            : Entitle(snapshot, operation, at, now, ref decision);
        if (decision.Verdict != Verdict.Admit || at != now) return;
        var caller = new Caller(decision.Consumer!.Key, decision.Credential?.Key ?? 0, operation.Key, address);
        Take(caller, operation, now, take: false, ref decision);
    }

    /// <summary>Decides for a call to an API that asks for no key.</summary>
    public void DecideAnonymous(CompiledOperation operation, ref Decision decision)
    {
        decision.Consumer = ConsumerEntry.Anonymous;
        decision.Violated = -1;
        decision.Verdict = operation.Api.Access is not null ? Verdict.NotInGroup : decision.Otherwise != Verdict.Admit ? decision.Otherwise
            : journal.TryReserve(decision.Measures) ? Verdict.Admit : Verdict.MeteringUnavailable;
    }

    /// <summary>Says what an admitted call cost: units that were billed, or 0. What was reserved beyond that returns to the
    /// quotas. Call it once, after the settlement is in the journal.</summary>
    /// <param name="decision">As it was admitted.</param>
    /// <param name="operation">What was called.</param>
    /// <param name="units">Of <c>calls</c>.</param>
    /// <param name="meters">On the meters of the operation, in their order; none where it has none.</param>
    /// <param name="sequence">Of the settlement in the journal.</param>
    public static void Settle(
        ref Decision decision, CompiledOperation operation, long units, ReadOnlySpan<Spent> meters = default,
        ulong sequence = 0)
    {
        decision.Pool?.Settle(ref decision, operation.Key, units, meters);
        decision.Settled = true;
        if (decision.Entitlement is not { Prices: not null } entitlement) return;
        var charge = Charge.Of(entitlement, ref decision, operation.Name);
        while (decision.Consumer!.Customer?.Purse is { } purse && !purse.TrySettle(charge, decision.Purse, units, meters, sequence))
        {
            // another one is in force by now
        }
    }

    /// <summary>Counts what a call under way has used of one meter.</summary>
    internal static void SettlePart(ref Decision decision, CompiledOperation operation, CostMeter meter, in Spent spent)
    {
        decision.Pool?.Count(meter.Key, operation.Key, decision.CountedAt, spent, decision.SlotsMade);
        if (decision.Entitlement is not { Prices: not null } entitlement) return;
        var charge = Charge.Of(entitlement, ref decision, operation.Name);
        while (decision.Consumer!.Customer?.Purse is { } purse && !purse.TrySettlePart(charge, decision.Purse, meter, spent))
        {
            // another one is in force by now
        }
    }

    /// <summary>Sets more aside for a call under way than was when it was admitted, as much as its quotas and balances have
    /// room for.</summary>
    /// <param name="decision">As it was admitted; when there is not enough room, gets what is short.</param>
    /// <param name="operation">What was called.</param>
    /// <param name="meter">Null is <c>calls</c>.</param>
    /// <param name="units">× 10^scale, above 0.</param>
    /// <returns>What was set aside.</returns>
    internal static long Extend(ref Decision decision, CompiledOperation operation, CostMeter? meter, long units) =>
        decision.Pool?.Extend(ref decision, operation, meter, units) ?? units;

    /// <summary>Says that an admitted call is over, however it ended. Call it once.</summary>
    public static void Release(ref Decision decision)
    {
        if (decision.Terms is { Concurrent: true }) decision.Pool!.Release(ref decision);
    }

    /// <summary>Whose subscription it is: the first running one that includes the operation.</summary>
    private Verdict Entitle(
        GateSnapshot snapshot, CompiledOperation operation, long at, long now, ref Decision decision)
    {
        if (operation.Api.Access?.Admits(decision.Consumer, snapshot, at) == false) return Verdict.NotInGroup;
        var gated = operation.Api.Gated;
        foreach (var entitlement in decision.Consumer!.Entitlements)
        {
            if (!entitlement.RunsAt(at) || decision.Credential?.IsFor(entitlement.SubscriptionId) == false
                || entitlement.Source.Hold == Hold.Paused
                || entitlement.In(snapshot, now) is not { } resolved) continue;
            decision.Plan ??= resolved.Plan;
            if (gated && !resolved.Plan.Includes(operation.Key)) continue;
            decision.Plan = resolved.Plan;
            decision.Pool = resolved.Pool;
            decision.Bound = snapshot.OwnOf(decision.Consumer.Key) is { } own
                ? entitlement.BoundOf(resolved, snapshot, own, decision.Consumer.Key, now) : resolved;
            decision.Entitlement = entitlement;
            decision.Period = entitlement.PeriodAt(at);
            return Verdict.Admit;
        }

        if (gated) return decision.Plan is null ? Verdict.NoPlan : Verdict.OperationNotInPlan;
        if (snapshot.AloneOf(decision.Consumer.Key) is { } alone)
            (decision.Pool, decision.Bound) = (table.PoolOf(decision.Consumer), alone);
        return Verdict.Admit;
    }

    private void Take(in Caller caller, CompiledOperation operation, long now, bool take, ref Decision decision)
    {
        decision.Violated = -1;
        decision.Units = decision.IsFree ? 0 : operation.Cost.ReservedCalls;
        decision.Cost = operation.Cost;
        decision.Tallies = default;
        decision.IsStale = table.IsStale;
        (decision.NeedsLease, decision.RenewsLease, decision.NeedsCredit, decision.RenewsCredit) = (false, false, false, false);
        (decision.OfBalances, decision.IsLate, decision.NeverFits) = (Sharing.None, false, false);
        decision.LimitsClosed = decision.IsStale && decision.Plan is { ClosedWhenStale: true };
        decision.Sharing = table.Leases is not { } leases || decision.Pool is null ? Sharing.None
            : leases.IsAway ? decision.Plan?.Unavailable ?? Sharing.Share : Sharing.Leased;
        var overdue = decision.Entitlement is { Source.Hold: Hold.PaymentOverdue };
        var wanted = !overdue && decision.Otherwise == Verdict.Admit;
        var reserved = wanted && journal.TryReserve(decision.Measures);
        decision.IsUnrecorded = wanted && !reserved && decision.Plan is { PassesUnrecorded: true }
            && table.Unrecorded?.TryBegin() == true;
        var passes = reserved || decision.IsUnrecorded;
        if (decision.Pool is { } pool)
            decision.Violated = pool.TryTake(decision.Bound!, caller, operation.Name, now, passes && take, ref decision);
        if (!take && passes && decision.Violated < 0) Pool.LookAtBalances(operation.Name, ref decision);
        var admitted = decision.Violated < 0 && decision.Shortage is null && passes && !decision.IsHeldUp;
        if (admitted && take) return;
        if (reserved) journal.Release(decision.Measures);
        if (decision.IsUnrecorded) table.Unrecorded!.GiveBack();
        if (admitted) return;
        decision.IsUnrecorded = false;
        decision.Verdict = decision.Violated >= 0 ? VerdictOf(ref decision)
            : decision.Shortage is { } shortage ? shortage.Balance.Kind == BalanceKind.Prepaid
                ? Verdict.CreditExhausted : Verdict.SpendCapReached
            : overdue ? Verdict.PaymentOverdue
            : decision.Otherwise != Verdict.Admit ? decision.Otherwise
            : passes ? Verdict.LimitsUnavailable
            : Verdict.MeteringUnavailable;
    }

    /// <summary>Why there was no room for more of a call under way.</summary>
    internal static Verdict ShortOf(ref Decision decision) => decision.Shortage is not { } shortage ? Verdict.QuotaExhausted
        : shortage.Balance.Kind == BalanceKind.Prepaid ? Verdict.CreditExhausted : Verdict.SpendCapReached;

    private static Verdict VerdictOf(ref Decision decision) =>
        decision.Terms!.PolicyAt(decision.Violated) is not CompiledLimit limit ? Verdict.QuotaExhausted
        : limit.Kind == WindowKind.Concurrent ? Verdict.ConcurrencyExceeded
        : Verdict.RateExceeded;
}
