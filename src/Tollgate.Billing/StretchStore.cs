using System.Data.Common;
using System.Text.Json;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;

namespace Tollgate.Billing;

/// <summary>So many of an add-on.</summary>
/// <param name="AddOn"><c>ao_…</c></param>
public sealed record AddOnTerms(string AddOn, int Quantity);

/// <summary>What a stretch of terms costs beside its plan's prices.</summary>
public sealed record StretchTerms(Phase Phase, int Quantity, IReadOnlyList<AddOnTerms> AddOns)
{
    public static StretchTerms Plain { get; } = new(Phase.Active, 1, []);

    /// <summary>Whence the phases of the plan count, microseconds; null when it had none at the start.</summary>
    public long? PhasesFrom { get; init; }

    /// <summary>Until when nothing is charged, whatever else changes meanwhile; null without a trial.</summary>
    public long? TrialEnd { get; init; }

    public bool IsPlain => Phase == Phase.Active && Quantity == 1 && AddOns.Count == 0
        && PhasesFrom is null && TrialEnd is null;
}

/// <summary>
/// The SQL of stretches of terms: the entitlement, which the gate reads, and beside it what only the invoice needs,
/// written together.
/// </summary>
internal static class StretchStore
{
    private static readonly JsonSerializerOptions s_json =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Adds a stretch; the key of the entitlement given is ignored, the new one answered. An empty one is not
    /// added: 0.</summary>
    public static async Task<int> AddAsync(DbConnection db, Entitlement terms, StretchTerms own)
    {
        if (terms.EndAt <= terms.StartAt) return 0;
        var key = await EntitlementStore.AddAsync(db, terms);
        if (!own.IsPlain)
            await db.ExecuteAsync(
                "insert into stretch_terms (entitlement_key, phase, quantity, add_ons, phases_from, trial_end) " +
                "values (@key, @phase, @Quantity, @addOns, @PhasesFrom, @TrialEnd)",
                new
                {
                    key,
                    phase = own.Phase.ToString().ToLowerInvariant(),
                    own.Quantity,
                    addOns = JsonSerializer.Serialize(own.AddOns, s_json),
                    own.PhasesFrom,
                    own.TrialEnd,
                });
        return key;
    }

    /// <summary>
    /// Adds terms from their start on: until the trial is over nothing is charged, and where a phase of the plan ends a
    /// new stretch begins. Whoever writes terms for later writes them with this, so that both survive every change.
    /// </summary>
    public static async Task LayAsync(DbConnection db, Entitlement terms, StretchTerms own)
    {
        if (own.TrialEnd is { } trialEnd && trialEnd > terms.StartAt)
        {
            await AddAsync(db,
                terms with { EndAt = terms.EndAt < trialEnd ? terms.EndAt : trialEnd, PlanPhase = null },
                own with { Phase = Phase.Trial });
            terms = terms with { StartAt = trialEnd };
        }

        own = own with { Phase = Phase.Active };
        var version = await ConfigStore.FindVersionAsync(db, terms.PlanId, terms.PlanVersion);
        var phases = version?.ReadTerms() ?? PlanTerms.None;
        if (phases.Phases.Count == 0 || terms.EndAt <= terms.StartAt)
        {
            await AddAsync(db, terms with { PlanPhase = null }, own);
            return;
        }

        var cuts = phases.Cut(
            Micros.ToInstant(own.PhasesFrom ?? terms.StartAt), Micros.ToInstant(terms.StartAt),
            terms.EndAt is { } end ? Micros.ToInstant(end) : null, terms.Calendar.Zone);
        foreach (var (from, to, phase) in cuts)
            await AddAsync(db, terms with
            {
                StartAt = Micros.Of(from),
                EndAt = to is { } until ? Micros.Of(until) : null,
                PlanPhase = phase?.Name,
            }, own with { PhasesFrom = own.PhasesFrom ?? terms.StartAt });
    }

    /// <summary>Begins every stretch anew that has not ended at an instant, with other terms; each keeps what it has
    /// beside. Where a plan has phases they are cut again, as the new terms have them.</summary>
    public static async Task RestateAsync(
        DbConnection db, string subscriptionId, long at, Func<Entitlement, Entitlement> change)
    {
        var own = await OfSubscriptionAsync(db, subscriptionId);
        Entitlement[] running = [.. (await EntitlementStore.OfSubscriptionAsync(db, subscriptionId))
            .Where(t => (t.EndAt is null || t.EndAt > at) && !(t.EndAt <= t.StartAt))];
        await CutAsync(db, subscriptionId, at);
        for (var i = 0; i < running.Length; i++)
        {
            var (terms, beside) = (running[i], own.GetValueOrDefault(running[i].Key, StretchTerms.Plain));
            // the phases of one plan are laid together
            var last = i;
            while (beside is { Phase: Phase.Active, PhasesFrom: not null } && last + 1 < running.Length
                && running[last + 1] is { } next && next.PlanId == terms.PlanId && next.StartAt == running[last].EndAt
                && own.GetValueOrDefault(next.Key) is { Phase: Phase.Active } follows
                && follows.PhasesFrom == beside.PhasesFrom && follows.Quantity == beside.Quantity
                && follows.AddOns.SequenceEqual(beside.AddOns))
                last++;
            terms = change(terms with { StartAt = Math.Max(terms.StartAt, at), EndAt = running[last].EndAt });
            i = last;
            if (beside.Phase == Phase.Active) await LayAsync(db, terms, beside);
            else await AddAsync(db, terms, beside);
        }
    }

    /// <summary>Ends what runs at an instant, and takes back what was to come after it.</summary>
    /// <returns>How many stretches changed.</returns>
    public static Task<int> CutAsync(DbConnection db, string subscriptionId, long at) => db.ExecuteAsync(
        "update entitlements set end_at = case when start_at > @at then start_at else @at end " +
        "where subscription_id = @subscriptionId and (end_at is null or end_at > @at) " +
        "and (end_at is null or end_at > start_at)", new { subscriptionId, at });

    /// <summary>Lets what was agreed last go on until a later end. Where a trial or a phase of the plan ends in between, it
    /// ends there.</summary>
    public static async Task GoOnAsync(DbConnection db, string subscriptionId, long endAt)
    {
        var last = (await EntitlementStore.OfSubscriptionAsync(db, subscriptionId))
            .Where(t => !(t.EndAt <= t.StartAt)).MaxBy(t => t.EndAt);
        var own = last is null ? StretchTerms.Plain
            : (await OfSubscriptionAsync(db, subscriptionId)).GetValueOrDefault(last.Key, StretchTerms.Plain);
        if (last is not null && own.Phase != Phase.Paused && (own.TrialEnd ?? own.PhasesFrom) is not null && last.EndAt < endAt)
            await LayAsync(db, last with { StartAt = last.EndAt!.Value, EndAt = endAt }, own);
        else
            await db.ExecuteAsync(
                "update entitlements set end_at = @endAt where key = (select key from entitlements " +
                "where subscription_id = @subscriptionId order by end_at desc, key desc limit 1)",
                new { subscriptionId, endAt });
    }

    /// <summary>By key of the entitlement; those that are <see cref="StretchTerms.Plain"/> are absent.</summary>
    public static Task<IReadOnlyDictionary<int, StretchTerms>> OfSubscriptionAsync(DbConnection db, string subscriptionId) =>
        ReadAsync(db, "e.subscription_id = @subscriptionId", new { subscriptionId });

    public static Task<IReadOnlyDictionary<int, StretchTerms>> OfSubscriptionsAsync(
        DbConnection db, IReadOnlyCollection<string> ids) => ReadAsync(db, "e.subscription_id in @ids", new { ids });

    private static async Task<IReadOnlyDictionary<int, StretchTerms>> ReadAsync(DbConnection db, string where, object parameters) =>
        (await db.QueryAsync<(long Key, string Phase, long Quantity, string AddOns, long? PhasesFrom, long? TrialEnd)>(
            "select t.entitlement_key, t.phase, t.quantity, t.add_ons, t.phases_from, t.trial_end from stretch_terms t " +
            $"join entitlements e on e.key = t.entitlement_key where {where}", parameters))
        .ToDictionary(r => (int)r.Key, r => new StretchTerms(
            Enum.Parse<Phase>(r.Phase, ignoreCase: true), (int)r.Quantity,
            JsonSerializer.Deserialize<AddOnTerms[]>(r.AddOns, s_json)!)
        {
            PhasesFrom = r.PhasesFrom,
            TrialEnd = r.TrialEnd,
        });
}
