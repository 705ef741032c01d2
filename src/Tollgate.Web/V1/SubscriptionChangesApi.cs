using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime;
using NodaTime.Text;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>
/// <c>POST /v1/subscriptions/{id}/change</c>, <c>/cancel</c>, <c>/pause</c>, <c>/resume</c>, <c>/reactivate</c>. Each
/// takes <c>preview: true</c>, changes nothing then, and answers what it would have.
/// </summary>
internal static class SubscriptionChangesApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/subscriptions/{id}/change", ChangeAsync);
        routes.MapPost("/v1/subscriptions/{id}/cancel", CancelAsync);
        routes.MapPost("/v1/subscriptions/{id}/pause", PauseAsync);
        routes.MapPost("/v1/subscriptions/{id}/resume", ResumeAsync);
        routes.MapPost("/v1/subscriptions/{id}/reactivate", ReactivateAsync);
    }

    private static async Task<IResult> ChangeAsync(
        string id, HttpRequest request, Database database, SubscriptionChanges changes, SubscriptionChangeAnswers answers)
    {
        var fields = await Fields.ReadAsync(request);
        var wanted = new WantedChange
        {
            Plan = fields.Text("plan"),
            Quantity = fields.Whole("quantity", 1, 1_000_000),
            Interval = IntervalField.Read(fields),
            Timezone = MoneyFields.Timezone(fields),
            Anchor = Anchor(fields),
            When = When(fields),
        };
        if (wanted is { MovesPeriods: true, When: ChangeWhen.Now })
            fields.Add("bad_value", "must be period_end: another zone or anchor begins with the next period", "when");
        var hasAddOns = fields.Has("add_ons");
        var addOns = await database.ReadAsync(db => AddOnsField.ReadAsync(db, fields));
        var preview = fields.Flag("preview") ?? false;
        if (!hasAddOns && !((string[])["plan", "quantity", "interval", "timezone", "anchor"]).Any(fields.Has))
            fields.Add("missing_field", "is required, or quantity, add_ons, interval, timezone or anchor", "plan");
        var found = answers.Publishing.Publisher.Current.FindPlan(wanted.Plan ?? "");
        if (wanted.Plan is { } plan && found is null) fields.Add("unknown_plan", $"There is no plan '{plan}'.", "plan");
        if ((addOns.Count > 0 || found is not null) && await answers.CurrencyAsync(id) is { } currency)
        {
            fields.AddAll(AddOnsField.InCurrency(addOns, currency));
            if (found is not null) fields.AddAll(await PlanPublishing.OfferFaultsAsync(database, found.Id, currency));
        }

        return fields.Faults() ?? await answers.OfAsync(id, preview, await changes.ChangeAsync(
            id, hasAddOns ? wanted with { AddOns = AddOnsField.Terms(addOns) } : wanted, preview));
    }

    private static async Task<IResult> CancelAsync(
        string id, HttpRequest request, SubscriptionChanges changes, SubscriptionChangeAnswers answers)
    {
        var fields = await Fields.ReadAsync(request);
        var at = fields.Instant("at");
        var when = When(fields);
        if (at is not null && when is not null) fields.Add("bad_value", "stands beside at: give one of them", "when");
        if (at < answers.Now) fields.Add("bad_value", "must not lie in the past", "at");
        var preview = fields.Flag("preview") ?? false;
        return fields.Faults() ?? await answers.OfAsync(id, preview, await changes.CancelAsync(
            id, when ?? ChangeWhen.Now, at, preview));
    }

    private static async Task<IResult> PauseAsync(
        string id, HttpRequest request, SubscriptionChanges changes, SubscriptionChangeAnswers answers)
    {
        var fields = await Fields.ReadAsync(request);
        var resumeAt = fields.Instant("resume_at");
        if (resumeAt <= answers.Now) fields.Add("bad_value", "must be after now", "resume_at");
        var preview = fields.Flag("preview") ?? false;
        return fields.Faults() ?? await answers.OfAsync(id, preview, await changes.PauseAsync(id, resumeAt, preview));
    }

    private static async Task<IResult> ResumeAsync(
        string id, HttpRequest request, SubscriptionChanges changes, SubscriptionChangeAnswers answers)
    {
        var fields = await Fields.ReadAsync(request);
        var preview = fields.Flag("preview") ?? false;
        return fields.Faults() ?? await answers.OfAsync(id, preview, await changes.ResumeAsync(id, preview));
    }

    private static async Task<IResult> ReactivateAsync(
        string id, HttpRequest request, SubscriptionChanges changes, SubscriptionChangeAnswers answers)
    {
        var fields = await Fields.ReadAsync(request);
        var preview = fields.Flag("preview") ?? false;
        return fields.Faults() ?? await answers.OfAsync(id, preview, await changes.ReactivateAsync(id, preview));
    }

    private static LocalDate? Anchor(Fields fields)
    {
        if (fields.Text("anchor") is not { } text) return null;
        if (LocalDatePattern.Iso.Parse(text) is { Success: true, Value: { Year: >= 1970 and < 2200 } date }) return date;
        fields.Add("bad_value", "must be a date such as 2026-01-31", "anchor");
        return null;
    }

    private static ChangeWhen? When(Fields fields)
    {
        switch (fields.Text("when"))
        {
            case null:
                return null;
            case "now":
                return ChangeWhen.Now;
            case "period_end":
                return ChangeWhen.PeriodEnd;
            default:
                fields.Add("bad_value", "must be now or period_end", "when");
                return null;
        }
    }
}

/// <summary>What a change is answered with: the subscription as it is, the instant and the bill of the change.</summary>
public sealed record SubscriptionChangeAnswers(
    PlanPublishing Publishing, SubscriptionViews Views, CustomerStore Customers)
{
    private static readonly HashSet<string> s_conflicts =
        ["already_ended", "already_subscribed", "not_running", "paused", "not_paused", "in_trial", "not_ended",
            "nothing_changes", "ends_before"];

    /// <summary>Microseconds.</summary>
    public long Now => Micros.Now(Publishing.Clock);

    public async Task<IResult> OfAsync(string id, bool preview, Result<ChangeOutcome> outcome)
    {
        if (!outcome.Ok)
        {
            var problem = outcome.Problems[0];
            return problem.Code == "not_found" ? Answers.NotFound("subscription", id)
                : Answers.Refused(s_conflicts.Contains(problem.Code)
                    ? StatusCodes.Status409Conflict
                    : StatusCodes.Status400BadRequest, outcome.Problems);
        }

        var (row, at, invoice) = outcome.Value;
        if (!preview) await Publishing.Feed.AnnounceAsync(new Change.OfCustomer((int)row.CustomerKey));
        var view = JsonSerializer.SerializeToNode(await Views.FindAsync(id), Answers.Json)!;
        view["effective_at"] = Micros.ToText(at);
        view["preview"] = preview;
        if (invoice is not null) view["invoice"] = JsonNode.Parse(invoice);
        return Answers.Ok(view);
    }

    /// <summary>Of the customer of a subscription; null when there is none.</summary>
    public async Task<string?> CurrencyAsync(string id) =>
        await Publishing.Subscriptions.FindAsync(id) is { } row
        && (await Customers.OfKeyAsync(row.CustomerKey)) is { } customer ? customer.Currency : null;
}
