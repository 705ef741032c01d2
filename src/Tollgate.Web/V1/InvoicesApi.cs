using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime;
using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/invoices</c>: what was issued, to the letter, and drafts of what is to come. Both also as text for
/// people, for whoever prefers <c>text/plain</c>.</summary>
internal static class InvoicesApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/invoices", ListAsync);
        routes.MapGet("/v1/invoices/preview", PreviewAsync);
        routes.MapGet("/v1/invoices/{invoice}", async (
            string invoice, HttpRequest request, InvoiceStore invoices, TimeProvider clock) =>
            await invoices.FindAsync(invoice) is not { } found ? Answers.NotFound("invoice", invoice)
                : WantsText(request) ? Results.Text(InvoiceText.Render(InvoiceDocument.Read(found.Document)))
                : Answers.Ok(View(found, Micros.Now(clock))));
        routes.MapGet("/v1/invoices/{invoice}/document", async (string invoice, InvoiceStore invoices) =>
            await invoices.FindAsync(invoice) is { } found
                ? Results.Text(found.Document, "application/json")
                : Answers.NotFound("invoice", invoice));
    }

    /// <summary>The document as it was issued, with what has become of it since.</summary>
    public static JsonNode View(InvoiceRow row, long now)
    {
        var view = JsonNode.Parse(row.Document)!.AsObject();
        view["status"] = row.StatusAt(now);
        view["amount_paid"] = MoneyFields.Text(row.Settled, row.Currency);
        view["amount_remaining"] = MoneyFields.Text(
            row.Status is InvoiceRow.Issued ? row.AmountDue - row.Settled : 0, row.Currency);
        view["amount_credited"] = MoneyFields.Text(row.Credited, row.Currency);
        view["due_at"] = Micros.ToText(row.DueAt);
        view["closed_at"] = row.ClosedAt is { } at ? Micros.ToText(at) : null;
        return view;
    }

    public static bool WantsText(HttpRequest request) =>
        request.Headers.Accept.ToString().StartsWith("text/plain", StringComparison.OrdinalIgnoreCase);

    private static async Task<IResult> ListAsync(
        HttpRequest request, InvoiceStore invoices, CustomerStore customers, TimeProvider clock)
    {
        if (Paging.TryRead(request, out var paging) is { } faults) return faults;
        var (customer, unknown) = await MoneyFields.OfCustomerAsync(request, customers);
        if (unknown is not null) return unknown;
        var rows = await invoices.ListAsync(customer, paging.After, paging.Rows);
        var now = Micros.Now(clock);
        return Answers.Page(rows, paging.Limit, r => View(r, now), r => r.Key);
    }

    private static async Task<IResult> PreviewAsync(
        HttpRequest request, BillingRun billing, CustomerStore customers, TimeProvider clock)
    {
        var name = request.Query["customer"].ToString();
        if (name.Length == 0)
            return Answers.Invalid(new Problem("missing_field", "is required", "customer"));
        if (await customers.FindAsync(name) is not { } customer) return Answers.NotFound("customer", name);
        var zone = DateTimeZoneProviders.Tzdb[customer.Timezone];
        var now = Micros.Now(clock);
        var asked = request.Query["period"].ToString() is { Length: > 0 } text ? text : MonthOf(now, zone);
        var period = InvoicePeriod.Read(asked, zone);
        if (!period.Ok) return Answers.Invalid(period.Problems);
        var found = await billing.PreviewAsync(customer, period.Value, now);
        if (!found.Ok) return Answers.Refused(StatusCodes.Status422UnprocessableEntity, found.Problems);
        if (!WantsText(request))
            return Answers.Ok(new { data = found.Value.Select(d => JsonDocument.Parse(d).RootElement) });
        return Results.Text(found.Value.Count == 0
            ? $"No invoices of {customer.Name} for {asked}.\n"
            : string.Join("\n", found.Value.Select(d => InvoiceText.Render(InvoiceDocument.Read(d)))));
    }

    private static string MonthOf(long now, DateTimeZone zone)
    {
        var date = Micros.ToInstant(now).InZone(zone).Date;
        return $"{date.Year:D4}-{date.Month:D2}";
    }
}
