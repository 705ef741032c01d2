using System.Text.Json;
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
        routes.MapGet("/v1/invoices/{invoice}", async (string invoice, HttpRequest request, InvoiceStore invoices) =>
            await invoices.FindAsync(invoice) is { } found
                ? Document(request, found.Document)
                : Answers.NotFound("invoice", invoice));
    }

    public static bool WantsText(HttpRequest request) =>
        request.Headers.Accept.ToString().StartsWith("text/plain", StringComparison.OrdinalIgnoreCase);

    private static IResult Document(HttpRequest request, string document) => WantsText(request)
        ? Results.Text(InvoiceText.Render(InvoiceDocument.Read(document)))
        : Results.Text(document, "application/json");

    private static async Task<IResult> ListAsync(HttpRequest request, InvoiceStore invoices, CustomerStore customers)
    {
        if (Paging.TryRead(request, out var paging) is { } faults) return faults;
        CustomerRow? customer = null;
        if (request.Query["customer"].ToString() is { Length: > 0 } name
            && (customer = await customers.FindAsync(name)) is null)
            return Answers.Invalid(new Problem("unknown_customer", $"There is no customer '{name}'.", "customer"));
        var rows = await invoices.ListAsync(customer?.Key, paging.After, paging.Limit + 1);
        return Answers.Page(rows, paging.Limit, r => JsonDocument.Parse(r.Document).RootElement, r => r.Key);
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
