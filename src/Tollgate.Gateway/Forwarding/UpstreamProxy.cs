using Microsoft.AspNetCore.Http;
using Tollgate.Gateway.Cost;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// Forwards admitted calls. The upstream gets the canonical path, who is calling, and no credential; the call is
/// settled in the journal when its answer begins, before the first byte of it leaves.
/// </summary>
internal sealed class UpstreamProxy : IDisposable
{
    private static readonly ForwarderRequestConfig s_config = new()
    {
        ActivityTimeout = TimeSpan.FromSeconds(60),
        Version = System.Net.HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
    };

    private readonly IHttpForwarder _forwarder;
    private readonly HttpMessageInvoker _client = UpstreamClient.Create();
    private readonly CallTransformer _transformer;

    public UpstreamProxy(IHttpForwarder forwarder, CostSettling costs, SettleCall settle)
    {
        _forwarder = forwarder;
        _transformer = new CallTransformer(costs, settle);
    }

    /// <summary>How a call ended; called once for each admitted call.</summary>
    /// <param name="status">The upstream's, or what we say in its place.</param>
    /// <param name="answered">True when the upstream gave the answer.</param>
    public delegate void SettleCall(GateCall call, int status, bool answered);

    /// <summary>Forwards, settles, and streams the answer back.</summary>
    /// <returns>Null when the upstream's answer is on its way or the caller went away; else why there is none.</returns>
    public async Task<Verdict?> ForwardAsync(HttpContext context, GateCall call)
    {
        var error = await _forwarder.SendAsync(
            context, call.Operation!.Api.Authority, _client, s_config, _transformer);
        if (error == ForwarderError.None && call.UpstreamStatus != 0)
        {
            // an answer without a body has not started yet; one that had to be read to its end has its last byte left
            _transformer.Settle(call, call.UpstreamStatus, answered: true);
            return null;
        }

        // what the caller has seen the beginning of was settled when it began, or costs what was delivered of it
        if (context.Response.HasStarted)
        {
            if (call.UpstreamStatus != 0) _transformer.Settle(call, call.UpstreamStatus, answered: true);
            return null;
        }

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
}
