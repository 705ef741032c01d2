using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>POST /v1/plans</c>: a plan as in the file, with the first version of its prices. Its <c>name</c> here is the
/// one that the file has before the colon; what people read is <c>display_name</c>.</summary>
internal static class PlansApi
{
    private static readonly string[] s_asInTheFile =
    [
        "operations", "limits", "upgrade_url", "limits_unavailable", "metering", "billable", "quotas", "prices", "trial",
        "features", "phases", "currencies",
    ];

    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/v1/plans", CreateAsync);

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, ConfigStore config, PlanPublishing publishing)
    {
        var fields = await Fields.ReadAsync(request);
        var name = fields.Text("name", required: true);
        var code = fields.Text("currency") ?? publishing.Currency.Currency.Code;
        var currency = Currency.Find(code);
        if (currency is null) fields.Add("unknown_currency", "must be an ISO 4217 code such as USD", "currency");
        var plan = Read(fields, name, currency, publishing.Publisher.Current);
        if (fields.Faults() is { } faults) return faults;
        var row = await database.WriteAsync(db => config.AddPlanAsync(db, plan!, ManagedBy.Api, currency!));
        if (row is null) return Answers.Conflict("already_exists", $"There is a plan '{name}' already.", "name");
        await publishing.Publisher.RepublishAsync();
        var published = publishing.Publisher.Current;
        return Answers.Created($"/v1/plans/{name}", CatalogueApi.View(published.FindPlan(name!)!, published));
    }

    private static FilePlan? Read(Fields fields, string? name, Currency? currency, Published published)
    {
        var written = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var field in s_asInTheFile)
            if (fields.Raw(field) is { } value) written.Add(field, value);
        if (fields.Raw("display_name") is { } shown) written.Add("name", shown);
        var tree = JsonTree.Read(JsonSerializer.SerializeToElement(written));
        var read = tree.Ok
            ? ConfigFileReader.ReadPlan(name ?? "unnamed", tree.Value, currency ?? Currency.Usd, published)
            : Result<FilePlan>.Refused(tree.Problems);
        if (read.Ok) return read.Value;
        fields.AddAll(read.Problems.Select(p => p.Field == "name" ? p with { Field = "display_name" }
            : p is { Field: null, Code: "bad_name" } ? p with { Field = "name" } : p));
        return null;
    }
}
