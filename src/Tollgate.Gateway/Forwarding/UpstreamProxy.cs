using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
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
    private readonly Balances _balances;

    public UpstreamProxy(
        IHttpForwarder forwarder, TimeProvider machine, CostSettling costs, SettleCall settle)
    {
        _forwarder = forwarder;
        _balances = new Balances(machine);
        _transformer = new CallTransformer(costs, settle);
    }

    /// <summary>How a call ended; called once for each admitted call.</summary>
    /// <param name="status">The upstream's, or what we say in its place.</param>
    /// <param name="answered">True when the upstream gave the answer.</param>
    public delegate void SettleCall(GateCall call, int status, bool answered);

    /// <summary>Forwards, settles, and streams the answer back. A call is admitted and settled once, however often it
    /// is sent.</summary>
    /// <returns>Null when the upstream's answer is on its way or the caller went away; else why there is none.</returns>
    public async Task<Verdict?> ForwardAsync(HttpContext context, GateCall call)
    {
        var api = call.Operation!.Api;
        var balance = _balances.Of(api);
        for (var sent = 1; ; sent++)
        {
            var target = balance.Next(call.Destination);
            call.Destination = api.Targets[target];
            var error = await _forwarder.SendAsync(
                context, call.Destination.Authority, _client, s_config, _transformer);
            if (error == ForwarderError.None && call.UpstreamStatus != 0)
            {
                balance.Report(target, call.UpstreamStatus is not (502 or 503 or 504));
                // an answer without a body has not started yet; one that had to be read has its last byte left
                _transformer.Settle(call, call.UpstreamStatus, answered: true);
                return null;
            }

            // what the caller has seen the beginning of was settled then, or costs what was delivered of it
            if (context.Response.HasStarted)
            {
                if (call.UpstreamStatus != 0) _transformer.Settle(call, call.UpstreamStatus, answered: true);
                return null;
            }

            var verdict = VerdictOf(context, error);
            if (verdict is Verdict.UpstreamUnreachable or Verdict.UpstreamTimeout) balance.Report(target, answered: false);
            if (error == ForwarderError.Request && verdict is not null && sent <= api.Retries && MayRepeat(context))
            {
                context.Response.Clear();
                continue;
            }

            // 499: the caller closed the connection before there was an answer
            _transformer.Settle(call, verdict is { } v ? VerdictForm.Of(v).Status : 499, answered: false);
            return verdict;
        }
    }

    private static Verdict? VerdictOf(HttpContext context, ForwarderError error) => error switch
    {
        ForwarderError.RequestTimedOut => Verdict.UpstreamTimeout,
        ForwarderError.RequestBodyClient => Verdict.RequestUnreadable,
        _ when context.RequestAborted.IsCancellationRequested => null,
        ForwarderError.RequestCanceled or ForwarderError.RequestBodyCanceled => null,
        _ => Verdict.UpstreamUnreachable,
    };

    /// <summary>Methods that mean the same when they come twice (RFC 9110 9.2.2), and no body that is gone by now.
    /// </summary>
    private static bool MayRepeat(HttpContext context) =>
        context.Request.Method is "GET" or "HEAD" or "OPTIONS" or "PUT" or "DELETE"
        && context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false };

    public void Dispose() => _client.Dispose();
}
