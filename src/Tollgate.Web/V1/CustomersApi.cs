using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/customers</c>: who pays.</summary>
internal static class CustomersApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapList<CustomerStore, CustomerRow>(
            "/v1/customers", (store, page) => store.ListAsync(page.After, page.Rows), View, c => c.Key);
        routes.MapOne<CustomerStore, CustomerRow>("/v1/customers/{id}", "customer", (store, id) => store.FindAsync(id), View);
        routes.MapPost("/v1/customers", CreateAsync);
    }

    public static object View(CustomerRow c) => new
    {
        c.Id,
        c.Name,
        c.Currency,
        c.Timezone,
        c.ManagedBy,
        created_at = Micros.ToText(c.CreatedAt),
    };

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, CustomerStore customers, SystemCurrency system)
    {
        var fields = await Fields.ReadAsync(request);
        var name = fields.Text("name", required: true);
        var code = fields.Text("currency") ?? system.Currency.Code;
        if (Currency.Find(code) is null)
            fields.Add("bad_value", "must be an ISO 4217 code such as USD, in capital letters", "currency");
        var zone = MoneyFields.Timezone(fields) ?? "UTC";
        if (fields.Faults() is { } faults) return faults;
        var added = await database.WriteAsync(db => customers.AddAsync(
            db, name!, Currency.Of(code), zone, ManagedBy.Api));
        return added is null
            ? Answers.Conflict("duplicate_name", $"There is a customer '{name}' already.", "name")
            : Answers.Created($"/v1/customers/{added.Id}", View(added));
    }
}
