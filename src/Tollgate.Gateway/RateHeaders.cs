using System.Globalization;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>
/// What every gated answer says of the caller's limits: a pair for each limit under Kong's names, and the older IETF
/// draft's three for the tightest.
/// </summary>
internal static class RateHeaders
{
    private static readonly string[] s_small = Enumerable.Range(0, 4_096)
        .Select(n => n.ToString(CultureInfo.InvariantCulture)).ToArray();

    public static void Write(IHeaderDictionary headers, GateCall call)
    {
        headers["X-Request-Id"] = call.RequestId;
        ref var decision = ref call.Decision;
        if (decision.LimitCount == 0) return;
        var tightest = 0;
        for (var i = 0; i < decision.LimitCount; i++)
        {
            ref var state = ref decision.Limits[i];
            headers[state.Limit.LimitHeader] = state.Limit.CountText;
            headers[state.Limit.RemainingHeader] = Text(state.Remaining);
            if (IsTighter(ref state, ref decision.Limits[tightest])) tightest = i;
        }

        if (decision.Violated >= 0) tightest = decision.Violated;
        ref var shown = ref decision.Limits[tightest];
        headers["RateLimit-Limit"] = shown.Limit.CountText;
        headers["RateLimit-Remaining"] = Text(shown.Remaining);
        headers["RateLimit-Reset"] = Text(SecondsUntil(shown.ResetAt, call.Now));
    }

    /// <summary>Whole seconds that a caller must wait, never too few: waiting that long reaches the next window.</summary>
    public static long SecondsUntil(long resetAt, long now) =>
        Math.Max(1, (resetAt - now + Micros.PerSecond - 1) / Micros.PerSecond);

    /// <summary>Fewer left is tighter; of equals the one that lasts longer.</summary>
    private static bool IsTighter(ref LimitState a, ref LimitState b) =>
        a.Remaining < b.Remaining || (a.Remaining == b.Remaining && a.ResetAt > b.ResetAt);

    private static string Text(long n) => n < s_small.Length ? s_small[n] : n.ToString(CultureInfo.InvariantCulture);
}
