using System.Diagnostics;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway;

/// <summary>
/// Forwards admitted calls. The upstream gets the canonical path, who is calling, and no credential; the call is
/// settled in the journal when its answer begins, before the first byte of it leaves.
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

            // headers are bytes to us: what came in goes out
            RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1,
            ResponseHeaderEncodingSelector = (_, _) => Encoding.Latin1,
        });
    }

    /// <summary>How a call ended; called once for each admitted call.</summary>
    /// <param name="status">The upstream's, or what we say in its place.</param>
    /// <param name="answered">True when the upstream gave the answer.</param>
    public delegate void SettleCall(GateCall call, int status, bool answered);

    /// <summary>Forwards, settles, and streams the answer back.</summary>
    /// <returns>Null when the upstream's answer is on its way or the caller went away; else why there is none.</returns>
    public async Task<Verdict?> ForwardAsync(HttpContext context, GateCall call)
    {
        // a POST without a body says so: without a length the client below would send it again when the upstream has
        // closed the connection that it reused
        if (!IsSafe(context.Request.Method)
            && context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false })
            context.Request.ContentLength = 0;
        var error = await _forwarder.SendAsync(context, call.Operation!.Api.Authority, _client, s_config, _transformer);
        if (error == ForwarderError.None && call.UpstreamStatus != 0)
        {
            // an answer without a body has not started yet
            _transformer.Settle(call, call.UpstreamStatus, answered: true);
            return null;
        }

        // what the caller has seen the beginning of was settled when it began
        if (context.Response.HasStarted) return null;
        Verdict? verdict = error switch
        {
            ForwarderError.RequestTimedOut => Verdict.UpstreamTimeout,
            ForwarderError.RequestBodyClient => Verdict.RequestUnreadable,
            _ when context.RequestAborted.IsCancellationRequested => null,
            ForwarderError.RequestCanceled or ForwarderError.RequestBodyCanceled => null,
            _ => Verdict.UpstreamUnreachable,
        };

        // 499: the caller closed the connection before there was an answer
        _transformer.Settle(call, verdict is { } v ? VerdictForm.Of(v).Status : 499, answered: false);
        return verdict;
    }

    public void Dispose() => _client.Dispose();

    private static bool IsSafe(string method) =>
        HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsOptions(method)
        || HttpMethods.IsTrace(method) || HttpMethods.IsConnect(method);

    private sealed class Transformer : HttpTransformer
    {
        private readonly Func<object, Task> _settleAtStart;

        public Transformer(SettleCall settle)
        {
            Settle = settle;
            _settleAtStart = state =>
            {
                var call = (GateCall)state;
                settle(call, call.UpstreamStatus, answered: true);
                return Task.CompletedTask;
            };
        }

        public SettleCall Settle { get; }

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
            foreach (var (name, _) in httpContext.Request.Headers)
                if (Withheld.Contains(name)) headers.Remove(name);
            foreach (var name in api.CredentialHeaders) headers.Remove(name);
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
            var status = (int)proxyResponse.StatusCode;
            if (!IsAnswer(httpContext, status)) return false;
            if (status == StatusCodes.Status204NoContent) httpContext.Response.ContentLength = null;
            var call = GateCall.Of(httpContext)!;
            call.UpstreamStatus = status;
            httpContext.Response.OnStarting(_settleAtStart, call);
            RateHeaders.Write(httpContext.Response.Headers, call);
            return proceed;
        }

        /// <summary>Statuses that HTTP does not have, and a switch of protocols that nobody asked for, are a broken
        /// upstream's.</summary>
        private static bool IsAnswer(HttpContext context, int status) => status == StatusCodes.Status101SwitchingProtocols
            ? context.Features.Get<IHttpUpgradeFeature>()?.IsUpgradableRequest == true
            : status is >= 200 and <= 599;

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
            headers.TryAddWithoutValidation("X-Consumer-Username", consumer.UsernameHeader);
            if (consumer.CustomIdHeader is { } custom) headers.TryAddWithoutValidation("X-Consumer-Custom-ID", custom);
            if (decision.Plan is { } plan) headers.TryAddWithoutValidation("X-Consumer-Groups", plan.Name);
            if (decision.Credential is { } credential)
                headers.TryAddWithoutValidation("X-Credential-Identifier", credential.Id);
        }
    }
}
