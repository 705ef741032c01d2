using Microsoft.AspNetCore.Http;

namespace Tollgate.Web.Admin;

/// <summary>A request is to leave nothing behind, whatever it has written, and has this answer.</summary>
internal sealed class StoppedException : Exception
{
    /// <summary>Null: the kept answer of an earlier request.</summary>
    public IResult? Answer { get; init; }
}
