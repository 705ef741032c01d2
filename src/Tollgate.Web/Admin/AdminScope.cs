using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;

namespace Tollgate.Web.Admin;

/// <summary>What a token of the admin port may do. <c>config</c> and <c>billing</c> read too; <c>admin</c> does all.
/// </summary>
public enum AdminScope : byte
{
    /// <summary>No token is asked for: probes.</summary>
    Anyone,

    /// <summary>To send events, and nothing else: what stands in an application's configuration.</summary>
    Ingest,

    /// <summary>To look at everything but tokens and the audit log.</summary>
    Read,

    /// <summary>To change what is published and who calls: APIs, plans, consumers, keys.</summary>
    Config,

    /// <summary>To change who pays and what: customers, subscriptions, invoices, credits.</summary>
    Billing,

    /// <summary>Everything, also tokens, the audit log and the test clock.</summary>
    Admin,
}

/// <summary>Which scope a route asks for; a route without one is for <see cref="AdminScope.Admin"/> alone.</summary>
public sealed record ScopeRule(AdminScope Reads, AdminScope Writes)
{
    public AdminScope Of(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) ? Reads : Writes;
}

/// <summary>The route writes in transactions of its own, since its work takes turns with other writers.</summary>
public sealed record OwnTransactions;

/// <summary>The route changes nothing in the store, though it is a POST: a question, or usage, which goes into the journal. It
/// makes no transaction, nothing is written into the audit log, and an <c>Idempotency-Key</c> is not looked at.</summary>
public sealed record ChangesNothing;

/// <summary>How routes of the admin port say who may use them.</summary>
public static class AdminRoutes
{
    /// <summary>All routes that are mapped on the answer read with one scope and write with another.</summary>
    public static IEndpointRouteBuilder For(
        this IEndpointRouteBuilder routes, AdminScope writes, AdminScope reads = AdminScope.Read) =>
        routes.MapGroup("").WithMetadata(new ScopeRule(reads, writes));

    /// <summary>This route asks for one scope, whatever its group says.</summary>
    public static TRoute Needs<TRoute>(this TRoute route, AdminScope scope) where TRoute : IEndpointConventionBuilder =>
        route.WithMetadata(new ScopeRule(scope, scope));

    /// <summary>For a route whose work takes turns with the node's own writers (draining, billing): it is not made one
    /// transaction. Its answer and its entry in the audit log are written right after its effect, and of requests with one
    /// <c>Idempotency-Key</c> one runs at a time; only a process that dies between the two leaves an effect without an answer.
    /// </summary>
    public static TRoute InOwnTransactions<TRoute>(this TRoute route) where TRoute : IEndpointConventionBuilder =>
        route.WithMetadata(new OwnTransactions());

    /// <summary>This route answers a question whose text is a body (map it for those who may read), or takes usage, which has
    /// identities of its own.</summary>
    public static TRoute ChangesNothing<TRoute>(this TRoute route) where TRoute : IEndpointConventionBuilder =>
        route.WithMetadata(new ChangesNothing());
}

/// <summary>Who asks, as the audit log names it.</summary>
/// <param name="Name">The name of a token, <c>root</c> or <c>loopback</c>.</param>
public sealed record AdminCaller(string Name, IReadOnlySet<AdminScope> Scopes)
{
    private static readonly IReadOnlySet<AdminScope> s_all = new HashSet<AdminScope> { AdminScope.Admin };

    /// <summary>Who holds TOLLGATE_ADMIN_TOKEN.</summary>
    public static AdminCaller Root { get; } = new("root", s_all);

    /// <summary>A program of this machine, while no token is asked for.</summary>
    public static AdminCaller Loopback { get; } = new("loopback", s_all);

    /// <summary>Names that no token may have.</summary>
    public static bool IsReserved(string name) => name is "root" or "loopback" or "file" or "kong";

    public static AdminCaller Of(HttpContext context) => context.Features.Get<AdminCaller>()
        ?? throw new InvalidOperationException("The guard has not let this request in.");

    public bool May(AdminScope scope) => scope == AdminScope.Anyone || Scopes.Contains(AdminScope.Admin)
        || scope switch
        {
            AdminScope.Read => Scopes.Any(s => s != AdminScope.Ingest),
            AdminScope.Ingest => Scopes.Contains(AdminScope.Ingest) || Scopes.Contains(AdminScope.Billing),
            _ => Scopes.Contains(scope),
        };

    /// <summary>The refusal of a request that needs a scope beside that of its route; null for who has it.</summary>
    public IResult? Lacks(AdminScope scope) => May(scope) ? null
        : Answers.Refused(StatusCodes.Status403Forbidden, [MissingFor(scope)]);

    internal Problem MissingFor(AdminScope scope) => new("scope_missing",
        $"The token '{Name}' may {string.Join(", ", Scopes.Select(NameOf).Order())}; this needs {NameOf(scope)}.");

    /// <summary>As tokens and texts write it: <c>read</c>.</summary>
    public static string NameOf(AdminScope scope) => scope.ToString().ToLowerInvariant();

    /// <summary>The scopes in a text; null when one of them is none.</summary>
    public static IReadOnlySet<AdminScope>? Parse(IEnumerable<string> names)
    {
        var scopes = new HashSet<AdminScope>();
        foreach (var name in names)
        {
            var found = Array.Find(Enum.GetValues<AdminScope>(), s => s != AdminScope.Anyone && NameOf(s) == name);
            if (found == AdminScope.Anyone) return null;
            scopes.Add(found);
        }

        return scopes;
    }
}
