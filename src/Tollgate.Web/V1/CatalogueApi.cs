using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/apis</c>, <c>/v1/meters</c> and <c>/v1/plans</c>: what is published, whichever side wrote it.
/// </summary>
internal static class CatalogueApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/apis", (HttpRequest request, Publisher p) => List(request, p.Current.Apis.Select(View)));
        routes.MapGet("/v1/apis/{api}", (string api, Publisher p) =>
            p.Current.Apis.FirstOrDefault(a => a.Name == api || a.Id == api) is { } found
                ? Answers.Ok(View(found))
                : Answers.NotFound("API", api));
        routes.MapGet("/v1/meters", (HttpRequest request, Publisher p) => List(request, p.Current.Meters.Select(View)));
        routes.MapGet("/v1/meters/{meter}", (string meter, Publisher p) =>
            p.Current.FindMeter(meter) is { } found ? Answers.Ok(View(found)) : Answers.NotFound("meter", meter));
        routes.MapGet("/v1/plans", (HttpRequest request, Publisher p) =>
            List(request, p.Current.Plans.Select(plan => View(plan, p.Current))));
        routes.MapGet("/v1/plans/{plan}", (string plan, Publisher p) =>
            p.Current.FindPlan(plan) is { } found
                ? Answers.Ok(View(found, p.Current))
                : Answers.NotFound("plan", plan));
        routes.MapGet("/v1/plans/{plan}/versions", VersionsAsync);
        routes.MapGet("/v1/plans/{plan}/versions/{version}", async (string plan, string version, Publisher p, Database database) =>
            p.Current.FindPlan(plan) is not { } found ? Answers.NotFound("plan", plan)
                : int.TryParse(version, out var number)
                    && await database.ReadAsync(db => ConfigStore.FindVersionAsync(db, found.Id, number)) is { } row
                    ? Answers.Ok(View(row)) : Answers.NotFound("version", version));
    }

    public static object View(PublishedPlan plan, Published published) => new
    {
        plan.Id,
        plan.Name,
        display_name = plan.DisplayName,
        managed_by = ConfigStore.NameOf(plan.ManagedBy),
        plan.Version,
        operations = published.Apis.SelectMany(a => a.Operations).Where(o => plan.Operations.Contains(o.Key))
            .Select(o => o.Name).Distinct(),
        limits = plan.Limits.Select(l => l.ToString()),
        quotas = published.VersionOf(plan.Id, plan.Version).Quotas.Select(View),
        trial = published.VersionOf(plan.Id, plan.Version).Terms.Trial?.ToString(),
        features = Features(published.VersionOf(plan.Id, plan.Version)),
        phases = published.VersionOf(plan.Id, plan.Version).Terms.Phases.Select(p => new { p.Name, @for = p.For.ToString() }),
        plan.UpgradeUrl,
        limits_unavailable = plan.LimitsUnavailable.ToString().ToLowerInvariant(),
        metering = plan.Metering.ToString().ToLowerInvariant(),
        created_at = Micros.ToText(plan.CreatedAt),
    };

    /// <summary>Name → on or off, a text, or what a quota allows.</summary>
    public static Dictionary<string, object> Features(PublishedVersion version) => version.Terms.Features.ToDictionary(
        f => f.Name, object (f) => f.Feature.Has ?? (object?)f.Feature.Value ?? QuotaOf(f.Feature.Quota!, version.Quotas));

    private static object QuotaOf(string name, IReadOnlyList<Quota> quotas) => new
    {
        quota = name,
        allowance = quotas.FirstOrDefault(q => q.Name == name) is { } quota ? PriceWriter.Text(quota.Allowance) : null,
    };

    private static object View(PublishedMeter meter) => new
    {
        meter.Name,
        aggregation = Meter.NameOf(meter.Meter.Aggregation),
        scale = meter.Meter.Scale,
        source = meter.Source switch
        {
            UnitSource.Call => "call",
            UnitSource.Header => "response.header",
            UnitSource.ResponseBody => "response.body",
            UnitSource.ResponseBytes => "response.bytes",
            UnitSource.RequestBytes => "request.bytes",
            _ => "event",
        },
        value = meter.Value?.Text,
        event_type = meter.EventType,
        operations = meter.Operations,
        methods = meter.Methods,
        dimensions = meter.Dimensions.ToDictionary(d => d.Name, d => d.Path.Text),
        where = meter.Where.ToDictionary(w => w.Path.Text, w => w.Values),
        managed_by = ConfigStore.NameOf(meter.ManagedBy),
    };

    private static object View(Quota quota) => new
    {
        quota.Name,
        quota.Meter,
        where = quota.Operations is null ? null : new { operation = quota.Operations },
        allowance = PriceWriter.Text(quota.Allowance),
        per = quota.Per.ToString(),
        overage = quota.Overage == Overage.Block ? "block" : "bill",
    };

    public static object View(PlanVersionRow version) => new
    {
        plan_id = version.PlanId,
        version.Version,
        version.Currency,
        prices = System.Text.Json.JsonDocument.Parse(version.Prices).RootElement,
        quotas = System.Text.Json.JsonDocument.Parse(version.Quotas).RootElement,
        terms = System.Text.Json.JsonDocument.Parse(version.Terms).RootElement,
        published_at = Micros.ToText(version.PublishedAt),
        warnings = PlanChecks.Warnings(version.ToPlanVersion().Prices, version.ReadTerms()).Select(w => w.ToString()),
    };

    private static object View(PublishedApi api) => new
    {
        api.Id,
        api.Name,
        managed_by = ConfigStore.NameOf(api.ManagedBy),
        upstream = api.Upstream.ToString(),
        upstreams = (api.Targets.Count > 0 ? api.Targets : [new UpstreamTarget(api.Upstream)])
            .Select(t => new { url = t.Url.ToString(), t.Weight }),
        api.Retries,
        proxy = ApiProxyView.Of(api),
        requires_key = api.RequiresKey,
        api.Gated,
        operations = api.Operations.Select(o => new
        {
            o.Name,
            o.Methods,
            path = o.Template,
            rewrite = o.Rewrite,
            hosts = o.Hosts,
            match = o.IsPrefix ? "prefix" : "exact",
            requires_key = (o.Own ?? api).RequiresKey,
        }),
    };

    /// <summary>What is published is one list in memory: its cursor is a place in it.</summary>
    private static IResult List(HttpRequest request, IEnumerable<object> all)
    {
        if (Paging.TryRead(request, out var page) is { } faults) return faults;
        var rows = all.Select((view, at) => (View: view, At: at + 1L)).Where(r => r.At > page.After).Take(page.Rows).ToArray();
        return Answers.Page(rows, page.Limit, r => r.View, r => r.At);
    }

    private static async Task<IResult> VersionsAsync(string plan, HttpRequest request, Publisher publisher, Database database)
    {
        if (Paging.TryRead(request, out var page) is { } faults) return faults;
        if (publisher.Current.FindPlan(plan) is not { } found) return Answers.NotFound("plan", plan);
        var versions = await database.ReadAsync(db => ConfigStore.VersionsAsync(db, found.Id, page.After, page.Rows));
        return Answers.Page(versions, page.Limit, View, v => v.Version);
    }
}
