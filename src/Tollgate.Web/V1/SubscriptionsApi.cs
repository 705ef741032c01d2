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

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/subscriptions", ListAsync);
        routes.MapGet("/v1/subscriptions/{id}", async (
            string id, SubscriptionStore subscriptions, CustomerStore customers, Publisher p) =>
            await subscriptions.FindAsync(id) is { } found
                ? Answers.Ok(View(found, p.Current, await customers.NamesAsync([found.CustomerKey])))
                : Answers.NotFound("subscription", id));
        routes.MapPost("/v1/subscriptions", CreateAsync);
        routes.MapPost("/v1/subscriptions/{id}/cancel", CancelAsync);
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request, SubscriptionStore subscriptions, CustomerStore customers, Publisher publisher)
    {
        if (Paging.TryRead(request, out var paging) is { } faults) return faults;
        var rows = await subscriptions.ListAsync(paging.After, paging.Limit + 1);
        var names = await customers.NamesAsync(rows.Select(r => r.CustomerKey));
        return Answers.Page(rows, paging.Limit, s => View(s, publisher.Current, names), s => s.Key);
    }

    /// <summary>Ends a subscription now: the gate and the invoice at the same instant.</summary>
    private static async Task<IResult> CancelAsync(
        string id, HttpRequest request, Database database, SubscriptionStore subscriptions, PlanPublishing publishing,
        CustomerStore customers)
    {
        var fields = await Fields.ReadAsync(request);
        if (fields.Faults() is { } faults) return faults;
        var now = Micros.Now(publishing.Clock);
        if (await subscriptions.FindAsync(id) is not { } found) return Answers.NotFound("subscription", id);
        if (found.EndAt is { } end && end <= now)
            return Answers.Conflict("already_ended", $"The subscription ended at {Micros.ToText(end)}.");
        await database.WriteAsync(db => SubscriptionStore.EndAsync(db, found, now));
        await publishing.Feed.AnnounceAsync(new Change.OfCustomer((int)found.CustomerKey));
        var ended = (await subscriptions.FindAsync(id))!;
        return Answers.Ok(View(ended, publishing.Publisher.Current, await customers.NamesAsync([found.CustomerKey])));
    }

    private static object View(
        SubscriptionRow s, Published published, IReadOnlyDictionary<long, string> customers) => new
    {
        s.Id,
        customer = customers.GetValueOrDefault(s.CustomerKey),
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
        HttpRequest request, Database database, SubscriptionStore subscriptions, PlanPublishing publishing,
        CustomerStore customers)
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
        return Answers.Created($"/v1/subscriptions/{row.Id}", View(row, publisher.Current,
            await customers.NamesAsync([row.CustomerKey])));
    }

    private static void CheckStart(Fields fields, long? startAt, TimeProvider clock)
    {
        if (startAt is { } start && start < Micros.Of(clock.GetUtcNow().AddMonths(-MaxBackdatedMonths)))
            fields.Add("bad_value", $"must not lie more than {MaxBackdatedMonths} months back", "start_at");
    }
}
