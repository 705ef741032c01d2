using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Web.V1;

/// <summary>In which form calls are answered. JSON is for looking, and bounded; CSV and Parquet hold all of them.
/// </summary>
internal sealed class CallForm
{
    private const int UsualLimit = 1_000, MaxLimit = 10_000;

    private static readonly string[] s_columns =
    [
        "request_id", "admitted_at", "customer", "subscription", "consumer", "credential", "api", "operation", "endpoint", "method",
        "status", "billable", "quantity", "latency_us", "kind", "event", "series", "dimensions",
    ];

    private readonly string _format;

    private CallForm(string format, int limit) => (_format, Limit) = (format, limit);

    /// <summary>So many are shown as JSON.</summary>
    public int Limit { get; }

    public bool IsCsv => _format == "csv";

    public static CallForm? Read(HttpRequest request, List<Problem> problems, bool parquet = true)
    {
        var format = request.Query["format"].ToString();
        if (format.Length == 0) format = InvoicesApi.WantsText(request) ? "csv" : "json";
        if (format is not ("json" or "csv") && !(parquet && format == "parquet"))
            problems.Add(new Problem("bad_value", parquet ? "must be json, csv or parquet" : "must be json or csv", "format"));
        var limit = UsualLimit;
        if (request.Query["limit"].ToString() is { Length: > 0 } text
            && (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out limit) || limit is < 1 or > MaxLimit))
            problems.Add(new Problem("bad_value", $"must be a whole number from 1 to {MaxLimit}", "limit"));
        return problems.Count == 0 ? new CallForm(format, limit) : null;
    }

    public IResult Answer(
        IAsyncEnumerable<CallRecord> calls, CallNames names, IReadOnlyList<object> elsewhere, LineSums? of = null) => _format switch
    {
        "csv" => Csv(s_columns, CellsAsync(calls, names)),
        "parquet" => new ParquetAnswer(calls, names),
        _ => new JsonAnswer(calls, names, Limit) { Of = of, Elsewhere = elsewhere },
    };

    /// <summary>RFC 4180, as it comes.</summary>
    public static IResult Csv(IReadOnlyList<string> columns, IAsyncEnumerable<IReadOnlyList<string?>> rows) =>
        Results.Stream(async body =>
        {
            await using var text = new StreamWriter(body, new UTF8Encoding(false), 32_768, leaveOpen: true) { NewLine = "\r\n" };
            await text.WriteLineAsync(string.Join(',', columns));
            await foreach (var row in rows) await text.WriteLineAsync(string.Join(',', row));
        }, "text/csv; charset=utf-8");

    private static async IAsyncEnumerable<IReadOnlyList<string?>> CellsAsync(IAsyncEnumerable<CallRecord> calls, CallNames names)
    {
        await foreach (var call in calls)
        {
            var v = await names.ViewAsync(call);
            yield return
            [
                v.RequestId, v.AdmittedAt, Quoted(v.Customer), v.Subscription, Quoted(v.Consumer), v.Credential, Quoted(v.Api),
                Quoted(v.Operation), Quoted(v.Endpoint), v.Method, v.Status?.ToString(CultureInfo.InvariantCulture),
                v.Billable ? "true" : "false", v.Quantity, v.LatencyUs?.ToString(CultureInfo.InvariantCulture), v.Kind, v.Event,
                Quoted(v.Series), Quoted(v.DimensionsText),
            ];
        }
    }

    /// <summary>What a spreadsheet would take for a formula stays a text.</summary>
    public static string? Quoted(string? text)
    {
        if (text is null) return null;
        if (text.Length > 0 && text[0] is '=' or '+' or '-' or '@' or '\t') text = "'" + text;
        return text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }

    /// <summary>The first so many, whether there are more, and of a line what all of them come to.</summary>
    private sealed class JsonAnswer(IAsyncEnumerable<CallRecord> calls, CallNames names, int limit) : IResult
    {
        public LineSums? Of { get; init; }

        /// <summary>Journals that were not looked at.</summary>
        public required IReadOnlyList<object> Elsewhere { get; init; }

        public async Task ExecuteAsync(HttpContext httpContext)
        {
            var (views, quantity, more) = (new List<CallView>(), 0L, false);
            await foreach (var call in calls)
            {
                Of?.Add(call);
                if (views.Count == limit)
                {
                    more = true;
                    if (Of is null) break;
                    continue;
                }

                views.Add(await names.ViewAsync(call));
                quantity += call.Quantity;
            }

            await Answers.Ok(Of is null
                    ? new { data = views, quantity = names.Units(quantity), missing_journals = Elsewhere, has_more = more }
                    : Of.With(views, more))
                .ExecuteAsync(httpContext);
        }
    }

    /// <summary>Written into a file first, since Parquet begins at its end.</summary>
    private sealed class ParquetAnswer(IAsyncEnumerable<CallRecord> calls, CallNames names) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            var path = Path.Combine(Path.GetTempPath(), $"tollgate-calls-{Guid.NewGuid():n}.parquet");
            try
            {
                await CallExport.WriteAsync(path, Rows());
                httpContext.Response.Headers.ContentDisposition = "attachment; filename=calls.parquet";
                await Results.File(path, "application/vnd.apache.parquet").ExecuteAsync(httpContext);
            }
            finally
            {
                File.Delete(path);
            }
        }

        private async IAsyncEnumerable<CallExport.Row> Rows()
        {
            await foreach (var call in calls)
            {
                var v = await names.ViewAsync(call);
                yield return new CallExport.Row(call, v.RequestId, v.Customer, v.Subscription, v.Consumer, v.Credential,
                    v.Api, v.Operation, v.Endpoint)
                {
                    Event = v.Event,
                    Series = v.Series,
                    Dimensions = v.DimensionsText,
                };
            }
        }
    }
}
