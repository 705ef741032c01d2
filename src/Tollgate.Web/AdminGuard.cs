using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Tollgate.Web;

/// <summary>
/// Who may use the admin port. With a token: who brings it. Without one the port is bound to loopback, and only
/// programs on this machine may come in: a <c>Host</c> that is not loopback (a name that somebody else's DNS points
/// here) and a request that a foreign web page sent are refused.
/// </summary>
public sealed class AdminGuard(string? token)
{
    private readonly byte[]? _token = token is null ? null : Encoding.UTF8.GetBytes(token);

    /// <summary>Whether the admin port may listen on this host without a token.</summary>
    public static bool IsLoopback(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var refusal = _token is null ? RefuseForeign(context.Request) : RefuseWithoutToken(context.Request, _token);
        if (refusal is not { } no) return next(context);
        if (no.Status == StatusCodes.Status401Unauthorized) context.Response.Headers.WWWAuthenticate = "Bearer";
        return Answers.Refused(no.Status, [new Catalog.Problem(no.Code, no.Detail)]).ExecuteAsync(context);
    }

    private static (int Status, string Code, string Detail)? RefuseWithoutToken(HttpRequest request, byte[] token)
    {
        // probes and the page that says "alive" carry no secret
        if (request.Path == "/healthz" || request.Path == "/readyz") return null;
        var sent = request.Headers["Kong-Admin-Token"].ToString();
        var authorization = request.Headers.Authorization.ToString();
        if (authorization.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)) sent = authorization[7..];
        return CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(sent), token)
            ? null
            : (401, "admin_token_required", "Send the admin token: Authorization: Bearer …");
    }

    private static (int Status, string Code, string Detail)? RefuseForeign(HttpRequest request)
    {
        if (!IsLoopback(request.Host.Host))
            return (403, "host_not_loopback", "Without an admin token only requests to a loopback host are answered.");
        var site = request.Headers["Sec-Fetch-Site"].ToString();
        if (site is not ("" or "same-origin" or "none"))
            return (403, "foreign_page", "A page of another site may not use the admin port.");
        var origin = request.Headers.Origin.ToString();
        return origin.Length == 0 || IsOwn(origin, request)
            ? null
            : (403, "foreign_page", "A page of another site may not use the admin port.");
    }

    /// <summary>A page of another port of this machine is a foreign page too.</summary>
    private static bool IsOwn(string origin, HttpRequest request) =>
        Uri.TryCreate(origin, UriKind.Absolute, out var from)
        && Uri.TryCreate($"{request.Scheme}://{request.Host}", UriKind.Absolute, out var here)
        && from.GetLeftPart(UriPartial.Authority) == here.GetLeftPart(UriPartial.Authority);
}
