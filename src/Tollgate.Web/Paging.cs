using Microsoft.AspNetCore.Http;

namespace Tollgate.Web;

/// <summary><c>?limit=</c> (1 to 1000, 100 when absent) and <c>?cursor=</c> of a list.</summary>
public readonly record struct Paging(long After, int Limit)
{
    public const int MaxLimit = 1_000;

    /// <summary>Rows to read: the one beyond the page tells that there is a next.</summary>
    public int Rows => Limit + 1;

    public static IResult? TryRead(HttpRequest request, out Paging paging) =>
        Read(request, out paging) is { Count: > 0 } problems ? Answers.Invalid(problems) : null;

    /// <summary>The same, for whoever knows of more that may be wrong.</summary>
    public static List<Catalog.Problem> Read(HttpRequest request, out Paging paging)
    {
        paging = new Paging(0, 100);
        var problems = new List<Catalog.Problem>();
        var limit = 100;
        if (request.Query["limit"].ToString() is { Length: > 0 } l
            && (!int.TryParse(l, out limit) || limit is < 1 or > MaxLimit))
            problems.Add(new("bad_value", $"must be a whole number from 1 to {MaxLimit}", "limit"));
        long after = 0;
        if (request.Query["cursor"].ToString() is { Length: > 0 } c && (!long.TryParse(c, out after) || after < 0))
            problems.Add(new("bad_value", "must be a next_cursor of this list", "cursor"));
        if (problems.Count == 0) paging = new Paging(after, limit);
        return problems;
    }
}
