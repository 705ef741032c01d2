using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/payments</c>: money that was received, noted by hand. It settles the invoice that it names, then
/// those due first; what is left is the customer's credit. A hold for being overdue ends in the same instant.</summary>
internal static class PaymentsApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/payments", async (HttpRequest request, PaymentStore payments, CustomerStore customers) =>
        {
            if (Paging.TryRead(request, out var paging) is { } faults) return faults;
            var (key, unknown) = await MoneyFields.OfCustomerAsync(request, customers);
            return unknown ?? Answers.Page(
                await payments.ListAsync(key, paging.After, paging.Limit + 1), paging.Limit, View, p => p.Key);
        });
        routes.MapGet("/v1/payments/{id}", async (string id, PaymentStore payments) =>
            await payments.FindAsync(id) is { } found ? Answers.Ok(View(found)) : Answers.NotFound("payment", id));
        routes.MapPost("/v1/payments", CreateAsync);
    }

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, PaymentStore payments, InvoiceStore invoices, CustomerStore customers,
        ChangeFeed feed, TimeProvider clock)
    {
        var fields = await Fields.ReadAsync(request);
        var number = fields.Text("invoice");
        var invoice = number is null ? null : await invoices.FindAsync(number);
        if (number is not null && invoice is null)
            fields.Add("unknown_invoice", $"There is no invoice '{number}'.", "invoice");
        var customer = await MoneyFields.CustomerAsync(fields, customers, required: number is null)
            ?? (invoice is null ? null : await customers.OfKeyAsync(invoice.CustomerKey));
        if (invoice is not null && customer is not null && invoice.CustomerKey != customer.Key)
            fields.Add("bad_value", "is not an invoice of this customer", "invoice");
        var code = fields.Text("currency") ?? invoice?.Currency ?? customer?.Currency ?? "USD";
        if (Currency.Find(code) is not { } currency || (customer is not null && code != customer.Currency))
            fields.Add("currency_differs", "must be the currency in which the customer pays", "currency");
        var amount = MoneyFields.Amount(fields, "amount", Currency.Find(code) ?? Currency.Usd);
        var reference = fields.Text("reference");
        var receivedAt = fields.Instant("received_at");
        if (receivedAt > Micros.Now(clock)) fields.Add("bad_value", "must not lie in the future", "received_at");
        if (fields.Faults() is { } faults) return faults;
        var row = await database.WriteAsync(db => payments.AddAsync(
            db, new NewPayment(customer!.Key, invoice?.Key, amount!.Value, reference, receivedAt)));
        await feed.AnnounceAsync(new Change.OfCustomer((int)row.CustomerKey));
        return Answers.Created($"/v1/payments/{row.Id}", View(row));
    }

    private static object View(PaymentRow p) => new
    {
        p.Id,
        p.Customer,
        p.Invoice,
        amount = MoneyFields.Text(p.Amount, p.Currency),
        p.Currency,
        p.Reference,
        received_at = Micros.ToText(p.ReceivedAt),
        created_at = Micros.ToText(p.CreatedAt),
    };
}
