using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tollgate.Config;
using Tollgate.Gateway.Cost;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// Forwards admitted calls. The upstream gets the canonical path, who is calling, and no credential; the call is
/// settled in the journal when its answer begins, before the first byte of it leaves.
/// </summary>
internal sealed class UpstreamProxy : IDisposable
{
    private const int MostClients = 100;

    private readonly IHttpForwarder _forwarder;
    private readonly ConcurrentDictionary<(int Connect, UpstreamTls? Tls), HttpMessageInvoker> _clients = new();
    private readonly PreservedHosts _hosts;
    private readonly Settling _settling;
    private readonly Balances _balances;
    private readonly HealthChecks _checks;
    private readonly TimeProvider _machine;
    private readonly Func<CompiledApi[]> _apis;

    /// <param name="forwarder">YARP's.</param>
    /// <param name="machine">Paces health and time limits.</param>
    /// <param name="costs">What finds out what calls cost.</param>
    /// <param name="settle">Told how each ended.</param>
    /// <param name="apis">Those of this moment.</param>
    public UpstreamProxy(
        IHttpForwarder forwarder, TimeProvider machine, CostSettling costs, SettleCall settle, Func<CompiledApi[]> apis)
    {
        _forwarder = forwarder;
        _machine = machine;
        _apis = apis;
        _balances = new Balances(machine);
        _hosts = new PreservedHosts(machine);
        _settling = new Settling(costs, settle);
        _checks = new HealthChecks(apis, _balances, ClientFor, machine);
    }

    /// <summary>How a call ended; called once for each admitted call.</summary>
    /// <param name="status">The upstream's, or what we say in its place.</param>
    /// <param name="answered">True when the upstream gave the answer.</param>
    public delegate void SettleCall(GateCall call, int status, bool answered);

    /// <summary>Forwards, settles, and streams the answer back. A call is admitted and settled once, however often it
    /// is sent.</summary>
    /// <returns>Null when the upstream's answer is on its way or the caller went away; else why there is none.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Verdict?> ForwardAsync(HttpContext context, GateCall call)
    {
        var transformer = new CallTransformer(_settling, call);
        var api = call.Operation!.Api;
        var balance = _balances.Of(api);
        for (var sent = 1; ; sent++)
        {
            var target = balance.Next(call.Destination);
            (call.Destination, call.DestinationIndex) = (api.Targets[target], target);
            var error = await SendAsync(context, call, balance, transformer);
            if (error == ForwarderError.None && call.UpstreamStatus != 0)
            {
                balance.Report(target, call.UpstreamStatus is not (502 or 503 or 504));
                call.IsWhole = true;
                // an answer without a body has not started yet; one that had to be read has its last byte left
                _settling.Settle(call, call.UpstreamStatus, answered: !call.IsOpen);
                return null;
            }

            var verdict = VerdictOf(context, error, call);
            // what the caller has seen the beginning of was settled then, or costs what was delivered of it
            if (context.Response.HasStarted)
            {
                if (call.IsOpen) call.UpstreamStatus = verdict is null ? 499 : GrpcStatus.Missing;
                if (call.UpstreamStatus != 0) _settling.Settle(call, call.UpstreamStatus, answered: true);
                return null;
            }

            // a caller who takes longer over its body than a call may says nothing about the server; who asks for a WebSocket over
            // HTTP/2 where there is none gets no answer, though the server gave one
            if (verdict is Verdict.UpstreamUnreachable or Verdict.UpstreamTimeout && !call.IsSlow
                && !(call.UpstreamStatus != 0 && HttpMethods.IsConnect(context.Request.Method)))
                balance.Report(target, answered: false);
            if (error is ForwarderError.Request or ForwarderError.RequestTimedOut or ForwarderError.RequestCanceled
                && verdict is not null && sent <= api.Retries && MayRepeat(context) && !IsOver(api, call))
            {
                context.Response.Clear();
                continue;
            }

            call.UpstreamFault = UpstreamFault.Of(context.Features.Get<IForwarderErrorFeature>()?.Exception);
            // 499: the caller closed the connection before there was an answer
            _settling.Settle(call, verdict is { } v ? VerdictForm.Of(v).Status : 499, answered: false);
            return verdict;
        }
    }

    /// <summary>Where nothing needs ending, this is the forwarder's own task.</summary>
    private ValueTask<ForwarderError> SendAsync(
        HttpContext context, GateCall call, Balance balance, CallTransformer transformer)
    {
        var rules = call.Operation!.Api.Forward;
        // over http the client does not look at the host
        if (call.Operation.PreserveHost && rules.Tls is not null && !_hosts.MayPool(context.Request.Host.Host, call.Operation.Hosts))
            return SendAloneAsync(context, call, balance, transformer);
        return rules.HasDeadline || balance.Counts
            ? SendWatchedAsync(context, call, balance, transformer, ClientOf(balance, rules))
            : _forwarder.SendAsync(
                context, call.Destination!.Authority, ClientOf(balance, rules), rules.Config, transformer);
    }

    /// <summary>By a client of its own, whose connection ends with the call.</summary>
    private async ValueTask<ForwarderError> SendAloneAsync(
        HttpContext context, GateCall call, Balance balance, CallTransformer transformer)
    {
        var rules = call.Operation!.Api.Forward;
        var connect = TimeSpan.FromMilliseconds(rules.Timeouts.Connect);
        using var client = UpstreamClient.Create(connect, balance.Handshake ??= new UpstreamHandshake(rules.Tls!));
        return await SendWatchedAsync(context, call, balance, transformer, client);
    }

    private async ValueTask<ForwarderError> SendWatchedAsync(
        HttpContext context, GateCall call, Balance balance, CallTransformer transformer, HttpMessageInvoker client)
    {
        var rules = call.Operation!.Api.Forward;
        var hasBody = rules.HasDeadline && HasBody(context);
        using var deadline = rules.HasDeadline ? new Deadline(rules, _machine, call.StartedAt, hasBody) : null;
        if (hasBody) context.Request.Body = new TimedBody(context.Request.Body, deadline!);
        call.Deadline = deadline;
        balance.Begin(call.DestinationIndex);
        try
        {
            return await _forwarder.SendAsync(context, call.Destination!.Authority, client, rules.Config,
                transformer, deadline?.Token ?? CancellationToken.None);
        }
        finally
        {
            if (deadline is { Passed: true }) (call.IsLate, call.IsSlow) = (true, deadline.IsSending);
            call.Deadline = null;
            balance.End(call.DestinationIndex);
        }
    }

    private HttpMessageInvoker ClientOf(Balance balance, ForwardRules rules) =>
        balance.Client ??= ClientFor(rules.Timeouts.Connect, rules.Tls);

    /// <summary>One for each time limit of connecting and each trust; they share nothing.</summary>
    private HttpMessageInvoker ClientFor(int connect, UpstreamTls? tls)
    {
        if (_clients.TryGetValue((connect, tls), out var client)) return client;
        if (_clients.Count >= MostClients) ForgetClients();
        // odd limits beyond a hundred share one that is longer
        if (_clients.Count >= MostClients) connect = UpstreamTimeouts.Most;
        return _clients.GetOrAdd((connect, tls), of => UpstreamClient.Create(TimeSpan.FromMilliseconds(of.Connect), of.Tls));
    }

    /// <summary>Those that no API asks for any more. They are not disposed of, since calls may be under way on them.</summary>
    private void ForgetClients()
    {
        var used = _apis().SelectMany(a => (int?[])[a.Forward.Timeouts.Connect, a.Forward.Health?.Timeout], (a, ms) => (ms, a.Forward.Tls))
            .ToHashSet();
        foreach (var of in _clients.Keys.Where(k => !used.Contains((k.Connect, k.Tls)))) _clients.TryRemove(of, out _);
    }

    /// <summary>Whether the whole call has had its time, so that it is not sent again.</summary>
    private bool IsOver(CompiledApi api, GateCall call) => api.Forward.Timeouts.Total is { } total
        && _machine.GetElapsedTime(call.StartedAt).TotalMilliseconds >= total;

    private static Verdict? VerdictOf(HttpContext context, ForwarderError error, GateCall call) => error switch
    {
        _ when call.Cost?.Body is { IsCut: true } => Gate.ShortOf(ref call.Decision),
        _ when call.IsLate => Verdict.UpstreamTimeout,
        ForwarderError.RequestTimedOut => Verdict.UpstreamTimeout,
        ForwarderError.RequestBodyClient => BodyLimit.IsReached(context) ? Verdict.BodyTooLarge : Verdict.RequestUnreadable,
        // before the next: the forwarder has closed the caller's connection for it, so it looks as if the caller had gone
        ForwarderError.ResponseBodyDestination => Verdict.UpstreamUnreachable,
        _ when context.RequestAborted.IsCancellationRequested => null,
        ForwarderError.RequestCanceled or ForwarderError.RequestBodyCanceled => null,
        _ when BodyLimit.IsReached(context) => Verdict.BodyTooLarge,
        _ when IsConnectTimeout(context) => Verdict.UpstreamTimeout,
        _ => Verdict.UpstreamUnreachable,
    };

    /// <summary>The client says so by a cancellation that nobody asked for.</summary>
    private static bool IsConnectTimeout(HttpContext context) =>
        context.Features.Get<IForwarderErrorFeature>()?.Exception is { } e && (e is TimeoutException || e.InnerException is TimeoutException
            || e.InnerException?.InnerException is TimeoutException);

    /// <summary>Methods that mean the same when they come twice (RFC 9110 9.2.2), and no body that is gone by now.
    /// </summary>
    private static bool MayRepeat(HttpContext context) =>
        context.Request.Method is "GET" or "HEAD" or "OPTIONS" or "PUT" or "DELETE"
        && !CanHaveBody(context);

    private static bool CanHaveBody(HttpContext context) =>
        context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: false };

    /// <summary>One that ends: what a WebSocket sends is none.</summary>
    private static bool HasBody(HttpContext context) => CanHaveBody(context) && !Connection.OpensWebSocket(context)
        && context.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true };

    public void Dispose()
    {
        _checks.Dispose();
        foreach (var client in _clients.Values) client.Dispose();
    }
}
