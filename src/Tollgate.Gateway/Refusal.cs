using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Gateway.Forwarding;

namespace Tollgate.Gateway;

/// <summary>
/// A refusal as <c>application/problem+json</c> (RFC 9457), with Kong's <c>message</c> and <c>request_id</c> beside
/// it, so that clients of either read what they know.
/// </summary>
internal static class Refusal
{
    public static async Task WriteAsync(HttpContext context, GateCall call)
    {
        var response = context.Response;
        if (response.HasStarted) return;
        var form = FormOf(call);
        response.Clear();
        call.Operation?.Api.Cors?.Write(context.Request, response.Headers);
        RateHeaders.Write(response.Headers, call);
        if (RetryAfter(call) is { } seconds) response.Headers.RetryAfter = seconds.ToString();
        if (call.IsGrpc)
        {
            GrpcStatus.Write(response, GrpcStatus.Of(call.Decision.Verdict), Words(call, form).Detail);
            return;
        }

        response.StatusCode = form.Status;
        if (form.Status == StatusCodes.Status401Unauthorized) response.Headers.WWWAuthenticate = Challenge.Of(call);
        var (body, type) = Body(context, call, form);
        response.ContentType = type;
        response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method)) await response.Body.WriteAsync(body, context.RequestAborted);
    }

    /// <summary>The body of the answer, as it is or would be sent.</summary>
    public static byte[] BodyOf(GateCall call) => Problem(call, FormOf(call));

    private static VerdictForm FormOf(GateCall call)
    {
        var form = VerdictForm.Of(call.Decision.Verdict);
        return call.Decision.Verdict == Verdict.RequestTerminated && call.Operation!.Api.Answer is { } answer
            ? form with { Status = answer.Status, Message = answer.Message } : form;
    }

    /// <summary>Nobody knows when a call under way will end, or when somebody pays: then nothing is promised. Nor where a
    /// call takes more than a quota ever has.</summary>
    public static long? RetryAfter(GateCall call) => call.Decision.Verdict switch
    {
        _ when call.Decision.NeverFits => null,
        Verdict.RateExceeded or Verdict.QuotaExhausted =>
            RateHeaders.SecondsUntil(call.Decision.Limits[call.Decision.Violated].ResetAt, call.Now),
        Verdict.MeteringUnavailable or Verdict.LimitsUnavailable => 1,
        _ => null,
    };

    private static (byte[] Body, string Type) Body(HttpContext context, GateCall call, VerdictForm form)
    {
        if (context.Response.StatusCode is 204 or 304 or < 200) return ([], "application/problem+json");
        return call.Decision.Verdict == Verdict.RequestTerminated && call.Operation!.Api.Answer is { Body: { } text } answer
            ? (Encoding.UTF8.GetBytes(text), answer.ContentType ?? "application/json; charset=utf-8")
            : (Problem(call, form), "application/problem+json");
    }

    private static byte[] Problem(GateCall call, VerdictForm form)
    {
        using var stream = new MemoryStream(512);
        using (var json = new Utf8JsonWriter(stream))
        {
            var (message, detail) = Words(call, form);
            json.WriteStartObject();
            json.WriteString("type", "/problems/" + form.Code);
            json.WriteString("title", form.Title);
            json.WriteNumber("status", form.Status);
            json.WriteString("detail", detail);
            json.WriteString("code", form.Code);
            json.WriteString("message", message);
            json.WriteString("request_id", call.RequestId);
            if (call.Decision.Plan is { } plan) json.WriteString("plan", plan.Name);
            if (call.Decision.Violated >= 0 && call.Decision.Terms is not null) WriteLimit(json, call);
            if (call.Decision.Shortage is { } shortage)
            {
                json.WriteString("limit", shortage.Balance.Text(shortage.Balance.Amount));
                json.WriteString("used", shortage.Balance.Text(shortage.Used));
            }

            if (form.Status is 402 or 403 or 429 && call.Decision.Plan?.UpgradeUrl is { } url)
                json.WriteString("upgrade_url", url);
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static void WriteLimit(Utf8JsonWriter json, GateCall call)
    {
        ref var decision = ref call.Decision;
        var terms = decision.Terms!;
        ref var state = ref decision.Limits[decision.Violated];
        var policy = terms.PolicyAt(decision.Violated);
        json.WriteString("limit", policy.Text);
        json.WriteNumber("used", (decimal)decision.UsedOf(decision.Violated) / policy.One);
        if (state.ResetAt > 0 && !decision.NeverFits) json.WriteString("reset_at", Micros.ToText(state.ResetAt));
        json.WriteStartArray("violated-policies");
        for (var i = 0; i < terms.Count; i++)
        {
            var remaining = decision.Limits[i].Remaining;
            if (i < terms.Limits.Length ? remaining == 0
                : terms.Quotas[i - terms.Limits.Length] is { Blocks: true } quota && remaining >= 0
                    && remaining < quota.NeedOf(call.Operation!.Key, ref decision))
                json.WriteStringValue(terms.PolicyAt(i).Text);
        }

        json.WriteEndArray();
    }

    /// <summary>What the violated quota would have to have left, in whole units of its meter and their parts.</summary>
    private static string Need(GateCall call)
    {
        ref var decision = ref call.Decision;
        var quota = decision.Terms!.Quotas[decision.Violated - decision.Terms.Limits.Length];
        return ((decimal)quota.NeedOf(call.Operation!.Key, ref decision) / quota.One).ToString("0.#########", CultureInfo.InvariantCulture);
    }

    private static string WhoAdmits(ref Decision decision) =>
        decision.Bound!.AreOwn && decision.Violated < decision.Terms!.Limits.Length
            ? "What was set for this consumer admits" : $"The plan {decision.Plan!.Name} admits";

    /// <summary>What keeps the subscriptions of the consumer from letting it in, the nearest to it first; null without any.</summary>
    private static string? WhyNone(GateCall call)
    {
        var (now, credential) = (call.Now, call.Decision.Credential);
        var all = (call.Decision.Consumer?.Entitlements ?? []).Where(e => credential?.IsFor(e.SubscriptionId) != false).ToArray();
        if (Array.Find(all, e => e.RunsAt(now) && e.Source.Hold == Hold.Paused) is { Source: var paused })
            return "The subscription is paused" + (Array.Exists(all, e => e.SubscriptionId == paused.SubscriptionId
                && e.Source.StartAt == paused.EndAt && e.RunsAt(e.Source.StartAt)) ? $" until {Micros.ToText(paused.EndAt!.Value)}." : ".");
        if (all.Where(e => e.Source.StartAt > now && e.RunsAt(e.Source.StartAt)).Min(e => (long?)e.Source.StartAt) is { } start)
            return $"The subscription begins at {Micros.ToText(start)}.";
        return all.Where(e => e.Source.EndAt > e.Source.StartAt).Max(e => e.Source.EndAt) is { } end && end <= now
            ? $"The subscription ended at {Micros.ToText(end)}." : null;
    }

    private static (string Message, string Detail) Words(GateCall call, VerdictForm form)
    {
        ref var decision = ref call.Decision;
        switch (decision.Verdict)
        {
            case Verdict.OperationNotInPlan:
                var tier = $"Access denied for this endpoint. Your tier ({decision.Plan!.Name}) does not permit access.";
                return (tier, tier);
            case Verdict.NoPlan when WhyNone(call) is { } why:
                return (form.Message, why);
            case Verdict.QuotaExhausted when decision.NeverFits:
                return (form.Message, $"{WhoAdmits(ref decision)} {decision.Terms!.PolicyAt(decision.Violated)}, and this call " +
                    $"takes {Need(call)}: it is not let in however long you wait.");
            case Verdict.RateExceeded:
            case Verdict.QuotaExhausted:
                ref var state = ref decision.Limits[decision.Violated];
                return (form.Message, $"{WhoAdmits(ref decision)} " +
                    $"{decision.Terms!.PolicyAt(decision.Violated)}; there is more at {Micros.ToText(state.ResetAt)}.");
            case Verdict.ConcurrencyExceeded:
                return (form.Message, $"The plan {decision.Plan!.Name} admits " +
                    $"{decision.Terms!.PolicyAt(decision.Violated)}; wait for one of the calls under way to end.");
            case Verdict.CreditExhausted or Verdict.SpendCapReached:
                var (balance, used) = decision.Shortage!;
                return (form.Message, $"Of {balance.Text(balance.Amount)}, {balance.Text(used)} are used, calls under way " +
                    "included; this call would cost more than is left.");
            case Verdict.LimitsUnavailable when decision is { IsStale: true, Plan.ClosedWhenStale: true }:
                return ("What has changed is not known right now", "This node has not heard for a while what was changed " +
                    $"elsewhere, and the plan {decision.Plan!.Name} says when_stale: closed.");
            case Verdict.PaymentOverdue:
                return (form.Message, "Calls are let in again when the invoice is paid.");
            case Verdict.BodyTooLarge:
                return (form.Message, $"A body has at most {call.Operation!.Api.Forward.MaxBody} bytes here.");
            case Verdict.UpstreamUnreachable when call.UpstreamFault is { } fault:
                return (form.Message, fault + ".");
            case Verdict.KeyMissing:
                return (form.Message, call.Operation!.Api.Wanted);
            case Verdict.KeyRevoked:
                return (form.Message, "This key was revoked.");
            case Verdict.KeyExpired:
                return (form.Message, "This key has expired.");
            case Verdict.KeyDuplicate:
                return (form.Message, "The request carries different keys; send one.");
            default:
                return (form.Message, form.Message + ".");
        }
    }
}
