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
        routes.MapGet("/v1/credit_notes", async (HttpRequest request, CreditNoteStore notes, CustomerStore customers) =>
        {
            if (Paging.TryRead(request, out var paging) is { } faults) return faults;
            var (key, unknown) = await MoneyFields.OfCustomerAsync(request, customers);
            return unknown ?? Answers.Page(
                await notes.ListAsync(key, paging.After, paging.Limit + 1), paging.Limit, View, n => n.Key);
        });
        routes.MapGet("/v1/credit_notes/{id}", async (string id, CreditNoteStore notes) =>
            await notes.FindAsync(id) is { } found ? Answers.Ok(View(found)) : Answers.NotFound("credit note", id));
        routes.MapPost("/v1/credit_notes", CreateAsync);
    }

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, CreditNoteStore notes, InvoiceStore invoices, ChangeFeed feed)
    {
        var fields = await Fields.ReadAsync(request);
        var number = fields.Text("invoice", required: true);
        var invoice = number is null ? null : await invoices.FindAsync(number);
        if (number is not null && invoice is null)
            fields.Add("unknown_invoice", $"There is no invoice '{number}'.", "invoice");
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
