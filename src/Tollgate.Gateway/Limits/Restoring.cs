using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>
/// Rebuilds, before the first call, what limits and quotas had counted when the process before ended. Exact where the
/// journal or the rollups tell it; where they do not, what is counted is more than can have been, so that a restart never
/// opens a window a second time. The room's README has the table.
/// </summary>
internal sealed class Restoring(Database database, UsageJournal journal, GateSnapshot snapshot, long now)
{
    /// <summary>What the journal certainly still holds; <see cref="UsageDrain"/> keeps it.</summary>
    private const long JournalReach = 2 * 60 * Micros.PerSecond;

    /// <summary>Where calls of consumers are counted that belong to no subscription; null for consumers that are gone.</summary>
    public Func<int, Pool?> Alone { get; init; } = _ => null;

    private readonly Dictionary<int, string> _subscriptions = [];
    private readonly Dictionary<string, EntitlementEntry> _running = new(StringComparer.Ordinal);

    /// <summary>Of quotas.</summary>
    private readonly HashSet<int> _meters = [];

    public async Task RunAsync(IReadOnlyList<CustomerEntry> customers)
    {
        var (limits, windows) = Look(customers);
        await RestoreFixedAsync(limits);
        RestoreJournal(limits);
        await RestoreRollupsAsync(limits);
        foreach (var (start, end) in windows) await RestoreQuotasAsync(start, end);
    }

    /// <summary>All limits and all windows of quotas that somebody has now. Most subscriptions share their terms, and
    /// nothing is made for those that have used nothing.</summary>
    private (List<CompiledLimit> Limits, HashSet<(long Start, long End)> Windows) Look(
        IReadOnlyList<CustomerEntry> customers)
    {
        var seen = new HashSet<Terms>(ReferenceEqualityComparer.Instance);
        var calendars = new HashSet<BillingCalendar>(ReferenceEqualityComparer.Instance);
        var windows = new HashSet<(long, long)>();
        foreach (var entry in customers.SelectMany(c => c.Entitlements))
        {
            _subscriptions[entry.Key] = entry.SubscriptionId;
            if (!entry.RunsAt(now) || TermsOf(entry) is not { } terms) continue;
            _running[entry.SubscriptionId] = entry;
            seen.Add(terms);
            foreach (var quota in terms.Quotas)
            {
                _meters.Add(quota.MeterKey);
                var calendar = quota.Quota.Per.CalendarFor(entry.Source);
                if (!calendars.Add(calendar)) continue;
                var window = calendar.At(now);
                windows.Add((window.Start, window.End));
            }
        }

        var own = snapshot.WithOwnLimits.SelectMany(c => snapshot.AloneOf(c)!.Terms.Limits);
        return ([.. seen.SelectMany(t => t.Limits).Concat(own)], windows);
    }

    private Terms? TermsOf(EntitlementEntry entry) =>
        snapshot.FindPlan(entry.PlanId) is { } plan ? snapshot.TermsOf(plan, entry.Source) : null;

    /// <summary>Fixed windows of consumers, also those that no limit has yet. Those of customers are their sums.</summary>
    private async Task RestoreFixedAsync(List<CompiledLimit> limits)
    {
        var units = limits.Select(l => l.Unit).ToHashSet();
        foreach (var past in await LimitHistory.ReadAsync(journal, database, now, units))
        {
            if (PlaceOf(past.Entitlement, past.Consumer) is not var (pool, terms)) continue;
            var caller = new Caller(past.Consumer, 0, 0, 0);
            pool.Restore(LimitScope.Consumer, caller, past.Unit, past.At, past.Admitted);
            // the rollups do not know keys: each gets what its consumer has used
            if (past.Unit > WindowUnit.Minute && terms is not null && Array.Exists(terms.Limits, l => l.By == LimitScope.Key))
                pool.Restore(Pool.AnyKey, caller, past.Unit, past.At, past.Admitted);
        }
    }

    /// <summary>What counts seconds or minutes and is not fixed by consumer: call by call.</summary>
    private void RestoreJournal(List<CompiledLimit> limits)
    {
        if (!limits.Exists(InJournal)) return;
        foreach (var call in LimitHistory.CallsOf(journal).OrderBy(c => c.At))
        {
            Replay(call, InJournal, call.At);
        }
    }

    /// <summary>What counts longer: by quarters of an hour. For a window that is not aligned to the clock each is taken
    /// for its last instant, when its calls matter longest.</summary>
    private async Task RestoreRollupsAsync(List<CompiledLimit> limits)
    {
        var longer = limits.FindAll(InRollups);
        if (longer.Count == 0) return;
        var since = longer.Min(l => l.Kind == WindowKind.Fixed ? LimitWindow.At(l.Unit, now).Start : now - l.Reach);
        foreach (var call in await LimitHistory.CallsAsync(database, since))
        {
            var last = Math.Max(call.At, Math.Min(now, call.At + UsageStore.Bucket - 1));
            Replay(call, InRollups, last);
        }
    }

    private void Replay(in PastCall call, Predicate<CompiledLimit> which, long at)
    {
        if (PlaceOf(call.Entitlement, call.Consumer) is not var (pool, terms) || terms is null) return;
        var caller = new Caller(call.Consumer, call.Credential, call.Operation, 0);
        foreach (var limit in terms.Limits)
        {
            if (!which(limit)) continue;
            var scope = limit.By == LimitScope.Key && call.Credential == 0 ? Pool.AnyKey : limit.By;
            if (limit.Kind != WindowKind.Fixed)
                pool.Restore(limit, scope, caller, now, at, call.Count);
            else if (LimitWindow.At(limit.Unit, call.At).End > now)
                pool.Restore(scope, caller, limit.Unit, call.At, call.Count);
        }
    }

    /// <summary>Where what a consumer used is counted now, and by which terms; null where nothing counts it.</summary>
    private (Pool Pool, Terms? Terms)? PlaceOf(int entitlement, int consumer)
    {
        if (RunningOf(entitlement) is not { } entry)
        {
            return entitlement == 0 && snapshot.AloneOf(consumer) is { } alone && Alone(consumer) is { } pool
                ? (pool, alone.Terms) : null;
        }

        return (entry.Holder.Pool, snapshot.OwnOf(consumer) is { } own && snapshot.FindPlan(entry.PlanId) is { } plan
            ? snapshot.TermsOf(plan, entry.Source, own) : TermsOf(entry));
    }

    private async Task RestoreQuotasAsync(long start, long end)
    {
        var past = await database.ReadAsync(db => LimitHistory.UnitsAsync(db, start, end, _meters));
        foreach (var units in past)
        {
            if (RunningOf(units.Entitlement) is not { } entry || entry.In(snapshot, now) is not { } resolved) continue;
            var (terms, slots) = (resolved.Terms, resolved.Slots);
            for (var q = 0; q < slots.Length; q++)
            {
                // quotas that count alike, as an allowance and a hard stop beyond it, are counted in one place
                if (Array.IndexOf(slots, slots[q]) == q && terms.Quotas[q].Covers(units.Meter, units.Operation)
                    && resolved.Pool.WindowOf(terms.Quotas[q]) == (start, end))
                    resolved.Pool.RestoreUnits(terms.Quotas[q], start, units.Units);
            }
        }
    }

    private static bool InJournal(CompiledLimit limit) => IsReplayed(limit)
        && (limit.Kind == WindowKind.Fixed ? limit.Unit <= WindowUnit.Minute : limit.Reach <= JournalReach);

    private static bool InRollups(CompiledLimit limit) => IsReplayed(limit) && !InJournal(limit)
        && !(limit.Kind == WindowKind.Fixed && limit.By == LimitScope.Key);

    /// <summary>Addresses are nowhere but in memory; calls under way ended with the process.</summary>
    private static bool IsReplayed(CompiledLimit limit) =>
        limit.By != LimitScope.Ip && limit.Kind != WindowKind.Concurrent
        && !(limit.Kind == WindowKind.Fixed && limit.By is LimitScope.Consumer or LimitScope.Customer);

    /// <summary>The stretch that the subscription of a stretch is in now: what was used stays with the subscription.
    /// </summary>
    private EntitlementEntry? RunningOf(int entitlement) =>
        _subscriptions.TryGetValue(entitlement, out var subscription) ? _running.GetValueOrDefault(subscription) : null;
}
