using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/postings</c> and <c>/v1/customers/{customer}/accounts</c>: the ledger, to read.</summary>
internal static class PostingsApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/postings", async (HttpRequest request, Database database, CustomerStore customers) =>
        {
            if (Paging.TryRead(request, out var paging) is { } faults) return faults;
            var (key, unknown) = await MoneyFields.OfCustomerAsync(request, customers);
            if (unknown is not null) return unknown;
            var rows = await database.ReadAsync(db => Ledger.ListAsync(db, key, paging.After, paging.Limit + 1));
            return Answers.Page(rows, paging.Limit, View, p => p.Key);
        });
        routes.MapGet("/v1/customers/{customer}/accounts", async (
            string customer, Database database, CustomerStore customers) =>
            await customers.FindAsync(customer) is not { } found ? Answers.NotFound("customer", customer)
                : Answers.Ok(new
                {
                    data = (await database.ReadAsync(db => Ledger.BalancesAsync(db, found.Key))).Select(b => new
                    {
                        account = b.Account,
                        currency = b.Currency,
                        balance = MoneyFields.Text(b.Amount, b.Currency),
                    }),
                }));
    }

    private static object View(PostingRow p) => new
    {
        p.Entry,
        p.Document,
        p.Account,
        amount = MoneyFields.Text(p.Amount, p.Currency),
        p.Currency,
        posted_at = Micros.ToText(p.PostedAt),
    };
}
