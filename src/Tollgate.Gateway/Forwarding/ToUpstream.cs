using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// The request as the upstream gets it: the canonical path, the caller's headers without those of the connection, the
/// credential and what only the gate may say, and then what the gate says.
/// </summary>
internal static class ToUpstream
{
    public static void Write(HttpContext context, GateCall call, HttpRequestMessage request)
    {
        var api = call.Operation!.Api;
        request.RequestUri = call.Operation.Path.For(call.Target, call.Destination!, call.DestinationIndex);
        var incoming = context.Request;

        // a POST without a body says so: without a length the client would send it again when the upstream has closed
        // the connection that it reused
        if (request.Content is null && !IsSafe(incoming.Method)
            && context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false })
            AddEmpty(request, "Content-Length", "0");
        CopyHeaders(incoming, request, api);
        var headers = request.Headers;
        if (call.ContentType is { } type && request.Content is { } content)
        {
            content.Headers.Remove("Content-Type");
            content.Headers.TryAddWithoutValidation("Content-Type", type);
        }

        if (call.Operation.PreserveHost) headers.TryAddWithoutValidation("Host", incoming.Host.Value);

        // what must be read on its way must be readable
        if (call.Operation.Cost.ReadsBody)
        {
            headers.Remove("Accept-Encoding");
            headers.TryAddWithoutValidation("Accept-Encoding", "identity");
        }

        api.Forward.Request?.Apply(request);
        headers.TryAddWithoutValidation("X-Request-Id", call.RequestId);
        headers.TryAddWithoutValidation("X-Forwarded-For", context.Connection.RemoteIpAddress?.ToString());
        headers.TryAddWithoutValidation("X-Forwarded-Proto", incoming.Scheme);
        headers.TryAddWithoutValidation("X-Forwarded-Host", incoming.Host.Value);
        var who = new WhoCalls();
        var said = WhoCalls.Say(ref call.Decision, ref who);
        for (var i = 0; i < said; i++) headers.TryAddWithoutValidation(who[i].Name, who[i].Value);
    }

    private static void CopyHeaders(HttpRequest incoming, HttpRequestMessage request, CompiledApi api)
    {
        var named = incoming.Headers.Connection;
        var chunked = incoming.Headers.ContainsKey("Transfer-Encoding");
        foreach (var (name, value) in incoming.Headers)
        {
            if (name[0] == ':' || Connection.Owns(name) || Connection.Names(named, name)) continue;
            if (Withheld.Contains(name) || api.IsCredential(name)) continue;
            if (Connection.IsHost(name)) continue;
            if (Connection.IsLength(name))
            {
                // a length beside a transfer coding is no length (RFC 9112 6.3); the content knows its own
                if (chunked || request.Content?.Headers.Contains(name) == true) continue;
            }
            else if (Connection.IsAuthorization(name) && CallerKey.AnyOurs(value, api))
            {
                continue;
            }
            else if (api.CredentialCookies.Length > 0 && Connection.IsCookie(name))
            {
                var left = TokenPlaces.Without(value, api.CredentialCookies);
                if (left.Count > 0) Add(request, name, left);
                continue;
            }

            Add(request, name, value);
        }

        // all that may be said of TE across HTTP/2 (RFC 9113 8.2.2), and what gRPC needs said
        if (AsksForTrailers(incoming.Headers.TE)) request.Headers.TryAddWithoutValidation("TE", "trailers");
    }

    private static void Add(HttpRequestMessage request, string name, StringValues value)
    {
        var added = value.Count == 1
            ? request.Headers.TryAddWithoutValidation(name, value.ToString())
            : request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value);
        if (added) return;
        if (request.Content is null) AddEmpty(request, name, value);
        else request.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value);
    }

    /// <summary>A header of content for a request that has none. The forwarder takes no content but its own, so its own
    /// transformer makes the empty one that carries it.</summary>
    private static void AddEmpty(HttpRequestMessage request, string name, StringValues value)
    {
        var alone = new DefaultHttpContext();
        alone.Request.Headers[name] = value;
        var done = HttpTransformer.Default.TransformRequestAsync(alone, request, "", CancellationToken.None);
        Debug.Assert(done.IsCompletedSuccessfully, "The transformer of headers waits for nothing.");
    }

    private static bool AsksForTrailers(StringValues te)
    {
        foreach (var value in te)
            if (value is not null && value.Contains("trailers", StringComparison.OrdinalIgnoreCase)) return true;
        return false;
    }

    private static bool IsSafe(string method) =>
        HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsOptions(method)
        || HttpMethods.IsTrace(method) || HttpMethods.IsConnect(method);
}
