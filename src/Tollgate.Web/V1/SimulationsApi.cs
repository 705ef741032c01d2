using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;
using Tollgate.Web.Admin;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Web.V1;

/// <summary><c>POST /v1/simulations</c>: what the past of a plan's customers would have cost by other prices. Nothing is
/// changed by it.</summary>
internal static class SimulationsApi
{
    private const int MostMonths = 12;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/simulations", SimulateAsync).Needs(AdminScope.Read).ChangesNothing();

    private static async Task<IResult> SimulateAsync(
        HttpRequest request, Database database, PlanPublishing publishing, BillingRun billing)
    {
        if (Paging.TryRead(request, out var paging) is { } wrong) return wrong;
        var fields = await Fields.ReadAsync(request);
        var name = fields.Text("plan", required: true);
        var found = name is null ? null : publishing.Publisher.Current.FindPlan(name);
        if (name is not null && found is null) fields.Add("unknown_plan", $"There is no plan '{name}'.", "plan");
        var period = ReadPeriod(fields);
        var version = await VersionAsync(fields, found, database, publishing);
        if (fields.Faults() is { } faults) return faults;
        // read for UTC already, so it reads for every zone
        Period In(DateTimeZone zone) => InvoicePeriod.Read(period!, zone).Value;
        var now = Micros.Now(publishing.Clock);
        var simulated = await billing.SimulateAsync(version!, In, now, (paging.After, paging.Rows));
        if (!simulated.Ok) return Answers.Invalid(simulated.Problems);
        var rows = simulated.Value.Take(paging.Limit).ToArray();
        return Answers.Ok(new
        {
            plan = found!.Name,
            period,
            data = rows.Select(View),
            // of this page
            totals = rows.Where(r => r.After is not null).GroupBy(r => r.Before.Currency).Select(g => ViewOf(
                g.Aggregate(Money.Zero(g.Key), (sum, r) => sum + r.Before),
                g.Aggregate(Money.Zero(g.Key), (sum, r) => sum + r.After!.Value))),
            next_cursor = simulated.Value.Count > paging.Limit ? rows[^1].Key.ToString() : null,
        });
    }

    private static string? ReadPeriod(Fields fields)
    {
        if (fields.Text("period", required: true) is not { } text) return null;
        var read = InvoicePeriod.Read(text, DateTimeZone.Utc);
        if (!read.Ok) fields.AddAll(read.Problems);
        else if (read.Value.Start.InUtc().Date.PlusMonths(MostMonths) < read.Value.End.InUtc().Date)
            fields.Add("bad_value", $"must not be longer than {MostMonths} months", "period");
        else return text;
        return null;
    }

    /// <summary>A published version by its number, or one that nobody has published: prices, and what else a version fixes; what
    /// it does not name is as in the newest version.</summary>
    private static async Task<PlanVersion?> VersionAsync(
        Fields fields, PublishedPlan? plan, Database database, PlanPublishing publishing)
    {
        var published = publishing.Publisher.Current;
        var number = fields.Whole("version", 1, int.MaxValue);
        var prices = fields.Has("prices") ? PlanVersionsApi.ReadPrices(fields, published) : null;
        var quotas = PlanVersionsApi.ReadQuotas(fields, published);
        var terms = PlanVersionsApi.ReadTerms(fields, published);
        if (fields.Has("version") == fields.Has("prices"))
            fields.Add("missing_field", "is required, or version with the number of a published one, and not both", "prices");
        if (fields.Has("version"))
            foreach (var other in (string[])["quotas", "terms"])
                if (fields.Has(other)) fields.Add("bad_value", "is fixed by the version: give prices in its place", other);
        if (plan is null) return null;
        if (number is { } no)
        {
            if (await database.ReadAsync(db => ConfigStore.FindVersionAsync(db, plan.Id, no)) is { } row) return row.ToPlanVersion();
            fields.Add("unknown_version", $"The plan {plan.Name} has no version {no}.", "version");
            return null;
        }

        if (prices is null) return null;
        var newest = await database.ReadAsync(db => ConfigStore.FindVersionAsync(db, plan.Id, plan.Version));
        var of = new PlanVersion(plan.Id, plan.Version + 1,
            Currency.Of(newest?.Currency ?? publishing.Currency.Currency.Code), prices)
        {
            Quotas = quotas ?? newest?.ReadQuotas() ?? [],
            Terms = terms ?? newest?.ReadTerms() ?? PlanTerms.None,
        };
        fields.AddAll(PlanChecks.Faults(of.Prices, of.Quotas, of.Terms, of.Currency.Code));
        return of;
    }

    private static object View(SimulatedCustomer row) => new
    {
        row.Customer,
        currency = row.Before.Currency.Code,
        before = row.Before.ToString(),
        after = row.After?.ToString(),
        difference = row.After is { } after ? (after - row.Before).ToString() : null,
    };

    private static object ViewOf(Money before, Money after) => new
    {
        currency = before.Currency.Code,
        before = before.ToString(),
        after = after.ToString(),
        difference = (after - before).ToString(),
    };
}
