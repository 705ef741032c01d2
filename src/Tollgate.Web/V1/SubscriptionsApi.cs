using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/subscriptions</c>: customers on plans.</summary>
internal static class SubscriptionsApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/subscriptions", async (HttpRequest request, SubscriptionStore subscriptions, Publisher p) =>
            Paging.TryRead(request, out var paging)
            ?? Answers.Page(await subscriptions.ListAsync(paging.After, paging.Limit + 1), paging.Limit,
                s => View(s, p.Current), s => s.Key));
        routes.MapGet("/v1/subscriptions/{id}", async (string id, SubscriptionStore subscriptions, Publisher p) =>
            await subscriptions.FindAsync(id) is { } found
                ? Answers.Ok(View(found, p.Current))
                : Answers.NotFound("subscription", id));
        routes.MapPost("/v1/subscriptions", CreateAsync);
    }

    private static object View(SubscriptionRow s, Published published) => new
    {
        s.Id,
        plan = published.FindPlan(s.PlanId)?.Name ?? s.PlanId,
        s.PlanId,
        s.Priority,
        s.Anchor,
        s.Timezone,
        start_at = Micros.ToText(s.StartAt),
        end_at = s.EndAt is { } end ? Micros.ToText(end) : null,
        s.ManagedBy,
        created_at = Micros.ToText(s.CreatedAt),
    };

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, SubscriptionStore subscriptions, Publisher publisher, ChangeFeed feed)
    {
        var fields = await Fields.ReadAsync(request);
        var customerName = fields.Text("customer", required: true);
        var planName = fields.Text("plan", required: true);
        var startAt = fields.Instant("start_at");
        var priority = fields.Whole("priority", -1_000, 1_000) ?? 0;
        var plan = planName is null ? null : publisher.Current.FindPlan(planName);
        if (planName is not null && plan is null)
            fields.Add("unknown_plan", $"There is no plan '{planName}'.", "plan");
        if (fields.Faults() is { } faults) return faults;
        var (row, problem) = await database.WriteAsync<(SubscriptionRow?, Problem?)>(async db =>
        {
            if (await CustomerStore.FindAsync(db, customerName!) is not { } customer)
                return (null, new Problem("unknown_customer", $"There is no customer '{customerName}'.", "customer"));
            if (await ConfigStore.FindVersionAsync(db, plan!.Id, plan.Version) is { } version
                && version.Currency != customer.Currency)
                return (null, new Problem("currency_differs",
                    $"The plan's prices are in {version.Currency}, the customer pays in {customer.Currency}.", "plan"));
            if (await subscriptions.FindRunningAsync(db, customer.Key, plan.Id) is { } running)
                return (running, new Problem("already_subscribed",
                    $"The customer is on this plan already ({running.Id}).", "plan"));
            return (await subscriptions.StartAsync(db, customer, plan, ManagedBy.Api, startAt, priority), null);
        });
        if (problem is not null)
            return row is null ? Answers.Invalid(problem) : Answers.Conflict(problem.Code, problem.Detail, problem.Field);
        await feed.AnnounceAsync(new Change.OfCustomer((int)row!.CustomerKey));
        return Answers.Created($"/v1/subscriptions/{row.Id}", View(row, publisher.Current));
    }
}
