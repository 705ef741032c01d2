using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Config.Admin;

namespace Tollgate.Web.Admin;

/// <summary>
/// Who may use the admin port, and for what. With a root token: who brings that, or a token that was made by it, within
/// the scope that the route asks for. Without one the port is bound to loopback, and only programs on this machine may
/// come in: a <c>Host</c> that is not loopback (a name that somebody else's DNS points here) and a request that a
/// foreign web page sent are refused.
/// </summary>
public sealed class AdminGuard(string? token, AdminTokenStore tokens)
{
    private readonly byte[]? _root = token is null ? null : SHA256.HashData(Encoding.UTF8.GetBytes(token));

    /// <summary>Whether the admin port may listen on this host without a token.</summary>
    public static bool IsLoopback(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var request = context.Request;
        var needed = context.GetEndpoint()?.Metadata.GetMetadata<ScopeRule>()?.Of(request) ?? AdminScope.Admin;
        if (_root is null && RefuseForeign(request) is { } foreign)
            await RefuseAsync(context, StatusCodes.Status403Forbidden, foreign);
        else if (await CallerAsync(request) is not { } caller)
        {
            if (needed != AdminScope.Anyone)
            {
                context.Response.Headers.WWWAuthenticate = "Bearer";
                await RefuseAsync(context, StatusCodes.Status401Unauthorized, new("admin_token_required",
                    "Send a valid admin token: Authorization: Bearer …"));
                return;
            }

            await next(context);
        }
        else if (!caller.May(needed))
        {
            await RefuseAsync(context, StatusCodes.Status403Forbidden, caller.MissingFor(needed));
        }
        else
        {
            context.Features.Set(caller);
            await next(context);
        }
    }

    private static Task RefuseAsync(HttpContext context, int status, Problem problem) =>
        Answers.Refused(status, [problem]).ExecuteAsync(context);

    /// <summary>Who brings the token; null: nobody who is known.</summary>
    private async Task<AdminCaller?> CallerAsync(HttpRequest request)
    {
        var sent = request.Headers["Kong-Admin-Token"].ToString();
        var authorization = request.Headers.Authorization.ToString();
        if (authorization.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)) sent = authorization[7..].Trim();

        // hashed first: the comparison takes the same time whatever was sent, and however long it is
        if (_root is not null
            && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(sent)), _root))
            return AdminCaller.Root;
        if (await tokens.FindValidAsync(sent) is { } row)
            return new AdminCaller(row.Name, AdminCaller.Parse(row.Scopes.Split(' ')) ?? new HashSet<AdminScope>());

        // a token that is sent is meant: one that has ended must not do more than it could
        return _root is null && !Config.ApiKeys.IsAdminToken(sent) ? AdminCaller.Loopback : null;
    }

    private static Problem? RefuseForeign(HttpRequest request)
    {
        if (!IsLoopback(request.Host.Host))
            return new("host_not_loopback", "Without an admin token only requests to a loopback host are answered.");
        var site = request.Headers["Sec-Fetch-Site"].ToString();
        if (site is not ("" or "same-origin" or "none"))
            return new("foreign_page", "A page of another site may not use the admin port.");
        var origin = request.Headers.Origin.ToString();
        return origin.Length == 0 || IsOwn(origin, request)
            ? null
            : new("foreign_page", "A page of another site may not use the admin port.");
    }

    /// <summary>A page of another port of this machine is a foreign page too.</summary>
    private static bool IsOwn(string origin, HttpRequest request) =>
        Uri.TryCreate(origin, UriKind.Absolute, out var from)
        && Uri.TryCreate($"{request.Scheme}://{request.Host}", UriKind.Absolute, out var here)
        && from.GetLeftPart(UriPartial.Authority) == here.GetLeftPart(UriPartial.Authority);
}
