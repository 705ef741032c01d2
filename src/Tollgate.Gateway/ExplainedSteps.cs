using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>The checks of one call in words, in the order of <see cref="Verdict"/>; it ends with the one that refuses.
/// </summary>
internal static class ExplainedSteps
{
    public static IEnumerable<ExplainedStep> Of(
        GateSnapshot snapshot, Question question, GateCall call, IReadOnlyList<ConsideredSubscription> subscriptions,
        IReadOnlyList<PolicyStanding> policies, IReadOnlyList<(Balance Balance, decimal Used)> balances)
    {
        var verdict = call.Decision.Verdict;
        var steps = new List<ExplainedStep> { Path(question, call) };
        if (verdict == Verdict.PathAmbiguous) return steps;
        steps.Add(Operation(snapshot, question, call));
        if (call.Operation is null) return steps;
        if (call.Operation.Api.Asks(question.Method))
        {
            steps.AddRange(Caller(question, call));
            if (verdict is >= Verdict.KeyMissing and <= Verdict.KeyDuplicate) return steps;
            if (call.Operation.Api.Access is not null) steps.Add(Group(call));
            if (verdict == Verdict.NotInGroup) return steps;
            steps.AddRange(Terms(call, subscriptions));
            if (verdict is Verdict.NoPlan or Verdict.OperationNotInPlan) return steps;
            steps.AddRange(Room(question, call, policies, balances));
        }
        else if (call.Operation.Api.Access is not null)
        {
            return [.. steps, Group(call)];
        }

        if (call.Operation.Cost.FreeRetries is > 0 and var free && verdict is not Verdict.PaymentOverdue)
            steps.Add(new("retry", null, (question.Headers.ContainsKey("Idempotency-Key")
                ? "brings an Idempotency-Key: " : "with an Idempotency-Key ") + "when the same call was billed and its answer " +
                $"broke off within the last {(int)Cost.FreeRetries.For.TotalMinutes} minutes, it costs nothing, up to {free} times"));
        if (verdict is Verdict.Admit or Verdict.MeteringUnavailable)
            steps.Add(new("journal", verdict != Verdict.MeteringUnavailable, verdict == Verdict.MeteringUnavailable
            ? "the call cannot be written down right now"
            : call.Decision.IsUnrecorded ? "the call cannot be written down right now, and the plan lets it pass (metering: open)"
            : "there is room to write the call down"));
        return steps;
    }

    private static ExplainedStep Path(Question question, GateCall call)
    {
        var shown = question.Target.Length <= 200 ? question.Target : question.Target[..200] + "…";
        if (call.Decision.Verdict == Verdict.PathAmbiguous)
            return new("path", false, $"'{shown}' can be read in more than one way, so it is refused before anything else");
        return new("path", true, call.Target.Text == question.Target
            ? "is canonical as it is" : $"is read as '{call.Target.Path}'");
    }

    private static ExplainedStep Operation(GateSnapshot snapshot, Question question, GateCall call)
    {
        if (call.Operation is not { } operation)
            return new("operation", false, NearOperations.Of(snapshot, question, call.Target));
        return new("operation", true, $"is {operation.Name} of the API {operation.Api.Name}" + (operation.Api.Asks(question.Method)
            ? operation.Api.Gated ? "" : ", which lets every caller with a key through"
            : ", which asks for no key: everybody may call it, and calls count for the consumer anonymous"));
    }

    private static IEnumerable<ExplainedStep> Caller(Question question, GateCall call)
    {
        ref var decision = ref call.Decision;
        var verdict = decision.Verdict;
        if (question.Consumer is not null)
            return [new("key", null, "none was given: this is what any valid key of the consumer would get"), Who(ref decision)];
        ExplainedStep key = new("key", verdict is < Verdict.KeyMissing or > Verdict.KeyDuplicate, verdict switch
        {
            Verdict.KeyMissing => "there is none where this API looks for one",
            Verdict.KeyDuplicate => "there are several, and they differ",
            Verdict.KeyRevoked => $"{decision.Credential!.Id} was revoked",
            Verdict.KeyUnknown when call.Operation!.Api.Bearers is not null =>
                "it names no credential of anybody, is not signed by it with its own algorithm, or does not say what it must",
            Verdict.KeyUnknown when call.Operation!.Api.TakesTokens =>
                "nobody has this key; or the token is not the issuer's, not for this audience, not valid yet, or names no consumer",
            Verdict.KeyUnknown => "nobody has this key; it may have been deleted, or never have been given",
            Verdict.KeyExpired when decision.Credential is null => "the token has expired",
            Verdict.KeyExpired => $"{decision.Credential!.Id} expired at {Micros.ToText(decision.Credential.ExpiresAt)}",
            _ when decision.Credential!.Id == "anonymous" => "there is none, and this API lets such calls in for a consumer",
            _ when decision.Credential.Key < 0 && call.Operation!.Api.Bearers is not null =>
                $"is a token signed with the credential {decision.Credential.Id}",
            _ when decision.Credential.Key < 0 => "is a token of the issuer that this API takes",
            _ => $"is {decision.Credential!.Id}" + (decision.Credential.ExpiresAt == long.MaxValue ? ""
                : $", until {Micros.ToText(decision.Credential.ExpiresAt)}"),
        });
        return decision.Consumer is null ? [key] : [key, Who(ref decision)];
    }

    private static ExplainedStep Group(GateCall call) => call.Decision.Verdict != Verdict.NotInGroup
        ? new("group", true, "the consumer is in a group that may call, or in none that may not")
        : new("group", false, call.Operation!.Api.RequiresKey
            ? "the consumer is in no group that may call, or in one that may not"
            : "only groups may call, and where no key is asked for nobody is known to be in one");

    private static ExplainedStep Who(ref Decision decision) =>
        new("consumer", null, decision.Consumer!.Username + (decision.Consumer.Customer is null
            ? ", who belongs to no customer, so nobody pays for its calls" : ""));

    private static IEnumerable<ExplainedStep> Terms(GateCall call, IReadOnlyList<ConsideredSubscription> subscriptions)
    {
        foreach (var s in subscriptions)
            yield return new("subscription", s.Chosen ? true : null, $"{s.Entry.SubscriptionId} {s.Why}");
        switch (call.Decision.Verdict)
        {
            case Verdict.NoPlan:
                yield return new("plan", false, "no subscription runs, so there is no plan");
                break;
            case Verdict.OperationNotInPlan:
                yield return new("plan", false,
                    $"no running plan includes {call.Operation!.Name}; the first is {call.Decision.Plan!.Name}");
                break;
            default:
                yield return call.Decision.Entitlement is { } entitlement
                    ? new("plan", true, $"{call.Decision.Plan!.Name}, version {entitlement.Source.PlanVersion} of its terms")
                    : new("plan", null, "none is needed, since this API has no gate; the call is counted and billed to nobody");
                break;
        }
    }

    private static IEnumerable<ExplainedStep> Room(
        Question question, GateCall call, IReadOnlyList<PolicyStanding> policies,
        IReadOnlyList<(Balance Balance, decimal Used)> balances)
    {
        if (question.At != question.Now)
        {
            yield return new("limit", null, "another instant is asked about: nobody knows what will have been used then");
            yield break;
        }

        if (call.Decision.Bound is { AreOwn: true })
            yield return new("limit", null, "the consumer has limits of its own (a plugin on it), in the place of " +
                (call.Decision.Plan is null ? "none" : "those of its plan"));
        if (call.Operation!.Cost is { IsHeld: true } cost)
            yield return new("reserve", null, "until its answer tells what it costs, a call sets aside " + string.Join(", ",
                cost.Meters.Where(m => m.Reserve > 0).Select(m => $"{m.Reserve / m.One:0.#########} {m.Name}")
                    .Prepend($"{cost.ReservedCalls} calls")) + "; what has no room beyond that " +
                (cost.CutsOverrun ? "ends the answer" : "is not billed"));
        foreach (var p in policies)
        {
            yield return new(p.Kind, p.Blocks && p.Remaining is not null ? !p.Violated : null, p.Remaining is null
                ? $"{p.Policy}: does not count this operation"
                : $"{p.Policy}: {p.Used} used, {p.Remaining} left" + (p.ResetAt is { } at ? $" until {Micros.ToText(at)}" : "")
                    + (p.Blocks ? "" : "; what is beyond is billed"));
        }

        foreach (var (balance, used) in balances)
        {
            var short_ = call.Decision.Shortage?.Balance == balance;
            yield return new("balance", !short_,
                $"{Balance.NameOf(balance.Kind)}: {balance.Text(used)} of {balance.Text(balance.Amount)} used"
                + (short_ ? "; this call would cost more than is left" : ""));
        }

        if (call.Decision.Verdict == Verdict.PaymentOverdue) yield return new("hold", false, "an invoice is overdue");
    }
}
