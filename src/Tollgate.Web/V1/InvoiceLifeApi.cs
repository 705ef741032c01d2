using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>POST /v1/invoices/{id}/finalize</c>, <c>/void</c> and <c>/uncollectible</c>: what may still happen to an
/// invoice. Its document never changes.</summary>
internal static class InvoiceLifeApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        // it drains first, which takes turns with other writers
        routes.MapPost("/v1/invoices/{invoice}/finalize", FinalizeAsync).InOwnTransactions();
        routes.MapPost("/v1/invoices/{invoice}/void", (string invoice, HttpRequest request, InvoiceLife life) =>
            life.CloseAsync(invoice, request, InvoiceStore.VoidAsync));
        routes.MapPost("/v1/invoices/{invoice}/uncollectible", (string invoice, HttpRequest request, InvoiceLife life) =>
            life.CloseAsync(invoice, request, InvoiceStore.WriteOffAsync));
    }

    /// <summary>Issues a draft whose period is over without waiting for late usage.</summary>
    private static async Task<IResult> FinalizeAsync(
        string invoice, HttpRequest request, BillingRun billing, InvoiceLife life)
    {
        var fields = await Fields.ReadAsync(request);
        var force = fields.Flag("force") ?? false;
        if (fields.Faults() is { } faults) return faults;
        if (await life.Invoices.FindAsync(invoice) is { } before) return AsIssued(before, life);
        var wanted = request.Headers.IfMatch;
        var done = await billing.FinalizeAsync(invoice, Micros.Now(life.Clock), force,
            wanted.Count == 0 ? null : draft => TaggedAnswer.Lists(wanted, InvoicesApi.TagOf(draft)));
        if (!done.Ok)
        {
            // another request, another node or a run may have been quicker: there is one document, whoever issued it
            if (done.Problems[0].Code == "not_as_expected")
                return Answers.Refused(StatusCodes.Status412PreconditionFailed, done.Problems);
            return await life.Invoices.FindAsync(invoice) is { } meanwhile ? AsIssued(meanwhile, life)
                : done.Problems[0].Code == "not_found" ? Answers.NotFound("draft", invoice)
                : Answers.Refused(StatusCodes.Status409Conflict, done.Problems);
        }

        var row = (await life.Invoices.FindAsync(invoice))!;
        await life.Feed.AnnounceAsync(new Change.OfCustomer((int)row.CustomerKey));
        var view = InvoicesApi.View(row, Micros.Now(life.Clock));
        if (done.Value.Count > 0)
            view["without_journals"] = new System.Text.Json.Nodes.JsonArray([.. done.Value.Select(j => j.ToString())]);
        return Answers.Ok(view);
    }

    /// <summary>Issued is issued: asked again, it is the same invoice, with what has become of it.</summary>
    private static IResult AsIssued(InvoiceRow row, InvoiceLife life) => row.Status == InvoiceRow.Void
        ? Answers.Conflict("invoice_closed", $"{row.Number} was issued, and is void.")
        : Answers.Ok(InvoicesApi.View(row, Micros.Now(life.Clock)));
}

/// <summary>What closing an invoice takes.</summary>
public sealed record InvoiceLife(Database Database, InvoiceStore Invoices, ChangeFeed Feed, TimeProvider Clock)
{
    internal async Task<IResult> CloseAsync(
        string invoice, HttpRequest request, Func<System.Data.Common.DbConnection, InvoiceRow, long, Task<Problem?>> close)
    {
        var fields = await Fields.ReadAsync(request);
        if (fields.Faults() is { } faults) return faults;
        var now = Micros.Now(Clock);
        var (row, problem) = await Database.WriteAsync<(InvoiceRow?, Problem?)>(async db =>
        {
            if (await InvoiceStore.FindAsync(db, invoice) is not { } found) return (null, null);
            var refused = await close(db, found, now);
            return (await InvoiceStore.FindAsync(db, invoice), refused);
        });
        if (row is null) return Answers.NotFound("invoice", invoice);
        if (problem is not null) return Answers.Refused(StatusCodes.Status409Conflict, [problem]);
        await Feed.AnnounceAsync(new Change.OfCustomer((int)row.CustomerKey));
        return Answers.Ok(InvoicesApi.View(row, now));
    }
}
