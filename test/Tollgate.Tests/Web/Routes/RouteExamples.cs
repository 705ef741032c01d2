using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Routes;

/// <summary>
/// A good request for each route of the admin port that changes something, and what must be there before. A route that has no
/// line here fails the tests, so that a new one is asked the same questions as the others.
/// </summary>
/// <param name="Scope">Which the route must ask for.</param>
/// <param name="Route">Method and template.</param>
/// <param name="Needs">Names of <see cref="Things"/>, made anew for each request.</param>
/// <param name="Path">With <c>$thing</c> for what was made.</param>
/// <param name="Body">JSON; none for <c>-</c>.</param>
internal sealed record RouteExample(string Scope, string Route, string[] Needs, string Path, string? Body)
{
    /// <summary>Whether PostgreSQL does it itself here, so that the admin port refuses it.</summary>
    public bool IsElsewhere => TestDatabase.OnPostgres && (Route is "POST /v1/backups" or "POST /v1/replay");

    /// <summary>What must be there before a request can be made.</summary>
    /// <param name="Field">Of the answer: what <c>$name</c> stands for from then on.</param>
    internal sealed record Thing(string Name, string[] Needs, string Path, string Body, string Field);

    public static IReadOnlyDictionary<string, Thing> Things { get; } = Rows("things.txt")
        .Select(c => new Thing(c[0], c[1].Split(' ', StringSplitOptions.RemoveEmptyEntries), c[2], c[3], c[4]))
        .ToDictionary(t => t.Name);

    public static IReadOnlyDictionary<string, RouteExample> All { get; } = Rows("routes.txt")
        .Select(c => new RouteExample(c[0][..c[0].IndexOf(' ')], c[0][(c[0].IndexOf(' ') + 1)..],
            c[1].Split(' ', StringSplitOptions.RemoveEmptyEntries), c[2], c[3] == "-" ? null : c[3]))
        .ToDictionary(e => e.Route);

    public string Method => Route[..Route.IndexOf(' ')];

    public bool IsKongs => !Path.Contains("/v1/", StringComparison.Ordinal) && !Path.Contains("/v2/", StringComparison.Ordinal);

    private static IEnumerable<string[]> Rows(string file) =>
        System.IO.File.ReadLines(System.IO.Path.Combine(AppContext.BaseDirectory, "Web", "Routes", file))
            .Where(line => !line.StartsWith('#')).Select(line => line.Split('|').Select(c => c.Trim()).ToArray());
}
