using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/consumers</c>: who calls.</summary>
internal static class ConsumersApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/consumers", ListAsync);
        routes.MapGet("/v1/consumers/{consumer}", async (
            string consumer, ConsumerStore consumers, CustomerStore customers) =>
            await consumers.FindAsync(consumer) is { } found
                ? Answers.Ok(View(found, await NamesAsync(customers, found)))
                : Answers.NotFound("consumer", consumer));
        routes.MapPost("/v1/consumers", CreateAsync);
        ConsumerKeysApi.Map(routes);
    }

    private static async Task<IResult> ListAsync(HttpRequest request, ConsumerStore consumers, CustomerStore customers)
    {
        if (Paging.TryRead(request, out var paging) is { } faults) return faults;
        var rows = await consumers.ListAsync(paging.After, paging.Rows);
        var names = await NamesAsync(customers, [.. rows]);
        return Answers.Page(rows, paging.Limit, c => View(c, names), c => c.Key);
    }

    private static Task<IReadOnlyDictionary<long, string>> NamesAsync(
        CustomerStore customers, params ConsumerRow[] rows) =>
        customers.NamesAsync(rows.Select(r => r.CustomerKey).OfType<long>());

    private static object View(ConsumerRow c, IReadOnlyDictionary<long, string> customers) => new
    {
        c.Id,
        c.Username,
        c.CustomId,
        customer = c.CustomerKey is { } key ? customers.GetValueOrDefault(key) : null,
        c.ManagedBy,
        created_at = Micros.ToText(c.CreatedAt),
    };

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, ConsumerStore consumers, CustomerStore customers, ChangeFeed feed)
    {
        var fields = await Fields.ReadAsync(request);
        var username = fields.Text("username", required: true);
        var customId = fields.Text("custom_id");
        var customerName = fields.Text("customer");
        if (fields.Faults() is { } faults) return faults;
        var (row, missing) = await database.WriteAsync<(ConsumerRow?, bool)>(async db =>
        {
            var customer = customerName is null ? null : await CustomerStore.FindAsync(db, customerName);
            if (customerName is not null && customer is null) return (null, true);
            return (await consumers.AddAsync(db, username!, customId, customer?.Key, ManagedBy.Api), false);
        });
        if (missing)
            return Answers.Invalid(new Problem("unknown_customer", $"There is no customer '{customerName}'.", "customer"));
        if (row is null)
            return Answers.Conflict("duplicate_name", "A consumer has this username or custom_id already.", "username");
        await feed.AnnounceAsync(new Change.OfConsumer((int)row.Key));
        return Answers.Created($"/v1/consumers/{row.Id}", View(row, await NamesAsync(customers, row)));
    }
}
