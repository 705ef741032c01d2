using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>Each node keeps its own calls: an answer made of calls says whose journals were not looked at.</summary>
internal static class Elsewhere
{
    /// <summary>The same, for answers that are files.</summary>
    public const string Header = "Tollgate-Missing-Journals";

    /// <summary>The journals that are not this node's, as an answer tells them; they stand in its headers from then on.</summary>
    public static async Task<IReadOnlyList<object>> FindAsync(HttpContext context, Database database, CallSearch calls)
    {
        var others = await database.ReadAsync(db => JournalRegistry.OthersAsync(db, calls.Journal));
        if (others.Count > 0) context.Response.Headers[Header] = string.Join(", ", others.Select(o => o.Name));
        return [.. others.Select(o => new { journal = o.Name, node = o.Node })];
    }

    /// <summary>What is said of a call that is not found.</summary>
    public static async Task<IResult> NotFoundAsync(Database database, CallSearch calls, RecordId id)
    {
        var others = await database.ReadAsync(db => JournalRegistry.OthersAsync(db, calls.Journal));
        return others.FirstOrDefault(o => o.Id == id.Journal) is { } other
            ? Answers.Refused(StatusCodes.Status404NotFound, [new Problem("call_elsewhere",
                $"The call {id} is in the journal {other.Name} of the node '{other.Node}', which keeps it: ask that node.")])
            : Answers.NotFound("call", id.ToString());
    }
}
