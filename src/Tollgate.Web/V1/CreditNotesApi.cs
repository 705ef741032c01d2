using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/credit_notes</c>: corrections of issued invoices, which never change themselves.</summary>
internal static class CreditNotesApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapListByCustomer<CreditNoteStore, CreditNoteRow>(
            "/v1/credit_notes", (store, customer, page) => store.ListAsync(customer, page.After, page.Rows), View, n => n.Key);
        routes.MapOne<CreditNoteStore, CreditNoteRow>(
            "/v1/credit_notes/{id}", "credit note", (store, id) => store.FindAsync(id), View);
        routes.MapPost("/v1/credit_notes", CreateAsync);
    }

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, CreditNoteStore notes, InvoiceStore invoices, ChangeFeed feed)
    {
        var fields = await Fields.ReadAsync(request);
        var invoice = await MoneyFields.InvoiceAsync(fields, invoices, required: true);
        var currency = Currency.Of(invoice?.Currency ?? "USD");
        var amount = MoneyFields.Amount(fields, "amount", currency, required: false);
        var reason = fields.Text("reason", required: true);
        if (fields.Faults() is { } faults) return faults;
        // read again with the write: another note may have come in between
        var issued = await database.WriteAsync(async db =>
            await notes.IssueAsync(db, (await InvoiceStore.FindAsync(db, invoice!.Id))!, amount, reason!));
        if (!issued.Ok)
            return issued.Problems[0].Code == "invoice_closed"
                ? Answers.Refused(StatusCodes.Status409Conflict, issued.Problems)
                : Answers.Invalid(issued.Problems);
        await feed.AnnounceAsync(new Change.OfCustomer((int)issued.Value.CustomerKey));
        return Answers.Created($"/v1/credit_notes/{issued.Value.Id}", View(issued.Value));
    }

    private static object View(CreditNoteRow n) => JsonDocument.Parse(n.Document).RootElement;
}
