using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/backups</c> and <c>/v1/replay</c>: what the keeper of the ledger asks of a running server.</summary>
public static class LedgerApi
{
    /// <param name="routes">The admin port.</param>
    /// <param name="backup">Writes a backup into a folder on the server's machine.</param>
    /// <param name="replay">Makes the sums again; true: and stores them where they differ.</param>
    public static void Map(
        IEndpointRouteBuilder routes, Func<string, Task<Result<object>>> backup, Func<bool, Task<Result<Replayed>>> replay)
    {
        routes.MapPost("/v1/backups", async (HttpRequest request) =>
        {
            var fields = await Fields.ReadAsync(request);
            var folder = fields.Text("folder", required: true, max: 4_096);
            if (fields.Faults() is { } faults) return faults;
            try
            {
                var taken = await backup(folder!);
                return taken.Ok ? Answers.Ok(taken.Value) : Answers.Invalid(taken.Problems);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return Answers.Conflict("backup_failed", $"The backup is not whole: {e.Message}", "folder");
            }
        }).InOwnTransactions();
        routes.MapPost("/v1/replay", async (HttpRequest request) =>
        {
            var fields = await Fields.ReadAsync(request);
            var write = fields.Flag("write") ?? false;
            if (fields.Faults() is { } faults) return faults;
            var done = await replay(write);
            return !done.Ok ? Answers.Invalid(done.Problems) : Answers.Ok(new
            {
                done.Value.Records,
                done.Value.Rows,
                done.Value.Differences,
                done.Value.Written,
                from = done.Value.From == 0 ? null : Micros.ToText(done.Value.From),
            });
        }).InOwnTransactions();
    }
}
