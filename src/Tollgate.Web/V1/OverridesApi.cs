using System.Data.Common;
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

/// <summary><c>/v1/subscriptions/{id}/overrides</c>: what was agreed with one customer in place of what the plan says. In
/// force on the next call; what was used stays.</summary>
internal static class OverridesApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/subscriptions/{id}/overrides", async (string id, Database database) =>
            await database.ReadAsync(db => NewestAsync(db, id)) is { } terms
                ? Answers.Ok(View(terms.Overrides))
                : Answers.NotFound("subscription", id));
        routes.MapPut("/v1/subscriptions/{id}/overrides", ReplaceAsync);
    }

    /// <summary>Replaces all of them: what is left out is the plan's again.</summary>
    private static async Task<IResult> ReplaceAsync(
        string id, HttpRequest request, Database database, PlanPublishing publishing, SubscriptionChanges changes)
    {
        var fields = await Fields.ReadAsync(request);
        if (await database.ReadAsync(db => NewestAsync(db, id)) is not { } terms)
            return Answers.NotFound("subscription", id);
        var overrides = Read(fields, (terms.PlanId, terms.PlanVersion), publishing.Publisher.Current);
        if (fields.Faults() is { } faults) return faults;
        var now = Micros.Now(publishing.Clock);
        if (overrides.Prices.SequenceEqual(terms.Overrides.Prices))
            await database.WriteAsync(db => EntitlementStore.OverrideAsync(db, id, overrides, now));
        else if (await changes.OverrideAsync(id, overrides) is { Ok: false, Problems: var problems })
            return problems[0].Code == MigrationChecks.PriceCannotBlock ? Answers.Invalid(problems)
                : Answers.Conflict(problems[0].Code, problems[0].Detail, problems[0].Field);
        await publishing.Feed.AnnounceAsync(new Change.OfCustomer(terms.CustomerKey));
        return Answers.Ok(View(overrides));
    }

    /// <summary>Reads overrides of a plan version; whatever is wrong is added to the fields.</summary>
    public static Overrides Read(Fields fields, (string PlanId, int Version) of, Published published)
    {
        var limits = ReadLimits(fields);
        var allowances = ReadAllowances(fields);
        var prices = fields.Has("prices") ? PlanVersionsApi.ReadPrices(fields, published) ?? [] : Unsaid(fields);
        var quotas = published.VersionOf(of.PlanId, of.Version).Quotas;
        foreach (var name in allowances.Keys.Except(quotas.Select(q => q.Name)))
        {
            fields.Add("unknown_quota", quotas.Count == 0 ? "the plan has no quotas"
                : $"is not a quota of the plan; known are {string.Join(", ", quotas.Select(q => q.Name))}",
                $"allowances.{name}");
        }

        foreach (var quota in quotas)
            if (allowances.TryGetValue(quota.Name, out var units) && published.FindMeter(quota.Meter) is { Meter.Scale: var scale }
                && units * Meter.PowerOfTen(scale) % 1 != 0)
                fields.Add("bad_value", $"is finer than the meter '{quota.Meter}', which keeps {scale} digits after the point",
                    $"allowances.{quota.Name}");
        if (limits?.Count + quotas.Count > Limit.MostOfPlan)
        {
            fields.Add("too_many", $"makes {limits!.Count + quotas.Count} limits and quotas; there are at most " +
                $"{Limit.MostOfPlan}", "limits");
        }

        fields.AddAll(PlanChecks.Faults(prices, quotas, PlanTerms.None, ""));
        return new Overrides(limits, allowances) { Prices = prices };
    }

    private static IReadOnlyList<PriceComponent> Unsaid(Fields fields)
    {
        _ = fields.Raw("prices");
        return [];
    }

    private static async Task<Entitlement?> NewestAsync(DbConnection db, string id)
    {
        var stretches = await EntitlementStore.OfSubscriptionAsync(db, id);
        return stretches.Count > 0 ? stretches[^1] : null;
    }

    private static object View(Overrides overrides) => new
    {
        limits = overrides.Limits?.Select(l => l.ToString()),
        allowances = overrides.Allowances.ToDictionary(a => a.Key, a => PriceWriter.Text(a.Value)),
        prices = JsonDocument.Parse(PriceWriter.Write(overrides.Prices)).RootElement,
    };

    private static IReadOnlyList<Limit>? ReadLimits(Fields fields)
    {
        if (fields.Raw("limits") is not { } raw) return null;
        var tree = JsonTree.Read(raw);
        var read = tree.Ok ? LimitReader.Read(tree.Value) : Result<IReadOnlyList<Limit>>.Refused(tree.Problems);
        if (read.Ok) return read.Value;
        fields.AddAll(read.Problems.Select(p => p with { Field = "limits" + p.Field }));
        return null;
    }

    private static Dictionary<string, decimal> ReadAllowances(Fields fields)
    {
        var allowances = new Dictionary<string, decimal>(StringComparer.Ordinal);
        if (fields.Raw("allowances") is not { } raw) return allowances;
        if (raw.ValueKind != JsonValueKind.Object)
        {
            fields.Add("wrong_type", "must be a map: name of a quota -> units", "allowances");
            return allowances;
        }

        foreach (var property in raw.EnumerateObject())
        {
            var text = property.Value.ValueKind switch
            {
                JsonValueKind.String => property.Value.GetString(),
                JsonValueKind.Number => property.Value.GetRawText(),
                _ => null,
            };
            if (QuotaReader.ParseAllowance(text) is not { } units)
                fields.Add("bad_value", "must be a number of units from 0, such as 10000", $"allowances.{property.Name}");
            else if (!allowances.TryAdd(property.Name, units))
                fields.Add("duplicate_name", "stands there twice", $"allowances.{property.Name}");
        }

        return allowances;
    }
}
