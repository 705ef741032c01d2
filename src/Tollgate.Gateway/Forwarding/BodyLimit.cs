using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tollgate.Gateway.Cost;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway.Forwarding;

/// <summary>The most bytes that a request's body may have. A length that says more is refused before anything is taken; a body
/// without a length is cut where it becomes longer, and costs nothing.</summary>
internal static class BodyLimit
{
    public static bool Allows(HttpRequest request, long most) => request.ContentLength is not { } length || length <= most;

    /// <summary>Counts a body that does not say its length. The server's own count will not do: it counts the frames around
    /// the chunks as well.</summary>
    public static void Set(HttpContext context, long most)
    {
        if (context.Request.ContentLength is null
            && context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: false }
            && context.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true })
            context.Request.Body = new LimitedBody(context.Request.Body, most);
    }

    /// <summary>Whether forwarding failed because the body went on beyond the limit.</summary>
    public static bool IsReached(HttpContext context)
    {
        for (var e = context.Features.Get<IForwarderErrorFeature>()?.Exception; e is not null; e = e.InnerException)
        {
            if (e is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }) return true;
            if (e is AggregateException { InnerExceptions: { } all }
                && all.Any(i => i is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge })) return true;
        }

        return false;
    }
}
