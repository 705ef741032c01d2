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
    /// <summary>How far back a subscription may begin: each month of it is an invoice at once.</summary>
    private const int MaxBackdatedMonths = 36;

    /// <summary>Starts lie between the beginnings of these years, the last one exclusive, where every calendar is sure
    /// of itself.</summary>
    private const int FirstYear = 2000, EndYear = 2200;

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
        HttpRequest request, Database database, SubscriptionStore subscriptions, PlanPublishing publishing)
    {
        var (publisher, feed) = (publishing.Publisher, publishing.Feed);
        var fields = await Fields.ReadAsync(request);
        var customerName = fields.Text("customer", required: true);
        var planName = fields.Text("plan", required: true);
        var startAt = fields.Instant("start_at");
        CheckStart(fields, startAt, publishing.Clock);
        var priority = fields.Whole("priority", -1_000, 1_000) ?? 0;
        // said here too, so that it stands in one answer with the other faults
        if (planName is not null && publisher.Current.FindPlan(planName) is null)
            fields.Add("unknown_plan", $"There is no plan '{planName}'.", "plan");
        if (fields.Faults() is { } faults) return faults;
        var started = await database.WriteAsync<Result<SubscriptionRow>>(async db =>
            await CustomerStore.FindAsync(db, customerName!) is { } customer
                ? await subscriptions.StartAsync(db, new NewSubscription(customer, planName!, ManagedBy.Api)
                {
                    StartAt = startAt,
                    Priority = priority,
                })
                : new Problem("unknown_customer", $"There is no customer '{customerName}'.", "customer"));
        if (!started.Ok)
            return started.Problems[0] is { Code: SubscriptionStore.AlreadySubscribed } taken
                ? Answers.Conflict(taken.Code, taken.Detail, taken.Field)
                : Answers.Invalid(started.Problems);
        var row = started.Value;
        await feed.AnnounceAsync(new Change.OfCustomer((int)row.CustomerKey));
        return Answers.Created($"/v1/subscriptions/{row.Id}", View(row, publisher.Current));
    }

    private static void CheckStart(Fields fields, long? startAt, TimeProvider clock)
    {
        if (startAt is not { } start) return;
        var first = new DateTimeOffset(FirstYear, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var end = new DateTimeOffset(EndYear, 1, 1, 0, 0, 0, TimeSpan.Zero);
        if (start < Micros.Of(first) || start >= Micros.Of(end))
            fields.Add("bad_value", $"must lie from {FirstYear}-01-01 to before {EndYear}-01-01 UTC", "start_at");
        else if (start < Micros.Of(clock.GetUtcNow().AddMonths(-MaxBackdatedMonths)))
            fields.Add("bad_value", $"must not lie more than {MaxBackdatedMonths} months back", "start_at");
    }
}
