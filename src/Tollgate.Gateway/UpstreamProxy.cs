using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway;

/// <summary>
/// Forwards admitted calls. The upstream gets the canonical path, who is calling, and no credential; the answer is
/// settled in the journal when its status is known, before its first byte leaves.
/// </summary>
internal sealed class UpstreamProxy : IDisposable
{
    private static readonly ForwarderRequestConfig s_config = new()
    {
        ActivityTimeout = TimeSpan.FromSeconds(60),
        Version = HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
    };

    private readonly IHttpForwarder _forwarder;
    private readonly HttpMessageInvoker _client;
    private readonly Transformer _transformer;

    public UpstreamProxy(IHttpForwarder forwarder, SettleCall settle)
    {
        _forwarder = forwarder;
        _transformer = new Transformer(settle);
        _client = new HttpMessageInvoker(new SocketsHttpHandler
        {
            UseProxy = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            UseCookies = false,
            EnableMultipleHttp2Connections = true,
            ActivityHeadersPropagator = new ReverseProxyPropagator(DistributedContextPropagator.Current),
            ConnectTimeout = TimeSpan.FromSeconds(15),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
        });
    }

    /// <summary>How a call ended; called once for each admitted call.</summary>
    /// <param name="status">The upstream's, or what we say in its place.</param>
    /// <param name="answered">True when the upstream gave the answer.</param>
    public delegate void SettleCall(GateCall call, int status, bool answered);

    /// <summary>Forwards, settles, and streams the answer back.</summary>
    /// <returns>Null when the upstream answered or the caller went away; else why there is no answer to give.</returns>
    public async Task<Verdict?> ForwardAsync(HttpContext context, GateCall call)
    {
        var api = call.Operation!.Api;
        var error = await _forwarder.SendAsync(context, api.Authority, _client, s_config, _transformer);
        if (error == ForwarderError.None || call.IsSettled) return null;
        var verdict = error switch
        {
            ForwarderError.RequestTimedOut => Verdict.UpstreamTimeout,
            ForwarderError.RequestCanceled or ForwarderError.RequestBodyCanceled => (Verdict?)null,
            _ => Verdict.UpstreamUnreachable,
        };

        // 499: the caller closed the connection before there was an answer
        _transformer.Settle(call, verdict is { } v ? VerdictForm.Of(v).Status : 499, answered: false);
        return context.Response.HasStarted ? null : verdict;
    }

    public void Dispose() => _client.Dispose();

    private sealed class Transformer(SettleCall settle) : HttpTransformer
    {
        /// <summary>What only the gate may say to the upstream; a caller's copies are removed.</summary>
        private static readonly string[] s_ours =
        [
            "X-Consumer-ID", "X-Consumer-Username", "X-Consumer-Custom-ID", "X-Consumer-Groups",
            "X-Credential-Identifier", "X-Anonymous-Consumer", "X-Request-Id", "X-Forwarded-For",
            "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "Forwarded",
        ];

        public SettleCall Settle { get; } = settle;

        public override async ValueTask TransformRequestAsync(
            HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix,
            CancellationToken cancellationToken)
        {
            await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
            var call = GateCall.Of(httpContext)!;
            var api = call.Operation!.Api;
            proxyRequest.RequestUri = TargetOf(call, api);
            var headers = proxyRequest.Headers;
            headers.Host = null;
            foreach (var name in s_ours) headers.Remove(name);
            foreach (var name in api.KeyHeaders) headers.Remove(name);
            if (CallerKey.AnyOurs(httpContext.Request.Headers.Authorization)) headers.Remove("Authorization");
            headers.TryAddWithoutValidation("X-Request-Id", call.RequestId);
            headers.TryAddWithoutValidation("X-Forwarded-For", httpContext.Connection.RemoteIpAddress?.ToString());
            headers.TryAddWithoutValidation("X-Forwarded-Proto", httpContext.Request.Scheme);
            headers.TryAddWithoutValidation("X-Forwarded-Host", httpContext.Request.Host.Value);
            SayWhoCalls(headers, ref call.Decision);
        }

        public override async ValueTask<bool> TransformResponseAsync(
            HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
        {
            var proceed = await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
            if (proxyResponse is null) return proceed;
            var call = GateCall.Of(httpContext)!;
            Settle(call, (int)proxyResponse.StatusCode, answered: true);
            RateHeaders.Write(httpContext.Response.Headers, call);
            return proceed;
        }

        /// <summary>The canonical path under the upstream's own, to the letter: nothing re-encodes it on the way.
        /// </summary>
        private static Uri TargetOf(GateCall call, CompiledApi api)
        {
            var text = call.Target.Text.AsSpan(call.Operation!.StripPrefix.Length);
            var slash = text.IsEmpty || text[0] != '/' ? "/" : "";
            return new Uri(string.Concat(string.Concat(api.Authority, api.BasePath, slash), text),
                new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        }

        private static void SayWhoCalls(System.Net.Http.Headers.HttpRequestHeaders headers, ref Decision decision)
        {
            if (decision.Consumer is not { } consumer || ReferenceEquals(consumer, ConsumerEntry.Anonymous))
            {
                headers.TryAddWithoutValidation("X-Anonymous-Consumer", "true");
                return;
            }

            headers.TryAddWithoutValidation("X-Consumer-ID", consumer.Id);
            headers.TryAddWithoutValidation("X-Consumer-Username", consumer.Username);
            if (consumer.CustomId is { } custom) headers.TryAddWithoutValidation("X-Consumer-Custom-ID", custom);
            if (decision.Plan is { } plan) headers.TryAddWithoutValidation("X-Consumer-Groups", plan.Name);
            if (decision.Credential is { } credential)
                headers.TryAddWithoutValidation("X-Credential-Identifier", credential.Id);
        }
    }
}
