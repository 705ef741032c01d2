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
        routes.MapListByCustomer<PaymentStore, PaymentRow>(
            "/v1/payments", (store, customer, page) => store.ListAsync(customer, page.After, page.Rows), View, p => p.Key);
        routes.MapOne<PaymentStore, PaymentRow>("/v1/payments/{id}", "payment", (store, id) => store.FindAsync(id), View);
        routes.MapPost("/v1/payments", CreateAsync);
    }

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, PaymentStore payments, InvoiceStore invoices, CustomerStore customers,
        ChangeFeed feed, TimeProvider clock)
    {
        var fields = await Fields.ReadAsync(request);
        var invoice = await MoneyFields.InvoiceAsync(fields, invoices, required: false);
        var customer = await MoneyFields.CustomerAsync(fields, customers, required: !fields.Has("invoice"))
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
