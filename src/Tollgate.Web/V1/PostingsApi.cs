using Microsoft.AspNetCore.Builder;
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
        routes.MapListByCustomer<Database, PostingRow>("/v1/postings", (database, customer, page) =>
            database.ReadAsync(db => Ledger.ListAsync(db, customer, page.After, page.Rows)), View, p => p.Key);
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
