using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Serialization;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>A subscription as the API shows it.</summary>
public sealed record SubscriptionView
{
    public required string Id { get; init; }

    /// <summary><c>scheduled</c>, <c>trial</c>, <c>active</c>, <c>paused</c> or <c>ended</c>.</summary>
    public required string Status { get; init; }

    public required string? Customer { get; init; }

    public required string Plan { get; init; }

    public required string PlanId { get; init; }

    public required long Priority { get; init; }

    public required int Quantity { get; init; }

    public required IReadOnlyList<object> AddOns { get; init; }

    public required string Interval { get; init; }

    public required string Anchor { get; init; }

    /// <summary><c>calendar</c> or <c>anniversary</c>.</summary>
    public required string Alignment { get; init; }

    public required string Timezone { get; init; }

    public required string Proration { get; init; }

    public required string StartAt { get; init; }

    public required string? TrialEnd { get; init; }

    /// <summary>The phase of the plan that it is in; null for the plan's own terms.</summary>
    public required string? PlanPhase { get; init; }

    /// <summary>What the plan version has beside prices, as the phase and the overrides have it.</summary>
    public required IReadOnlyDictionary<string, object> Features { get; init; }

    public required string? EndAt { get; init; }

    public required string? CurrentPeriodStart { get; init; }

    public required string? CurrentPeriodEnd { get; init; }

    /// <summary>Terms that are agreed for later.</summary>
    public required IReadOnlyList<object> Scheduled { get; init; }

    public required string ManagedBy { get; init; }

    public required string CreatedAt { get; init; }

    /// <summary>Only in the answer to a change, with the next two.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? EffectiveAt { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Preview { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Invoice { get; init; }
}

/// <summary>Subscriptions as the API shows them: with the terms that hold now, and those that will.</summary>
public sealed class SubscriptionViews(Database database, CustomerStore customers, Publisher publisher, TimeProvider clock)
{
    public async Task<SubscriptionView?> FindAsync(string id)
    {
        if (await database.ReadAsync(db => SubscriptionStore.FindAsync(db, id)) is not { } row) return null;
        return (await OfAsync([row]))[row.Key];
    }

    public async Task<IReadOnlyDictionary<long, SubscriptionView>> OfAsync(IReadOnlyList<SubscriptionRow> rows)
    {
        var names = await customers.NamesAsync(rows.Select(r => r.CustomerKey));
        return await database.ReadAsync(async db =>
        {
            var views = new Dictionary<long, SubscriptionView>();
            foreach (var row in rows) views[row.Key] = await OfAsync(db, row, names.GetValueOrDefault(row.CustomerKey));
            return views;
        });
    }

    private async Task<SubscriptionView> OfAsync(DbConnection db, SubscriptionRow row, string? customer)
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
        return new SubscriptionView
        {
            Id = row.Id,
            Status = row.EndAt <= now ? "ended" : current.Terms is null ? "scheduled"
                : current.Own.Phase.ToString().ToLowerInvariant(),
            Customer = customer,
            Plan = NameOf(planId),
            PlanId = planId,
            Priority = row.Priority,
            Quantity = own?.Quantity ?? 1,
            AddOns = own is null ? [] : await AddOnsAsync(db, own),
            Interval = calendar.Interval.ToText(),
            Anchor = NodaTime.Text.LocalDatePattern.Iso.Format(calendar.Anchor),
            Alignment = row.Alignment,
            Timezone = row.Timezone,
            Proration = row.Proration,
            StartAt = Micros.ToText(row.StartAt),
            TrialEnd = stretches.LastOrDefault(s => s.Own.Phase == Phase.Trial) is { Terms.EndAt: { } trial }
                ? Micros.ToText(trial) : null,
            PlanPhase = terms?.PlanPhase,
            Features = terms is null ? new Dictionary<string, object>() : CatalogueApi.Features(Of(terms)),
            EndAt = row.EndAt is { } end ? Micros.ToText(end) : null,
            CurrentPeriodStart = period is { } p ? Micros.ToText(Micros.Of(p.Start)) : null,
            CurrentPeriodEnd = period is { } q ? Micros.ToText(Micros.Of(q.End)) : null,
            Scheduled = stretches.Where(s => s.Terms.StartAt > now && row.StartAt <= now).Select(object (s) => new
            {
                at = Micros.ToText(s.Terms.StartAt),
                status = s.Own.Phase.ToString().ToLowerInvariant(),
                plan = NameOf(s.Terms.PlanId),
                plan_phase = s.Terms.PlanPhase,
                quantity = s.Own.Quantity,
            }).ToArray(),
            ManagedBy = row.ManagedBy,
            CreatedAt = Micros.ToText(row.CreatedAt),
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
