using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/invoices</c>: what was issued, to the letter, and what gathers and is drafted of what is to come. All of it
/// also as text for people, for whoever prefers <c>text/plain</c>.</summary>
internal static class InvoicesApi
{
    private static readonly string[] s_stored =
        [InvoiceRow.Issued, InvoiceRow.Paid, InvoiceRow.Overdue, InvoiceRow.Void, InvoiceRow.Uncollectible];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/invoices", ListAsync);
        routes.MapGet("/v1/invoices/preview", PreviewAsync);
        routes.MapGet("/v1/invoices/{invoice}", GetAsync);
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

    /// <summary>The ETag of one that is not issued yet: of all that it says but the instant at which it was asked for, so that
    /// what somebody has read can be finalized as it stands.</summary>
    public static string TagOf(InvoiceDocument open) =>
        Representation.TagOf(System.Text.Encoding.UTF8.GetBytes((open with { AsOf = null }).ToJson()));

    private static async Task<IResult> GetAsync(
        string invoice, HttpRequest request, HttpResponse response, InvoiceStore invoices, BillingRun billing, TimeProvider clock)
    {
        var now = Micros.Now(clock);
        if (await invoices.FindAsync(invoice) is { } found)
            return WantsText(request) ? Results.Text(InvoiceText.Render(InvoiceDocument.Read(found.Document), found.StandingAt(now)))
                : Answers.Ok(View(found, now));
        var open = await billing.FindOpenAsync(invoice, now);
        if (!open.Ok) return Answers.Refused(StatusCodes.Status422UnprocessableEntity, open.Problems);
        if (open.Value is not { } draft) return Answers.NotFound("invoice", invoice);
        if (WantsText(request)) return Results.Text(InvoiceText.Render(draft));
        response.Headers.ETag = TagOf(draft);
        return Answers.Ok(Json(draft));
    }

    private static JsonElement Json(InvoiceDocument document) => JsonDocument.Parse(document.ToJson()).RootElement;

    public static bool WantsText(HttpRequest request) =>
        request.Headers.Accept.ToString().StartsWith("text/plain", StringComparison.OrdinalIgnoreCase);

    private static async Task<IResult> ListAsync(
        HttpRequest request, InvoiceStore invoices, BillingRun billing, CustomerStore customers, TimeProvider clock)
    {
        var (paging, customer, wrong) = await MoneyFields.PageAsync(request, customers);
        var now = Micros.Now(clock);
        var status = request.Query["status"].ToString();
        if (status.Length > 0 && status is not (InvoiceDocument.Gathering or InvoiceDocument.Draft) && !s_stored.Contains(status))
            wrong.Add(new Problem("bad_value", $"must be one of {InvoiceDocument.Gathering}, {InvoiceDocument.Draft}, " +
                string.Join(", ", s_stored), "status"));
        if (wrong.Count > 0) return Answers.Invalid(wrong);
        if (status is InvoiceDocument.Gathering or InvoiceDocument.Draft)
        {
            var open = await billing.OpenAsync(
                customer, status == InvoiceDocument.Gathering, (paging.After, paging.Limit), now);
            var (data, next) = (open.Documents.Select(Json), open.Next?.ToString());
            return open.Problems.Count == 0 ? Answers.Ok(new { data, next_cursor = next })
                : Answers.Ok(new { data, next_cursor = next, problems = open.Problems.Select(p => new { p.Code, p.Detail }) });
        }

        var rows = await invoices.ListAsync(customer, paging.After, paging.Rows, status.Length == 0 ? null : (status, now));
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
            return Answers.Ok(new { data = found.Value.Select(i => i.Issued is { } row ? View(row, now) : JsonNode.Parse(i.Document)) });
        return Results.Text(found.Value.Count == 0
            ? $"No invoices of {customer.Name} for {asked}.\n"
            : string.Join("\n", found.Value.Select(
                i => InvoiceText.Render(InvoiceDocument.Read(i.Document), i.Issued?.StandingAt(now)))));
    }

    private static string MonthOf(long now, DateTimeZone zone)
    {
        var date = Micros.ToInstant(now).InZone(zone).Date;
        return $"{date.Year:D4}-{date.Month:D2}";
    }
}
