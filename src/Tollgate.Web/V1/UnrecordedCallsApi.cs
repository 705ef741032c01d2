using Dapper;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Gateway;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>GET /v1/unrecorded_calls</c>: calls that passed though they could not be written down (plans with
/// <c>metering: open</c>), by quarter of an hour, newest first. They are in no usage and on no invoice.</summary>
internal static class UnrecordedCallsApi
{
    public static void Map(IEndpointRouteBuilder routes) => routes.MapGet("/v1/unrecorded_calls", ListAsync);

    private static async Task<IResult> ListAsync(HttpRequest request, Database database, GateTable table)
    {
        if (Paging.TryRead(request, out var paging) is { } fault) return fault;
        await table.Unrecorded!.SaveAsync();
        // a cursor is how many came before: rows are few, and only the newest grow
        var rows = await database.ReadAsync(async db => (await db.QueryAsync<Row>(
            "select u.bucket, u.calls, u.units, c.id as customer, c.name as customer_name, k.username as consumer, " +
            "e.subscription_id as subscription, o.operation from unrecorded_calls u " +
            "left join entitlements e on e.key = u.entitlement left join customers c on c.key = e.customer_key " +
            "left join consumers k on k.key = u.consumer left join operation_keys o on o.key = u.operation " +
            "order by u.bucket desc, u.journal, u.entitlement, u.consumer, u.operation limit @most offset @after",
            new { most = paging.Rows, after = paging.After })).AsList());
        return Answers.Ok(new
        {
            data = rows.Take(paging.Limit).Select(r => new
            {
                window_start = Micros.ToText(r.Bucket),
                r.Customer,
                customer_name = r.CustomerName,
                r.Subscription,
                r.Consumer,
                r.Operation,
                r.Calls,
                units = r.Units.ToString(System.Globalization.CultureInfo.InvariantCulture),
            }),
            next_cursor = rows.Count > paging.Limit
                ? (paging.After + paging.Limit).ToString(System.Globalization.CultureInfo.InvariantCulture) : null,
        });
    }

    private sealed record Row(
        long Bucket, long Calls, long Units, string? Customer, string? CustomerName, string? Consumer, string? Subscription,
        string? Operation);
}
