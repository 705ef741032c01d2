using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway.Cost;
using Tollgate.Gateway.Extensions;
using Tollgate.Gateway.Forwarding;
using Tollgate.Gateway.Routing;
using Tollgate.Metering;
using Tollgate.Storage;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway;

/// <summary>
/// The way of a request: canonical path, operation, key, decision, record, forward, settle. Everything that can be
/// refused is refused before anything is written or sent.
/// </summary>
public sealed class GateHandler : IDisposable
{
    private static readonly Func<object, Task> s_commit = journal => ((UsageJournal)journal).CommitAsync();

    /// <summary>How often a call asks for what others are quicker to spend.</summary>
    private const int MostLeases = 50;

    private readonly GateTable _table;
    private readonly Gate _gate;
    private readonly ApiKeys _keys;
    private readonly UsageJournal _journal;
    private readonly GateMetrics _metrics;
    private readonly Clocks _clocks;
    private readonly CostSettling _costs;
    private readonly UpstreamProxy _proxy;
    private readonly ApplicationForwarder? _application;
    private readonly GateExtensions? _extensions;
    private readonly bool _isInApplication;
    private long _refusals;

    public GateHandler(
        GateTable table, ApiKeys keys, UsageJournal journal, GateMetrics metrics, Clocks clocks, IHttpForwarder forwarder)
    {
        _table = table;
        _gate = new Gate(table, journal);
        _keys = keys;
        _journal = journal;
        _metrics = metrics;
        _clocks = clocks;
        _costs = new CostSettling(journal, metrics, clocks.Machine, () => table.Leases);
        _proxy = new UpstreamProxy(forwarder, clocks.Machine, _costs, Settle, () => _table.Snapshot.Apis);
    }

    /// <summary>What serves the APIs whose upstream is the application itself.</summary>
    public RequestDelegate Application
    {
        init => (_application, _isInApplication) = (new ApplicationForwarder(value, _costs, Settle), true);
    }

    public GateExtensions Extensions { init => _extensions = value.Any ? value : null; }

    public void Dispose() => _proxy.Dispose();

    public Task HandleAsync(HttpContext context) => HttpMethods.IsOptions(context.Request.Method)
        && _table.Snapshot is { AnswersPreflights: true } snapshot && Cors.TryAnswer(context, snapshot)
            ? Task.CompletedTask : CallAsync(context);

    private async Task CallAsync(HttpContext context)
    {
        var call = Decide(context);
        if (_table.Leases is { } leases && call.Decision.Pool is not null) await HoldAsync(context, call, leases);
        if (call.Decision.Verdict is Verdict.QuotaExhausted or Verdict.CreditExhausted or Verdict.SpendCapReached
            && call.Operation!.Cost.FreeRetries > 0) await RepeatAsync(context, call);
        if (call.Decision.IsStale) _metrics.Stale(call.Decision.Plan is { ClosedWhenStale: true });
        Conclude(context, call);
        if (call.Decision.Verdict != Verdict.Admit)
        {
            await RefuseAsync(context, call);
            return;
        }

        // registered first, so it runs last: after what settles the call when its answer begins
        if (_journal.IsStrict && !call.Decision.IsUnrecorded) context.Response.OnStarting(s_commit, _journal);
        try
        {
            _costs.Begin(context, call);
            if (call.IsGrpc) GrpcStatus.Streams(context.Request, call);
            if (await ForwardAsync(context, call) is { } failure)
            {
                call.Decision.Verdict = failure;
                await RefuseAsync(context, call);
            }

            // an answer of unknown length is over, and not settled yet
            if (!call.IsSettled) await _costs.MakeRoomAsync(call);

            // what had to be read to its end has its last byte left
            if (_journal.IsStrict && call.Cost?.Body is not null && !call.Decision.IsUnrecorded) await _journal.CommitAsync();
        }
        finally
        {
            // whatever went wrong on the way: what was admitted is settled, or its place in the journal is lost
            var begun = call.UpstreamStatus != 0 && context.Response.HasStarted;
            Settle(call, begun ? call.UpstreamStatus : StatusCodes.Status500InternalServerError, answered: begun);
            Gate.Release(ref call.Decision);
            _costs.End(context, call);
            _metrics.Observe(call, MethodOf(context), _clocks.Machine.GetElapsedTime(call.StartedAt));
        }
    }

    /// <returns>Null when an answer is on its way or the caller went away; else why there is none.</returns>
    private ValueTask<Verdict?> ForwardAsync(HttpContext context, GateCall call) =>
        _extensions is null && !call.Operation!.Api.IsApplication
            ? _proxy.ForwardAsync(context, call) : ExtendAsync(context, call);

    private async ValueTask<Verdict?> ExtendAsync(HttpContext context, GateCall call)
    {
        if (_extensions is not null)
        {
            switch (await _extensions.RunAsync(context, call, status => Settle(call, status, answered: false)))
            {
                case ExtensionOutcome.Answered: return null;
                case ExtensionOutcome.Failed: return Verdict.ExtensionFailed;
                default: break;
            }
        }

        if (!call.Operation!.Api.IsApplication) return await _proxy.ForwardAsync(context, call);
        if (_application is null) return Verdict.UpstreamUnreachable;
        await _application.ForwardAsync(context, call);
        return null;
    }

    /// <summary>All checks.</summary>
    private GateCall Decide(HttpContext context)
    {
        var startedAt = _clocks.Machine.GetTimestamp();
        var now = Micros.Now(_clocks.Business);
        var request = context.Request;
        var raw = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var readable = CanonicalPath.TryRead(raw, request.Host.Value, out var target);
        var snapshot = _table.Snapshot;
        var method = MethodOf(context);
        var operation = readable && IsMethod(method) ? snapshot.Match(method, target.Path, request.Host) : null;
        var call = new GateCall
        {
            Target = target,
            Operation = operation,
            KeyQueries = snapshot.KeyQueries,
            StartedAt = startedAt,
            Now = now,
        };
        // only code around the gate asks for it, and it makes the server look all other features up again
        if (_isInApplication) context.Features.Set(call);
        ref var decision = ref call.Decision;
        decision.Measures = operation?.Cost.Meters.Length ?? 0;
        call.IsGrpc = GrpcStatus.IsGrpc(request);
        if (operation is not null) decision.Otherwise = Otherwise(context, operation.Api);
        if (operation is null)
            decision.Verdict = readable ? Verdict.NoRoute : Verdict.PathAmbiguous;
        else if (!operation.Api.Asks(method))
            _gate.DecideAnonymous(operation, ref decision);
        else
            DecideByKey(snapshot, request, call);
        return call;
    }

    /// <summary>Where limits are shared: waits for a lease where there is none, and decides again.</summary>
    private async Task HoldAsync(HttpContext context, GateCall call, Leases leases)
    {
        for (var tries = 0; call.Decision is { NeedsLease: true } or { NeedsCredit: true } && tries < MostLeases; tries++)
        {
            Sharer? sharer = call.Decision.NeedsLease ? call.Decision.Pool : call.Decision.Consumer!.Customer?.Shared;
            if (sharer is not null) await leases.WaitAsync(sharer);
            // it is let in now, and not when it came: another window may have begun
            call.Now = Math.Max(call.Now, Micros.Now(_clocks.Business));
            DecideByKey(_table.Snapshot, context.Request, call);
        }

        if (call.Decision.RenewsLease) _ = leases.AskAsync(call.Decision.Pool!, soon: true);
        if (call.Decision.RenewsCredit && call.Decision.Consumer!.Customer?.Shared is { } shared) _ = leases.AskAsync(shared);
        if (call.Decision.Alone > Sharing.Leased) leases.Degraded(call.Decision.Alone);
    }

    /// <summary>Decides again about a call that costs nothing, since it is a repetition of a broken one.</summary>
    private async Task RepeatAsync(HttpContext context, GateCall call)
    {
        if (!await _costs.IsFreeAsync(context, call)) return;
        call.Decision.Shortage = null;
        call.Decision.IsFree = true;
        DecideByKey(_table.Snapshot, context.Request, call);
        if (_table.Leases is { } leases && call.Decision.Pool is not null) await HoldAsync(context, call, leases);
        if (call.Decision.Verdict != Verdict.Admit) _costs.Retries.GiveBack(call.Repeatable!);
    }

    /// <summary>The record of the admission, or the number of the refusal.</summary>
    private void Conclude(HttpContext context, GateCall call)
    {
        if (call.Decision.Verdict != Verdict.Admit)
        {
            call.RequestId = NextRefusalId();
            return;
        }

        if (!call.Target.Query.IsEmpty && call.KeyQueries.Length > 0) QueryKey.Strip(context.Request, call, call.KeyQueries);
        Record(call, MethodOf(context));
    }

    /// <summary>What an API says of a call that nothing else refuses.</summary>
    private static Verdict Otherwise(HttpContext context, CompiledApi api)
    {
        if (api.Forward.MaxBody is { } most)
        {
            if (!BodyLimit.Allows(context.Request, most)) return Verdict.BodyTooLarge;
            BodyLimit.Set(context, most);
        }

        return api.Answer is null ? Verdict.Admit : Verdict.RequestTerminated;
    }

    /// <summary>Methods are case-sensitive (RFC 9110 9.1), and clients on the way to an upstream capitalise them all the
    /// same: <c>get</c> would be gated as one method and served as another, so it is none. Neither is CONNECT: it asks for a
    /// tunnel, and a gate is none.</summary>
    internal static bool IsMethod(string method) => !method.AsSpan().ContainsAnyInRange('a', 'z') && method is not "CONNECT";

    /// <summary>A WebSocket is asked for by CONNECT over HTTP/2 (RFC 8441); it is the GET that it is over HTTP/1.1.</summary>
    private static string MethodOf(HttpContext context) => context.Request.Method is not "CONNECT" and var method ? method
        : Connection.OpensWebSocket(context) ? HttpMethods.Get : HttpMethods.Connect;

    private void DecideByKey(GateSnapshot snapshot, HttpRequest request, GateCall call)
    {
        ref var decision = ref call.Decision;
        var operation = call.Operation!;
        decision.Verdict = CallerKey.Find(request.Headers, call.Target.Query, operation.Api, out var key);
        var address = Caller.AddressOf(request.HttpContext.Connection.RemoteIpAddress);
        if (decision.Verdict == Verdict.KeyMissing && _table.AnonymousOf(operation.Api) is { } anonymous)
        {
            _gate.Decide(snapshot, operation, anonymous, call.Now, address, ref decision);
            return;
        }

        if (decision.Verdict != Verdict.Admit) return;
        if (key.IsToken)
        {
            decision.Verdict = _table.FindByToken(operation.Api, key.Text, call.Now, out var bearer);
            if (bearer is not null) _gate.Decide(snapshot, operation, bearer, call.Now, address, ref decision);
            return;
        }

        Span<byte> hash = stackalloc byte[ApiKeys.HashLength];
        if (_keys.TryHash(key.Text, hash)) _gate.Decide(snapshot, operation, hash, call.Now, address, ref decision);
        else decision.Verdict = Verdict.KeyUnknown;
    }

    private void Record(GateCall call, string method)
    {
        ref var decision = ref call.Decision;
        call.Admission = new Admission
        {
            AdmittedAt = decision.AdmittedAt(call.Now),
            Entitlement = decision.Entitlement?.Key ?? 0,
            Period = decision.Period,
            Consumer = decision.Consumer!.Key,
            Operation = call.Operation!.Key,
            Credential = Math.Max(0, decision.Credential?.Key ?? 0),
            Method = MethodCode.Of(method),
        };
        if (decision.IsUnrecorded)
        {
            call.RequestId = NextRefusalId();
            return;
        }

        call.Record = _journal.AppendAdmitted(call.Admission);
        call.RequestId = call.Record.ToString();
    }

    /// <summary>Writes how the call ended, once. Billed is what the upstream answered with a status that the plan bills
    /// (below 500 unless it says otherwise); a call that never got an answer, and everything refused, costs nothing.
    /// </summary>
    private void Settle(GateCall call, int status, bool answered)
    {
        if (!call.TrySettle()) return;
        call.IsBilled = answered && CostSettling.Bills(call, status);
        var billable = answered && CostSettling.IsBillable(call, status);
        var (units, unused) = _costs.Settle(call, billable);
        var latency = _clocks.Machine.GetElapsedTime(call.StartedAt).TotalMicroseconds;
        var sequence = _journal.NextSequence;
        if (call.Decision.IsUnrecorded) _table.Unrecorded!.End(call, billable ? units : 0);
        else
        {
            sequence = _journal.AppendSettled(new Settlement
            {
                AdmissionSequence = call.Record.Sequence,
                Admission = call.Admission,
                Status = (ushort)status,
                Billable = billable,
                Quantity = units,
                LatencyMicros = (uint)Math.Min(latency, uint.MaxValue),
            }, unused);
        }

        Gate.Settle(ref call.Decision, call.Operation!, billable ? units : 0, call.Cost is { } cost ? cost.Spent : default, sequence);
    }

    private Task RefuseAsync(HttpContext context, GateCall call)
    {
        _metrics.Refused(call.Decision.Verdict);
        return Refusal.WriteAsync(context, call);
    }

    /// <summary>Refusals have identities of their own, outside the billing sequence: the highest bit is set.</summary>
    private string NextRefusalId() => new RecordId(
        _journal.Id, _journal.Boot, (1UL << 63) | (ulong)Interlocked.Increment(ref _refusals)).ToString();
}
