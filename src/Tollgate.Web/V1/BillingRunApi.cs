using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>GET /v1/billing_run</c>: what the last run did, and which subscriptions it parked.
/// <c>GET /v1/late_usage</c>: usage that came too late for any invoice.</summary>
internal static class BillingRunApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/billing_run", (BillingRun billing) => Answers.Ok(new
        {
            issued = billing.Last?.Issued ?? 0,
            parked_count = billing.Last?.ParkedCount ?? 0,
            parked = (billing.Last?.Parked ?? []).Select(p => new { code = p.Code, detail = p.Detail }),
            late_usage = billing.Last?.Late ?? 0,
        }));
        routes.MapGet("/v1/late_usage", async (HttpRequest request, Database database) =>
            Paging.TryRead(request, out var paging)
            ?? Answers.Page(await database.ReadAsync(db => LateUsageRow.ListAsync(db, paging.After, paging.Rows)),
                paging.Limit, View, l => l.Key));
    }

    private static object View(LateUsageRow l) => new
    {
        l.Subscription,
        l.Customer,
        l.Period,
        l.Quantity,
        found_at = Micros.ToText(l.FoundAt),
    };
}
