using System.Data.Common;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>Subscriptions as the API shows them: with the terms that hold now, and those that will.</summary>
public sealed class SubscriptionViews(Database database, CustomerStore customers, Publisher publisher, TimeProvider clock)
{
    public async Task<object?> FindAsync(string id)
    {
        if (await database.ReadAsync(db => SubscriptionStore.FindAsync(db, id)) is not { } row) return null;
        return (await OfAsync([row]))[row.Key];
    }

    public async Task<IReadOnlyDictionary<long, object>> OfAsync(IReadOnlyList<SubscriptionRow> rows)
    {
        var names = await customers.NamesAsync(rows.Select(r => r.CustomerKey));
        return await database.ReadAsync(async db =>
        {
            var views = new Dictionary<long, object>();
            foreach (var row in rows) views[row.Key] = await OfAsync(db, row, names.GetValueOrDefault(row.CustomerKey));
            return views;
        });
    }

    private async Task<object> OfAsync(DbConnection db, SubscriptionRow row, string? customer)
    {
        var now = Micros.Now(clock);
        var stretches = await SubscriptionStore.StretchesAsync(db, row.Id);
        var current = stretches.LastOrDefault(s => s.Terms.StartAt <= now && !(s.Terms.EndAt <= now));
        var (terms, own) = current.Terms is not null ? current
            : stretches.FirstOrDefault(s => s.Terms.StartAt > now) is { Terms: not null } next ? next
            : stretches.Count > 0 ? stretches[^1] : default;
        var calendar = terms?.Calendar ?? row.Calendar;
        var period = current.Terms is null ? (Period?)null : calendar.PeriodOf(calendar.IndexAt(Micros.ToInstant(now)));
        var planId = terms?.PlanId ?? row.PlanId;
        // status: scheduled, trial, active, paused or ended; alignment: calendar or anniversary
        return new
        {
            id = row.Id,
            status = row.EndAt <= now ? "ended" : current.Terms is null ? "scheduled"
                : current.Own.Phase.ToString().ToLowerInvariant(),
            customer,
            plan = NameOf(planId),
            plan_id = planId,
            priority = row.Priority,
            quantity = own?.Quantity ?? 1,
            add_ons = own is null ? [] : await AddOnsAsync(db, own),
            interval = calendar.Interval.ToText(),
            anchor = NodaTime.Text.LocalDatePattern.Iso.Format(calendar.Anchor),
            alignment = row.Alignment,
            timezone = terms?.Timezone ?? row.Timezone,
            proration = row.Proration,
            start_at = Micros.ToText(row.StartAt),
            trial_end = stretches.LastOrDefault(s => s.Own.Phase == Phase.Trial) is { Terms.EndAt: { } trial }
                ? Micros.ToText(trial) : null,
            plan_phase = terms?.PlanPhase,
            features = terms is null ? new Dictionary<string, object>() : CatalogueApi.Features(Of(terms)),
            end_at = row.EndAt is { } end ? Micros.ToText(end) : null,
            current_period_start = period is { } p ? Micros.ToText(Micros.Of(p.Start)) : null,
            current_period_end = period is { } q ? Micros.ToText(Micros.Of(q.End)) : null,
            scheduled = stretches.Where(s => s.Terms.StartAt > now && row.StartAt <= now).Select(object (s) => new
            {
                at = Micros.ToText(s.Terms.StartAt),
                status = s.Own.Phase.ToString().ToLowerInvariant(),
                plan = NameOf(s.Terms.PlanId),
                plan_phase = s.Terms.PlanPhase,
                quantity = s.Own.Quantity,
                interval = s.Terms.Interval.ToText(),
                anchor = NodaTime.Text.LocalDatePattern.Iso.Format(s.Terms.Anchor),
                timezone = s.Terms.Timezone,
            }).ToArray(),
            managed_by = row.ManagedBy,
            created_at = Micros.ToText(row.CreatedAt),
        };
    }

    private PublishedVersion Of(Entitlement terms)
    {
        var version = publisher.Current.VersionOf(terms.PlanId, terms.PlanVersion);
        var phase = version.Terms.FindPhase(terms.PlanPhase);
        return version with { Quotas = terms.Overrides.Apply(phase?.Apply(version.Quotas) ?? version.Quotas) };
    }

    private string NameOf(string planId) => publisher.Current.FindPlan(planId)?.Name ?? planId;

    private static async Task<IReadOnlyList<object>> AddOnsAsync(DbConnection db, StretchTerms own)
    {
        var shown = new List<object>();
        foreach (var (id, quantity) in own.AddOns)
            shown.Add(new { add_on = (await AddOnStore.FindAsync(db, id))?.Name ?? id, quantity });
        return shown;
    }
}
