using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway.Routing;
using Tollgate.Metering;

namespace Tollgate.Gateway;

/// <summary>A call that somebody asks about.</summary>
/// <param name="Method">As a request would spell it.</param>
/// <param name="Target">Path and query, as a request would spell them.</param>
/// <param name="Host">The Host header; null for none.</param>
/// <param name="Headers">With the caller's key, when there is one; it is looked at, and never shown.</param>
/// <param name="Consumer">Who calls, in place of a key.</param>
/// <param name="At">Business time that is asked about, microseconds UTC.</param>
/// <param name="Now">Business time now.</param>
public sealed record Question(
    string Method, string Target, string? Host, IHeaderDictionary Headers, ConsumerEntry? Consumer, long At, long Now)
{
    /// <summary>A key that would be sent where the API looks first; never shown.</summary>
    public string? Key { get; init; }
}

/// <summary>One check, in the order of the gate's.</summary>
/// <param name="Name">What is checked: <c>path</c>, <c>operation</c>, <c>key</c>, <c>consumer</c>, <c>subscription</c>,
/// <c>plan</c>, <c>limit</c>, <c>quota</c>, <c>balance</c>, <c>hold</c>, <c>journal</c>.</param>
/// <param name="Passes">Null: it is said, and decides nothing.</param>
/// <param name="Detail">In words.</param>
public sealed record ExplainedStep(string Name, bool? Passes, string Detail);

/// <summary>A subscription that the call could belong to.</summary>
public sealed record ConsideredSubscription(EntitlementEntry Entry, bool Chosen, string Why);

/// <summary>Where a limit or quota stands.</summary>
/// <param name="Remaining">Null: it does not count this call.</param>
/// <param name="ResetAt">Null: nobody knows.</param>
public sealed record PolicyStanding(
    string Kind, string Policy, long Count, long? Used, long? Remaining, long? ResetAt, bool Blocks, bool Violated);

/// <summary>What the gate would say, and why.</summary>
public sealed record Explanation
{
    public required Verdict Verdict { get; init; }

    public required IReadOnlyList<ExplainedStep> Steps { get; init; }

    public string? CanonicalTarget { get; init; }

    public CompiledOperation? Operation { get; init; }

    public CredentialEntry? Credential { get; init; }

    public ConsumerEntry? Consumer { get; init; }

    public EntitlementEntry? Entitlement { get; init; }

    public CompiledPlan? Plan { get; init; }

    public IReadOnlyList<ConsideredSubscription> Subscriptions { get; init; } = [];

    public IReadOnlyList<PolicyStanding> Policies { get; init; } = [];

    public IReadOnlyList<(Balance Balance, decimal Used)> Balances { get; init; } = [];

    /// <summary>The body of the refusal, as the gate would send it but for the id of the request; null when it passes.
    /// </summary>
    public JsonElement? Refusal { get; init; }

    public long? RetryAfter { get; init; }
}

/// <summary>
/// Says step by step why a call would pass or not. It asks the gate itself, by <see cref="Gate.Look"/>, so that the two
/// cannot disagree; a question takes nothing from any limit, quota or balance.
/// </summary>
public sealed class Explaining(GateTable table, ApiKeys keys, UsageJournal journal)
{
    private readonly Gate _gate = new(table, journal);

    public Explanation Explain(Question question)
    {
        var readable = CanonicalPath.TryRead(question.Target, question.Host, out var target);
        var snapshot = table.Snapshot;
        var operation = readable && GateHandler.IsMethod(question.Method)
            ? snapshot.Match(question.Method, target.Path,
                question.Host is { } host ? new HostString(host) : default) : null;
        var call = new GateCall { Target = target, Operation = operation, StartedAt = 0, Now = question.Now };
        ref var decision = ref call.Decision;
        decision.Violated = -1;
        decision.Measures = operation?.Cost.Meters.Length ?? 0;
        if (operation?.Api.Answer is not null) decision.Otherwise = Verdict.RequestTerminated;
        if (operation is null) decision.Verdict = readable ? Verdict.NoRoute : Verdict.PathAmbiguous;
        else if (!operation.Api.Asks(question.Method)) LookAnonymous(operation, ref decision);
        else if (Identify(question, target, operation, ref decision))
            _gate.Look(snapshot, operation, question.At, question.Now, 0, ref decision);
        return Written(question, snapshot, call);
    }

    private void LookAnonymous(CompiledOperation operation, ref Decision decision)
    {
        _gate.DecideAnonymous(operation, ref decision);
        if (decision.Verdict == Verdict.Admit) journal.Release(decision.Measures);
    }

    private bool Identify(
        Question question, CanonicalTarget target, CompiledOperation operation, ref Decision decision)
    {
        if (question.Consumer is { } consumer)
        {
            decision.Consumer = consumer;
            return true;
        }

        var api = operation.Api;
        if (question.Key is { } sent)
        {
            if (api.Bearers is null) question.Headers.Append(api.KeyHeaders[0], sent);
            else question.Headers.Append(api.Bearers.Headers is [var first, ..] ? first : "Authorization", "Bearer " + sent);
        }

        decision.Verdict = CallerKey.Find(question.Headers, target.Query, api, out var key);
        if (decision.Verdict == Verdict.KeyMissing && table.AnonymousOf(api) is { } anonymous)
        {
            decision.Credential = anonymous;
        }
        else if (decision.Verdict == Verdict.Admit && key.IsToken)
        {
            decision.Verdict = table.FindByToken(api, key.Text, question.At, out decision.Credential);
        }
        else if (decision.Verdict == Verdict.Admit)
        {
            Span<byte> hash = stackalloc byte[ApiKeys.HashLength];
            decision.Credential = keys.TryHash(key.Text, hash) ? table.Find(hash) : null;
            if (decision.Credential is null) decision.Verdict = Verdict.KeyUnknown;
        }

        decision.Consumer = decision.Credential?.Consumer;
        return decision.Credential is not null;
    }

    private static Explanation Written(Question question, GateSnapshot snapshot, GateCall call)
    {
        ref var decision = ref call.Decision;
        var looked = question.At == question.Now && decision.Bound is not null;
        var subscriptions = decision.Consumer is { Key: > 0 } consumer && IsKeyGood(question, ref decision)
            ? Considered(question, snapshot, call, consumer) : [];
        var policies = looked ? Standings(call.Operation!.Key, ref decision) : [];
        var balances = looked && decision.Entitlement is { Prices: not null } ? decision.Consumer!.Customer!.Spending() : [];
        using var refusal = decision.Verdict == Verdict.Admit ? null : JsonDocument.Parse(Gateway.Refusal.BodyOf(call));
        return new Explanation
        {
            Verdict = decision.Verdict,
            Steps = [.. ExplainedSteps.Of(snapshot, question, call, subscriptions, policies, balances)],
            CanonicalTarget = decision.Verdict == Verdict.PathAmbiguous ? null : call.Target.Text,
            Operation = call.Operation,
            Credential = decision.Credential,
            Consumer = decision.Consumer,
            Entitlement = decision.Entitlement,
            Plan = decision.Plan,
            Subscriptions = subscriptions,
            Policies = policies,
            Balances = balances,
            Refusal = refusal?.RootElement.Clone(),
            RetryAfter = Gateway.Refusal.RetryAfter(call),
        };
    }

    private static bool IsKeyGood(Question question, ref Decision decision) =>
        decision.Credential is null || (!decision.Credential.Revoked && question.At < decision.Credential.ExpiresAt);

    /// <summary>In the order in which the gate looks at them.</summary>
    private static ConsideredSubscription[] Considered(
        Question question, GateSnapshot snapshot, GateCall call, ConsumerEntry consumer)
    {
        var (at, gated, chosen) = (question.At, call.Operation!.Api.Gated, call.Decision.Entitlement);
        return [.. consumer.Entitlements.Select(e => new ConsideredSubscription(e, ReferenceEquals(e, chosen), WhyOf(e)))];

        string WhyOf(EntitlementEntry e)
        {
            var plan = snapshot.FindPlan(e.PlanId);
            return call.Decision.Credential?.IsFor(e.SubscriptionId) == false ? "is not the one that the key is bound to"
                : e.Source.StartAt > at ? $"begins at {Micros.ToText(e.Source.StartAt)}"
                : !e.RunsAt(at) ? $"ended at {Micros.ToText(e.Source.EndAt!.Value)}"
                : e.Source.Hold == Hold.Paused ? "is paused"
                : plan is null ? "its plan is not published any more"
                : gated && !plan.Includes(call.Operation.Key) ? $"the plan {plan.Name} does not include {call.Operation.Name}"
                : ReferenceEquals(e, chosen) && call.Decision.Credential?.Subscription is not null ? "the one that the key is bound to"
                : ReferenceEquals(e, chosen) ? $"the first that runs and includes the operation (priority {e.Source.Priority})"
                : "would do, and another comes first: a higher priority, or the same and older";
        }
    }

    private static PolicyStanding[] Standings(int operation, ref Decision decision)
    {
        if (decision.Terms is not { } terms) return [];
        var all = new PolicyStanding[terms.Count];
        for (var i = 0; i < all.Length; i++)
        {
            var policy = terms.PolicyAt(i);
            ref var state = ref decision.Limits[i];
            var counted = state.Remaining != LimitState.NotCounted;
            var quota = i < terms.Limits.Length ? null : terms.Quotas[i - terms.Limits.Length];
            var blocks = quota?.Blocks ?? true;
            all[i] = new PolicyStanding(quota is null ? "limit" : "quota", policy.Text, policy.Count,
                counted ? decision.UsedOf(i) : null, counted ? state.Remaining : null,
                state.ResetAt > 0 ? state.ResetAt : null, blocks,
                counted && blocks && (quota is null ? state.Remaining == 0 : state.Remaining < quota.NeedOf(operation, ref decision)));
        }

        return all;
    }
}
