using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>
/// From a line of an invoice to the rollups that it is a sum over, and on to the calls, events and samples behind them.
/// </summary>
internal static class LinesApi
{
    private static readonly string[] s_columns =
        ["start", "end", "consumer", "api", "operation", "endpoint", "method", "dimensions", "quantity", "measurements"];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/invoices/{invoice}/lines/{line}/rollups", RollupsAsync);
        routes.MapGet("/v1/invoices/{invoice}/lines/{line}/calls", CallsAsync);
    }

    private static async Task<IResult> CallsAsync(
        string invoice, string line, HttpRequest request, InvoiceStore invoices, CallSearch calls, UsageDrain drain, Database database)
    {
        var problems = new List<Problem>();
        var filter = new CallFilter
        {
            From = CallsApi.Instant(request, "from", problems),
            To = CallsApi.Instant(request, "to", problems),
        };
        if (filter.To <= filter.From) problems.Add(new("range_empty", "The end must be after the beginning.", "to"));
        Known(request, ["from", "to", "format", "limit"], problems);
        var form = CallForm.Read(request, problems);
        if (problems.Count > 0) return Answers.Invalid(problems);
        await drain.CatchUpAsync();
        var (usage, of, fault) = await UsageAsync(invoice, line, invoices, database);
        if (fault is not null) return fault;
        var rollups = await database.ReadAsync(usage!.SumAsync);
        var elsewhere = await Elsewhere.FindAsync(request.HttpContext, database, calls);
        // a part of the time is a part of the line: nothing to compare with
        var sums = filter.From is null && filter.To is null ? new LineSums(usage, of!, rollups, elsewhere) : null;
        return form!.Answer(calls.ReadAsync(usage.Filter with { From = filter.From, To = filter.To }),
            new CallNames(database, usage.Meter), elsewhere, sums);
    }

    private static async Task<IResult> RollupsAsync(
        string invoice, string line, HttpRequest request, InvoiceStore invoices, UsageDrain drain, Database database)
    {
        var problems = new List<Problem>();
        Known(request, ["format", "limit"], problems);
        var form = CallForm.Read(request, problems, parquet: false);
        if (problems.Count > 0) return Answers.Invalid(problems);
        await drain.CatchUpAsync();
        var (usage, of, fault) = await UsageAsync(invoice, line, invoices, database);
        if (fault is not null) return fault;
        var sets = await database.ReadAsync(db => DimensionSets.OfMeterAsync(db, usage!.Meter.Key));
        var rows = new List<RollupView>();
        var (more, most) = (false, form!.IsCsv ? UsageStore.MaxRows : form.Limit);
        var sum = await database.ReadAsync(async db =>
        {
            await foreach (var row in usage!.RollupsAsync(db))
            {
                if (rows.Count == most)
                {
                    more = true;
                    break;
                }

                rows.Add(RollupView.Of(row, usage.Meter, sets));
            }

            return await usage.SumAsync(db);
        });
        if (form.IsCsv && more)
            return Answers.Invalid(new Problem("too_many_rows", $"The line is a sum over more than {most:N0} rows: ask for its calls."));
        return form.IsCsv
            ? CallForm.Csv(s_columns, Cells(rows))
            : Answers.Ok(new
            {
                data = rows,
                quantity = DecimalText.Of(sum),
                line_quantity = of!.NewQuantity ?? of.Quantity,
                has_more = more,
            });
    }

    private static async Task<(LineUsage? Usage, InvoiceLine? Line, IResult? Fault)> UsageAsync(
        string invoice, string line, InvoiceStore invoices, Database database)
    {
        if (await invoices.FindAsync(invoice) is not { } found) return (null, null, Answers.NotFound("invoice", invoice));
        var document = InvoiceDocument.Read(found.Document);
        if (!int.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            || number < 1 || number > document.Lines.Count)
            return (null, null, Answers.NotFound("line", line));
        var of = document.Lines[number - 1];
        var usage = await database.ReadAsync(db => InvoiceLineCalls.FindAsync(db, document, of));
        return usage.Ok ? (usage.Value, of, null)
            : (null, null, Answers.Refused(StatusCodes.Status422UnprocessableEntity, usage.Problems));
    }

    private static void Known(HttpRequest request, string[] known, List<Problem> problems)
    {
        foreach (var name in request.Query.Keys.Except(known))
            problems.Add(new("unknown_field", $"is not a parameter here; known are {string.Join(", ", known)}", name));
    }

    private static async IAsyncEnumerable<IReadOnlyList<string?>> Cells(IEnumerable<RollupView> rows)
    {
        await Task.CompletedTask;
        foreach (var row in rows)
            yield return
            [
                row.Start, row.End, CallForm.Quoted(row.Consumer), CallForm.Quoted(row.Api), CallForm.Quoted(row.Operation),
                CallForm.Quoted(row.Endpoint), row.Method, CallForm.Quoted(row.DimensionsText), row.Quantity,
                row.Measurements.ToString(CultureInfo.InvariantCulture),
            ];
    }
}
