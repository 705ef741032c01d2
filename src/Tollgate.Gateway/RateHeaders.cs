using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway.Cost;

namespace Tollgate.Gateway;

/// <summary>
/// What every gated answer says of the caller's limits: a pair for each limit under Kong's names, and the older IETF
/// draft's three for the tightest; where the file asks for it, the newer draft's two.
/// </summary>
internal static class RateHeaders
{
    private static readonly string[] s_small = Enumerable.Range(0, 4_096)
        .Select(n => n.ToString(CultureInfo.InvariantCulture)).ToArray();

    private const string RequestId = "X-Request-Id";

    private static readonly string[] s_prefixes =
    [
        "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
        "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy",
    ];

    /// <summary>Whether an answer to the call tells of limits.</summary>
    public static bool Says(GateCall call) => call.Decision.Terms is { Count: > 0, Families: not HeaderFamilies.None };

    /// <summary>Whether a header is one of those, in any unit and letter case; not one in which an upstream may tell what
    /// a call cost.</summary>
    public static bool Owns(string name)
    {
        // nearly all headers end here
        if ((name[0] | 0x20) is not ('r' or 'x')) return false;
        foreach (var prefix in s_prefixes)
        {
            var rest = name.AsSpan(Math.Min(prefix.Length, name.Length));
            if (rest is [] or ['-', ..] && name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)) return true;
        }

        return name.Equals("RateLimit", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Whether it is the header by which the gate names a call.</summary>
    public static bool IsRequestId(string name) => name.Equals(RequestId, StringComparison.OrdinalIgnoreCase);

    public static void Write(IHeaderDictionary headers, GateCall call)
    {
        headers[RequestId] = call.RequestId;
        ref var decision = ref call.Decision;
        if (decision.IsStale) headers["Tollgate-Stale"] = decision.Plan is { ClosedWhenStale: true } ? "closed" : "open";
        if (decision.Alone > Sharing.Leased) headers["Tollgate-Limits"] = Leases.NameOf(decision.Alone);
        if (decision.IsUnrecorded) headers["Tollgate-Metering"] = "open";
        if (decision.Terms is not { Count: > 0 } terms) return;
        // what is not billed has returned to its quotas by the time that the caller reads this; what the upstream's
        // headers say is counted
        if (decision is { CountedAt: > 0, Settled: false }) Foresee(terms, call);
        if (terms.Families.HasFlag(HeaderFamilies.Kong)) WriteKong(headers, terms, call.Now, ref decision);
        if (terms.Families.HasFlag(HeaderFamilies.Ietf)) WriteIetf(headers, terms, call.Now, ref decision);
    }

    private static void Foresee(Terms terms, GateCall call)
    {
        ref var decision = ref call.Decision;
        var billed = decision.Verdict == Verdict.Admit
            && (call.UpstreamStatus == 0 || CostSettling.IsBillable(call, call.UpstreamStatus));
        if (billed && call.Cost is null && decision.Units == call.Operation!.Cost.Weight) return;
        for (var q = 0; q < terms.Quotas.Length; q++)
        {
            ref var state = ref decision.Limits[terms.Limits.Length + q];
            if (state.Remaining == LimitState.NotCounted) continue;
            var quota = terms.Quotas[q];
            var reserved = Math.Max(0, quota.UnitsOf(call.Operation!.Key, ref decision));
            var used = !billed ? 0
                : quota.OfCalls ? call.Cost?.Calls ?? call.Operation.Cost.Weight
                : call.Cost!.Told(quota.IndexIn(decision.Cost)) ?? reserved;
            state.Remaining = Math.Max(0, state.Remaining + reserved - used);
        }
    }

    /// <summary>A pair for each unit: of two limits of one unit, the tightest. Then the tightest of all, which is the one
    /// that refused when there is one.</summary>
    private static void WriteKong(IHeaderDictionary headers, Terms terms, long now, ref Decision decision)
    {
        Span<int> shown = stackalloc int[Policy.HeaderUnits.Length];
        shown.Fill(-1);
        var tightest = -1;
        for (var i = 0; i < terms.Count; i++)
        {
            var unit = terms.PolicyAt(i).HeaderUnit;
            if (unit < 0 || !Shows(terms, i, ref decision)) continue;
            if (shown[unit] < 0 || IsTighter(i, shown[unit], ref decision)) shown[unit] = i;
            if (tightest < 0 || IsTighter(i, tightest, ref decision)) tightest = i;
        }

        foreach (var i in shown)
        {
            if (i < 0) continue;
            var policy = terms.PolicyAt(i);
            headers[policy.LimitHeader] = policy.CountText;
            headers[policy.RemainingHeader] = Text(decision.Limits[i].Remaining / policy.One);
        }

        if (decision.Violated >= 0 && terms.PolicyAt(decision.Violated).HeaderUnit >= 0) tightest = decision.Violated;
        if (tightest < 0) return;
        headers["RateLimit-Limit"] = terms.PolicyAt(tightest).CountText;
        headers["RateLimit-Remaining"] = Text(decision.Limits[tightest].Remaining / terms.PolicyAt(tightest).One);
        headers["RateLimit-Reset"] = Text(SecondsUntil(decision.Limits[tightest].ResetAt, now));
    }

    /// <summary>draft-ietf-httpapi-ratelimit-headers: every policy, and where each of them stands.</summary>
    private static void WriteIetf(IHeaderDictionary headers, Terms terms, long now, ref Decision decision)
    {
        var policies = new StringBuilder();
        var states = new StringBuilder();
        for (var i = 0; i < terms.Count; i++)
        {
            if (!Shows(terms, i, ref decision)) continue;
            var policy = terms.PolicyAt(i);
            ref var state = ref decision.Limits[i];
            var comma = policies.Length > 0 ? ", " : "";
            policies.Append(comma).Append(policy.IetfPolicy);
            states.Append(comma).Append('"').Append(policy.Text).Append("\";r=").Append(state.Remaining / policy.One);
            if (state.ResetAt > 0) states.Append(";t=").Append(SecondsUntil(state.ResetAt, now));
        }

        if (policies.Length == 0) return;
        headers["RateLimit-Policy"] = policies.ToString();
        headers["RateLimit"] = states.ToString();
    }

    /// <summary>A quota beyond which calls are billed is no limit, and one of other operations is none for this call.
    /// </summary>
    private static bool Shows(Terms terms, int index, ref Decision decision) =>
        decision.Limits[index].Remaining != LimitState.NotCounted
        && (index < terms.Limits.Length || terms.Quotas[index - terms.Limits.Length].Blocks);

    /// <summary>Whole seconds that a caller must wait, never too few: waiting that long reaches the next window.</summary>
    public static long SecondsUntil(long resetAt, long now) =>
        Math.Max(1, (resetAt - now + Micros.PerSecond - 1) / Micros.PerSecond);

    /// <summary>Fewer left is tighter; of equals the one that lasts longer.</summary>
    private static bool IsTighter(int index, int than, ref Decision decision)
    {
        ref var a = ref decision.Limits[index];
        ref var b = ref decision.Limits[than];
        return a.Remaining < b.Remaining || (a.Remaining == b.Remaining && a.ResetAt > b.ResetAt);
    }

    private static string Text(long n) => n < s_small.Length ? s_small[n] : n.ToString(CultureInfo.InvariantCulture);
}
