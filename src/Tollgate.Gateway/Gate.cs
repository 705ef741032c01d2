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

    /// <summary>Which of the limits refused; −1 for none.</summary>
    public int Violated;

    public int LimitCount;
    public LimitStates Limits;
}

/// <summary>
/// The decision: no I/O, no allocation, one short lock of the caller's own. A refusal takes nothing. An admission has
/// reserved its place in the journal, so what was let in can always be written down.
/// </summary>
public sealed class Gate(GateTable table, UsageJournal journal)
{
    /// <summary>Decides for a caller who sent a key.</summary>
    /// <param name="snapshot">The state in which the operation was found.</param>
    /// <param name="operation">What is called.</param>
    /// <param name="keyHash">The keyed hash of the key.</param>
    /// <param name="now">Business time, microseconds UTC: the admission instant, everywhere.</param>
    /// <param name="decision">Filled as far as the checks came.</param>
    public void Decide(
        GateSnapshot snapshot, CompiledOperation operation, ReadOnlySpan<byte> keyHash, long now, ref Decision decision)
    {
        if (table.Find(keyHash) is not { } credential)
        {
            decision.Verdict = Verdict.KeyUnknown;
            return;
        }

        decision.Credential = credential;
        decision.Consumer = credential.Consumer;
        decision.Verdict = credential.Revoked ? Verdict.KeyRevoked
            : now >= credential.ExpiresAt ? Verdict.KeyExpired
            : Entitle(snapshot, operation, now, ref decision);
        if (decision.Verdict == Verdict.Admit) Take(now, ref decision);
    }

    /// <summary>Decides for a call to an API that asks for no key.</summary>
    public void DecideAnonymous(ref Decision decision)
    {
        decision.Consumer = ConsumerEntry.Anonymous;
        decision.Violated = -1;
        decision.Verdict = journal.TryReserve(decision.Measures) ? Verdict.Admit : Verdict.MeteringUnavailable;
    }

    /// <summary>Whose subscription it is: the first running one that includes the operation.</summary>
    private static Verdict Entitle(
        GateSnapshot snapshot, CompiledOperation operation, long now, ref Decision decision)
    {
        var gated = operation.Api.Gated;
        foreach (var entitlement in decision.Consumer!.Entitlements)
        {
            if (!entitlement.RunsAt(now) || snapshot.FindPlan(entitlement.PlanId) is not { } plan) continue;
            decision.Plan ??= plan;
            if (gated && !plan.Includes(operation.Key)) continue;
            decision.Plan = plan;
            decision.Entitlement = entitlement;
            decision.Period = entitlement.PeriodAt(now);
            return Verdict.Admit;
        }

        return !gated ? Verdict.Admit : decision.Plan is null ? Verdict.NoPlan : Verdict.OperationNotInPlan;
    }

    private void Take(long now, ref Decision decision)
    {
        var reserved = journal.TryReserve(decision.Measures);
        decision.Violated = -1;
        if (decision.Entitlement is { } entitlement)
        {
            var limits = decision.Plan!.Limits;
            decision.LimitCount = limits.Length;
            decision.Violated = entitlement.Counters.TryTake(limits, now, reserved, ref decision.Limits);
        }

        if (decision.Violated < 0 && reserved) return;
        if (reserved) journal.Release(decision.Measures);
        decision.Verdict = decision.Violated >= 0 ? Verdict.RateExceeded : Verdict.MeteringUnavailable;
    }
}
