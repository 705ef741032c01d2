using System.Data.Common;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>POST /v1/plans/{plan}/versions</c>: publishes prices. How a plan that Kong's calls made becomes billable;
/// a plan of the file gets its versions from the file.</summary>
internal static class PlanVersionsApi
{
    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/v1/plans/{plan}/versions", PublishAsync);

    private static async Task<IResult> PublishAsync(
        string plan, HttpRequest request, Database database, ConfigStore config, PlanPublishing publishing)
    {
        var fields = await Fields.ReadAsync(request);
        var prices = ReadPrices(fields, publishing.Publisher.Current);
        var quotas = ReadQuotas(fields, publishing.Publisher.Current);
        var terms = ReadTerms(fields, publishing.Publisher.Current);
        var code = fields.Text("currency") ?? publishing.Currency.Currency.Code;
        var migrate = fields.Text("migrate");
        if (Currency.Find(code) is null) fields.Add("bad_value", "must be an ISO 4217 code such as USD", "currency");
        if (migrate is not (null or "now" or "never")) fields.Add("bad_value", "must be now or never", "migrate");
        if (publishing.Publisher.Current.FindPlan(plan) is not { } found) return Answers.NotFound("plan", plan);
        if (quotas is not null) fields.AddAll(UnknownOperations(quotas, publishing.Publisher.Current));
        var asked = new Asked(code, migrate, prices, quotas, terms)
        {
            Faults = fields.Problems(),
            // what cannot be read says nothing of what is meant together
            IsReadable = prices is not null && quotas is null == !fields.Has("quotas") && terms is null == !fields.Has("terms"),
            NamesMigrate = fields.Has("migrate"),
        };
        if (found.ManagedBy == ManagedBy.File)
            return asked.Faults.Count > 0 ? Answers.Invalid(asked.Faults) : Answers.Conflict("managed_elsewhere",
                $"The plan {found.Name} is managed by the configuration file: change its prices there.");
        if (migrate == "now" && AdminCaller.Of(request.HttpContext).Lacks(AdminScope.Billing) is { } lacks) return lacks;
        var (version, moved, problems) = await database.WriteAsync(db => StoreAsync(db, config, publishing, found, asked));
        if (problems.Count > 0) return Answers.Invalid(problems);
        await publishing.Publisher.RepublishAsync();
        foreach (var customer in moved.Distinct())
            await publishing.Feed.AnnounceAsync(new Change.OfCustomer((int)customer));
        return Answers.Created($"/v1/plans/{found.Id}/versions/{version!.Version}", CatalogueApi.View(version!));
    }

    /// <summary>Publishes, or tells all that is wrong: with the request itself, with the version as a whole, and with moving
    /// those who run on the plan.</summary>
    private static async Task<(PlanVersionRow? Version, IReadOnlyList<long> Moved, IReadOnlyList<Problem> Problems)> StoreAsync(
        DbConnection db, ConfigStore config, PlanPublishing publishing, PublishedPlan plan, Asked asked)
    {
        var wrong = new List<Problem>(asked.Faults);
        var now = Micros.Now(publishing.Clock);
        var others = await publishing.Subscriptions.CurrenciesOfPlanAsync(db, plan.Id);
        if (!asked.NamesMigrate && others.Count > 0)
            wrong.Add(new Problem("missing_field", "is required while subscriptions run on an older version: now moves them at " +
                "once, never leaves them on it", "migrate"));
        var latest = (await ConfigStore.LatestVersionsAsync(db)).GetValueOrDefault(plan.Id);
        var before = await ConfigStore.FindVersionAsync(db, plan.Id, latest);
        // allowances that are not named stay as they are
        var allowances = asked.Quotas ?? before?.ReadQuotas() ?? [];
        // so does what else a version fixes; the version is checked as a whole
        var terms = asked.Terms ?? before?.ReadTerms() ?? PlanTerms.None;
        if (asked.Migrate == "now" && others.FirstOrDefault(c => c != asked.Currency && !terms.Currencies.ContainsKey(c)) is { } other)
            wrong.Add(new Problem(
                "currency_differs", $"must be {other}, in which a customer of this plan pays", "currency"));
        if (asked.IsReadable) wrong.AddRange(PlanChecks.Faults(asked.Prices!, allowances, terms, asked.Currency));
        if (asked is { IsReadable: true, Migrate: "now" })
            wrong.AddRange(await MigrationChecks.FaultsAsync(db, plan.Id, asked.Prices!, allowances, now));
        if (wrong.Count > 0) return (null, [], wrong);
        var next = await config.AddVersionAsync(db, plan.Id, asked.Currency, PriceWriter.Write(asked.Prices!),
            QuotaWriter.Write(allowances), PlanTermsWriter.Write(terms));
        var row = await ConfigStore.FindVersionAsync(db, plan.Id, next);
        return (row, asked.Migrate == "now" ? await SubscriptionStore.MigrateAsync(db, plan.Id, next, now) : [], []);
    }

    /// <summary>Prices whose meters, dimensions and operations are published.</summary>
    public static IReadOnlyList<PriceComponent>? ReadPrices(Fields fields, Published published)
    {
        if (fields.Raw("prices", required: true) is not { } raw) return null;
        var tree = JsonTree.Read(raw);
        var read = tree.Ok ? PriceReader.Read(tree.Value, published.Meters)
            : Result<IReadOnlyList<PriceComponent>>.Refused(tree.Problems);
        if (read.Ok)
        {
            fields.AddAll(UnknownOperations(read.Value, published));
            return read.Value;
        }

        fields.AddAll(read.Problems.Select(p => p with { Field = p.Field is null ? "prices" : "prices." + p.Field }));
        return null;
    }

    public static IReadOnlyList<Quota>? ReadQuotas(Fields fields, Published published)
    {
        if (fields.Raw("quotas") is not { } raw) return null;
        var tree = JsonTree.Read(raw);
        var read = tree.Ok ? QuotaReader.Read(tree.Value, published.Meters) : Result<IReadOnlyList<Quota>>.Refused(tree.Problems);
        if (read.Ok) return read.Value;
        fields.AddAll(read.Problems.Select(p => p with { Field = "quotas" + p.Field }));
        return null;
    }

    public static PlanTerms? ReadTerms(Fields fields, Published published)
    {
        if (fields.Raw("terms") is not { } raw) return null;
        var tree = JsonTree.Read(raw);
        var read = tree.Ok ? PlanTermsReader.Read(tree.Value, published.Meters) : Result<PlanTerms>.Refused(tree.Problems);
        if (read.Ok) return read.Value;
        fields.AddAll(read.Problems.Select(p => p with { Field = p.Field is null ? "terms" : "terms." + p.Field }));
        return null;
    }

    private static IEnumerable<Problem> UnknownOperations(IReadOnlyList<Quota> quotas, Published published)
    {
        var known = KnownTo(published);
        return from quota in quotas
               from operation in quota.Operations ?? []
               where !known.Contains(operation)
               select new Problem("unknown_operation", $"The quota '{quota.Name}': {NoOperation(operation, known)}", "quotas");
    }

    private static HashSet<string> KnownTo(Published published) =>
        published.Apis.SelectMany(a => a.Operations).Select(o => o.Name).ToHashSet(StringComparer.Ordinal);

    private static string NoOperation(string operation, HashSet<string> known) =>
        $"There is no operation '{operation}'; known are {string.Join(", ", known.Order().Take(20))}.";

    /// <summary>A price for an operation that does not exist would never bill anything: a typing error.</summary>
    private static IEnumerable<Problem> UnknownOperations(
        IReadOnlyList<PriceComponent> prices, Published published)
    {
        var known = KnownTo(published);
        return from price in prices
               from named in price.Matrix.Select((c, i) => (c.Scope.Operations, At: $"matrix[{i}].where.operation"))
                   .Prepend((price.Operations, At: "where.operation"))
               from operation in named.Operations ?? []
               where !known.Contains(operation)
               select new Problem("unknown_operation", NoOperation(operation, known), $"prices.{price.Name}.{named.At}");
    }
}

/// <summary>A version that somebody wants to publish, as far as it could be read.</summary>
internal sealed record Asked(
    string Currency, string? Migrate, IReadOnlyList<PriceComponent>? Prices, IReadOnlyList<Quota>? Quotas, PlanTerms? Terms)
{
    /// <summary>What is wrong with the request itself.</summary>
    public required IReadOnlyList<Problem> Faults { get; init; }

    /// <summary>Whether everything that it names could be read.</summary>
    public required bool IsReadable { get; init; }

    /// <summary>Also where what it says there is wrong.</summary>
    public required bool NamesMigrate { get; init; }
}

/// <summary>What publishing prices takes beside the store.</summary>
public sealed record PlanPublishing(
    Publisher Publisher, ChangeFeed Feed, SubscriptionStore Subscriptions, SystemCurrency Currency, TimeProvider Clock)
{
    /// <summary>Whether a plan has prices in a currency: said here too, so that it stands in one answer with the other faults.
    /// </summary>
    public static async Task<IReadOnlyList<Problem>> OfferFaultsAsync(Database database, string planId, string currency) =>
        (await database.ReadAsync(db => SubscriptionStore.OfferAsync(db, planId, currency))).Problems;
}
