using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web;

/// <summary>
/// What went wrong inside becomes an answer in words: a store that is busy or gone is a 503 that may be tried again, a
/// request that Kestrel cannot read keeps its status, the rest is a 500 that is logged, not shown.
/// </summary>
public sealed partial class AdminFaults(ILogger log)
{
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var faults = context.Request.Query.Where(q => q.Key.Contains('\0') || q.Value.Any(v => v?.Contains('\0') == true))
            .Select(q => new Problem("bad_value", "must not contain control characters", q.Key.Replace("\0", "", StringComparison.Ordinal)))
            .ToArray();
        if (faults.Length > 0)
        {
            await Answers.Refused(StatusCodes.Status400BadRequest, faults).ExecuteAsync(context);
            return;
        }

        try
        {
            await next(context);
        }
        catch (Exception e) when (!context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            var (status, problem) = e switch
            {
                BadHttpRequestException bad => (bad.StatusCode, new Problem("bad_request", bad.Message)),
                StorageException => (503, new Problem("store_unavailable", e.Message)),
                System.Data.Common.DbException => (503, new Problem("store_unavailable", "The store refused the work.")),
                _ => (500, new Problem("internal_error", "This is our fault; the log of the server says more.")),
            };
            if (status >= 500) Failed(log, context.Request.Method, context.Request.Path, e);
            context.Response.Clear();
            if (status == 503) context.Response.Headers.RetryAfter = "1";
            await Answers.Refused(status, [problem]).ExecuteAsync(context);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed.")]
    private static partial void Failed(ILogger log, string method, string path, Exception e);
}
