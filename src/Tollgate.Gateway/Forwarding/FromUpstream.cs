using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Tollgate.Gateway.Forwarding;

/// <summary>The status and the headers of an answer as the caller gets them; the gate's own are written over them.
/// </summary>
internal static class FromUpstream
{
    /// <param name="context">Of the caller.</param>
    /// <param name="answer">Of the upstream.</param>
    /// <param name="saysLimits">The gate tells of limits itself: what the upstream says of its own stays behind, as a
    /// caller could not tell the two apart.</param>
    public static void Write(HttpContext context, HttpResponseMessage answer, bool saysLimits)
    {
        var response = context.Response;
        response.StatusCode = (int)answer.StatusCode;
        if (context.Features.Get<IHttpResponseFeature>() is { } feature && HttpProtocol.IsHttp11(context.Request.Protocol))
            feature.ReasonPhrase = answer.ReasonPhrase;
        var headers = response.Headers;
        var named = Named(answer);
        var chunked = answer.Headers.NonValidated.Contains("Transfer-Encoding");
        foreach (var (name, value) in answer.Headers.NonValidated)
        {
            if (Connection.Owns(name) || Connection.Names(named, name) || (saysLimits && RateHeaders.Owns(name))) continue;
            headers[name] = Values(value);
        }

        foreach (var (name, value) in answer.Content.Headers.NonValidated)
        {
            // a length beside a transfer coding is no length, and an answer without content has none
            if (Connection.IsLength(name) && (chunked || response.StatusCode == StatusCodes.Status204NoContent)) continue;
            if (!Connection.Names(named, name)) headers[name] = Values(value);
        }

        // a server has no way to send them over HTTP/1.1, so none are promised
        if (!HttpProtocol.IsHttp2(context.Request.Protocol)) headers.Trailer = default;
    }

    /// <summary>What stands behind an answer, where the caller can be told; without what belongs to the connection, what the
    /// gate alone says, and what the upstream told the gate.</summary>
    public static void WriteTrailers(HttpContext context, HttpHeadersNonValidated trailers, GateCall call)
    {
        if (context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is not { IsReadOnly: false } outgoing) return;
        var saysLimits = RateHeaders.Says(call);
        foreach (var (name, value) in trailers)
        {
            if (Connection.Owns(name) || Connection.IsLength(name) || RateHeaders.IsRequestId(name)
                || (saysLimits && RateHeaders.Owns(name)) || call.Operation!.Api.TellsUnitsIn(name)) continue;
            outgoing[name] = Values(value);
        }
    }

    private static StringValues Named(HttpResponseMessage answer) =>
        answer.Headers.NonValidated.TryGetValues("Connection", out var values) ? Values(values) : default;

    private static StringValues Values(HeaderStringValues values) =>
        values.Count == 1 ? values.ToString() : values.ToArray();
}
