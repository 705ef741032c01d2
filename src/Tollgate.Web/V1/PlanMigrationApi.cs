using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>POST /v1/plans/{plan}/versions/{version}/migrate</c>: moves running subscriptions to a version, now or each
/// at its renewal; with <c>preview: true</c> nothing moves, and the answer has the bills.</summary>
internal static class PlanMigrationApi
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/plans/{plan}/versions/{version}/migrate", MigrateAsync);

    private static async Task<IResult> MigrateAsync(
        string plan, string version, HttpRequest request, Database database, PlanPublishing publishing, BillingRun billing)
    {
        var fields = await Fields.ReadAsync(request);
        var when = fields.Text("when", required: true);
        if (when is not (null or "now" or "renewal")) fields.Add("bad_value", "must be now or renewal", "when");
        var preview = fields.Flag("preview") ?? false;
        if (publishing.Publisher.Current.FindPlan(plan) is not { } found) return Answers.NotFound("plan", plan);
        var row = int.TryParse(version, out var number)
            ? await database.ReadAsync(db => ConfigStore.FindVersionAsync(db, found.Id, number)) : null;
        if (row is null) return Answers.NotFound("version", version);
        var sold = row.ReadTerms().Currencies.Keys.Append(row.Currency).ToHashSet();
        var others = await database.ReadAsync(db => publishing.Subscriptions.CurrenciesOfPlanAsync(db, found.Id));
        if (row.Prices != "{}" && others.FirstOrDefault(c => !sold.Contains(c)) is { } other)
            fields.Add("currency_differs", $"has no prices in {other}, in which a customer of this plan pays", "version");
        if (when is "now" or "renewal")
            fields.AddAll(await database.ReadAsync(db => MigrationChecks.FaultsAsync(
                db, found.Id, row.ToPlanVersion().Prices, row.ReadQuotas(), Micros.Now(publishing.Clock))));
        if (fields.Faults() is { } faults) return faults;
        var migration = when == "now" ? Migration.Now : Migration.Renewal;
        var plans = new PlanMigration(database, billing, publishing.Subscriptions);
        var now = Micros.Now(publishing.Clock);
        if (preview) return Answers.Ok(View(await plans.PreviewAsync(found.Id, number, migration, now), preview: true));
        var outcome = await plans.ApplyAsync(found.Id, number, migration, now);
        foreach (var customer in outcome.Customers)
            await publishing.Feed.AnnounceAsync(new Change.OfCustomer((int)customer));
        return Answers.Ok(View(outcome, preview: false));
    }

    private static object View(MigrationOutcome outcome, bool preview) => new
    {
        preview,
        count = outcome.Moved.Count,
        data = outcome.Moved.Take(PlanMigration.MostDrafts).Select(m => new
        {
            m.Subscription,
            effective_at = Micros.ToText(m.At),
            invoice = m.Invoice is null ? (JsonElement?)null : JsonDocument.Parse(m.Invoice).RootElement,
        }),
    };
}
