using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/commitments</c>: the least, or the most, that a subscription spends in a period.</summary>
internal static class CommitmentsApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/commitments", async (
            HttpRequest request, CommitmentStore commitments, SubscriptionStore subscriptions) =>
        {
            var wrong = Paging.Read(request, out var paging);
            long? key = null;
            if (request.Query["subscription"].ToString() is { Length: > 0 } id)
            {
                key = (await subscriptions.FindAsync(id))?.Key;
                if (key is null)
                    wrong.Add(new Problem("unknown_subscription", $"There is no subscription '{id}'.", "subscription"));
            }

            return wrong.Count > 0 ? Answers.Invalid(wrong) : Answers.Page(
                await commitments.ListAsync(key, paging.After, paging.Rows), paging.Limit, View, c => c.Key);
        });
        routes.MapOne<CommitmentStore, CommitmentRow>(
            "/v1/commitments/{id}", "commitment", (store, id) => store.FindAsync(id), View);
        routes.MapPost("/v1/commitments", CreateAsync);
        routes.MapPost("/v1/commitments/{id}/end", EndAsync);
    }

    private static async Task<IResult> CreateAsync(
        HttpRequest request, CommitmentStore commitments, SubscriptionStore subscriptions, CustomerStore customers)
    {
        var fields = await Fields.ReadAsync(request);
        var subscription = await MoneyFields.SubscriptionAsync(fields, subscriptions, required: true);
        var customer = subscription is null ? null : await customers.OfKeyAsync(subscription.CustomerKey);
        var kind = fields.Text("kind", required: true);
        if (kind is not (null or CommitmentRow.Minimum or CommitmentRow.Maximum))
            fields.Add("bad_value", "must be minimum or maximum", "kind");
        var amount = MoneyFields.Amount(fields, "amount", Currency.Of(customer?.Currency ?? "USD"));
        var start = fields.Instant("start_at") ?? subscription?.StartAt;
        var end = fields.Instant("end_at");
        if (end <= start) fields.Add("bad_value", "must be after the start", "end_at");
        if (fields.Faults() is { } faults) return faults;
        var row = await commitments.AddAsync(subscription!.Key, kind!, amount!.Value, (start!.Value, end));
        return Answers.Created($"/v1/commitments/{row.Id}", View(row));
    }

    /// <summary>Ends it now, or at <c>end_at</c>; with that of its start it never counted.</summary>
    private static async Task<IResult> EndAsync(
        string id, HttpRequest request, Database database, CommitmentStore commitments, TimeProvider clock)
    {
        var fields = await Fields.ReadAsync(request);
        var end = fields.Instant("end_at");
        var found = await commitments.FindAsync(id);
        if (end < found?.StartAt) fields.Add("bad_value", "must not be before the start of the commitment", "end_at");
        if (fields.Faults() is { } faults) return faults;
        if (found is null) return Answers.NotFound("commitment", id);
        var at = end ?? Math.Max(found.StartAt, Micros.Now(clock));
        return Answers.Ok(View((await database.WriteAsync(db => CommitmentStore.EndAsync(db, id, at)))!));
    }

    private static object View(CommitmentRow c) => new
    {
        c.Id,
        c.Subscription,
        c.Kind,
        amount = MoneyFields.Text(c.Amount, c.Currency),
        c.Currency,
        start_at = Micros.ToText(c.StartAt),
        end_at = c.EndAt is { } end ? Micros.ToText(end) : null,
        created_at = Micros.ToText(c.CreatedAt),
    };
}
