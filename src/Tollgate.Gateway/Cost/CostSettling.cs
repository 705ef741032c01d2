using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tollgate.Catalog;
using Tollgate.Gateway.Forwarding;
using Tollgate.Metering;

namespace Tollgate.Gateway.Cost;

/// <summary>
/// Finds out what calls cost while they pass, and writes it down. A call whose status and headers say all is settled
/// when its answer begins; one that must be read to its end, when it ends, and in parts if that takes long.
/// </summary>
/// <param name="leases">Of limits that nodes share; null where each counts for itself.</param>
internal sealed class CostSettling(
    UsageJournal journal, GateMetrics metrics, TimeProvider machine, Func<Leases?>? leases = null)
{
    /// <summary>How often a call asks for what others are quicker to spend.</summary>
    private const int MostLeases = 20;

    /// <summary>Broken calls that may be repeated for nothing.</summary>
    public FreeRetries Retries { get; } = new(machine, metrics);

    /// <summary>How long a call is under way before a part of it is settled, machine time.</summary>
    public static readonly TimeSpan PartEvery = TimeSpan.FromMinutes(1);

    /// <summary>Bytes of a body that are read to find out whether a refused call is a repetition.</summary>
    private const int MostRead = 64 * 1024;

    private readonly Action<UnitFault> _fault = metrics.UnitFault;
    private readonly Action<string, double> _overrun = metrics.Overrun;

    /// <summary>Before the call is forwarded. Costs nothing where one call is one unit.</summary>
    public void Begin(HttpContext context, GateCall call)
    {
        var operation = call.Operation!.Cost;
        if (operation.FreeRetries > 0) BeginRepeatable(context, call);
        if (operation.Meters.Length == 0) return;
        call.Cost = new CallCost(operation, _fault) { PartAt = machine.GetTimestamp() };
        if (operation.CountsRequest) context.Request.Body = new CountedBody(context.Request.Body, call.Cost);
    }

    /// <summary>Looks at the body of the answer where a meter wants it.</summary>
    public void Watch(HttpContext context, GateCall call, UpstreamProxy.SettleCall settle)
    {
        if (call.Cost is not { Operation.NeedsEnd: true } cost) return;
        cost.Body = new MeteredBody(context.Response, cost, WholeAsync, () => Part(call))
        {
            Cuts = cost.Operation.CutsOverrun ? () => !IsCovered(call) : null,
            Room = cost.Operation.IsHeld && leases?.Invoke() is not null ? () => MakeRoomAsync(call) : null,
        };
        context.Response.Body = cost.Body;

        Task WholeAsync()
        {
            settle(call, call.UpstreamStatus, answered: true);
            return journal.IsStrict && !call.Decision.IsUnrecorded ? journal.CommitAsync() : Task.CompletedTask;
        }
    }

    /// <summary>Where limits are shared: leases what a call used beyond what is set aside for it, before it is settled.
    /// </summary>
    public ValueTask MakeRoomAsync(GateCall call) => call.Cost is { Operation.IsHeld: true }
        && leases?.Invoke() is { IsAway: false } of && !call.IsSettled && call.UpstreamStatus != 0
        && !IsCovered(call)
            ? LeaseAsync(call, of) : ValueTask.CompletedTask;

    private static async ValueTask LeaseAsync(GateCall call, Leases of)
    {
        for (var tries = 0; call.Decision is { NeedsLease: true } or { NeedsCredit: true } && tries < MostLeases; tries++)
        {
            Sharer? sharer = call.Decision.NeedsLease ? call.Decision.Pool : call.Decision.Consumer!.Customer?.Shared;
            if (sharer is not null) await of.WaitAsync(sharer);
            if (IsCovered(call)) return;
        }
    }

    /// <summary>When status and headers of the answer are set: takes the upstream's word off.</summary>
    /// <returns>Whether the call can be settled when the answer begins.</returns>
    public bool Headers(HttpContext context, GateCall call)
    {
        var response = context.Response;
        foreach (var name in call.Operation!.Api.UnitsHeaders)
        {
            if (!response.Headers.Remove(name, out var lines)) continue;
            call.Cost ??= new CallCost(call.Operation.Cost, _fault);
            call.Cost.ReadHeader(lines);
        }

        if (call.Repeatable is { } repeatable && Bills(call, call.UpstreamStatus)) Retries.TryClaim(repeatable);
        return !call.Operation.Cost.NeedsEnd || !HasBody(context);
    }

    /// <summary>Units that the upstream tells behind its answer: they count where that is not settled before, of gRPC and of what is
    /// read to its end.</summary>
    public void Trailers(GateCall call, HttpHeadersNonValidated trailers)
    {
        foreach (var name in call.Operation!.Api.UnitsHeaders)
        {
            if (!trailers.TryGetValues(name, out var values)) continue;
            if (call.IsSettled)
            {
                _fault(UnitFault.Late);
                continue;
            }

            call.Cost ??= new CallCost(call.Operation.Cost, _fault);
            foreach (var line in values) call.Cost.ReadHeader(line);
        }
    }

    /// <summary>A call that found no room, though it may be the repetition of a broken one: then it needs none. Its body
    /// is read before, as far as that is little.</summary>
    /// <returns>Whether it is to be decided again, as one that costs nothing.</returns>
    public async ValueTask<bool> IsFreeAsync(HttpContext context, GateCall call)
    {
        BeginRepeatable(context, call);
        if (call.Repeatable is not { } repeatable || !Retries.Knows(repeatable)) return false;
        if (repeatable.BodyHash() is null)
        {
            if (context.Request.ContentLength is not (> 0 and <= MostRead)) return false;
            var body = new MemoryStream((int)context.Request.ContentLength);
            try
            {
                await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // a caller who goes away is refused like any other
                return false;
            }

            body.Position = 0;
            context.Request.Body = body;
        }

        return Retries.TryClaim(repeatable);
    }

    /// <summary>The call is over: a billed one whose answer was not delivered may be repeated.</summary>
    public void End(HttpContext context, GateCall call)
    {
        if (call.Repeatable is not { } repeatable) return;
        if (!call.IsBilled) Retries.GiveBack(repeatable);
        else Retries.End(repeatable, call.IsWhole && !context.RequestAborted.IsCancellationRequested,
            call.Operation!.Cost.FreeRetries);
    }

    private static void BeginRepeatable(HttpContext context, GateCall call)
    {
        if (call.Repeatable is not null) return;
        var hasBody = context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: false };
        call.Repeatable = RepeatableCall.Of(context.Request, call, hasBody);
        if (hasBody && call.Repeatable is not null)
            context.Request.Body = new HashedBody(context.Request.Body, call.Repeatable);
    }

    /// <summary>Writes what a call used on meters beside <c>calls</c>; called once, just before its settlement.</summary>
    /// <returns>Its units of <c>calls</c>, and how many reserved records it did not need.</returns>
    public (long Calls, int Unused) Settle(GateCall call, bool billable)
    {
        if (call.Cost is not { } cost) return (call.Operation!.Cost.Weight, 0);
        if (!billable)
        {
            cost.Free(nothingSetAside: call.Decision.IsFree);
            return (cost.Calls, cost.Operation.Meters.Length);
        }

        // an upstream that says no has nothing to measure
        if (call.UpstreamStatus < StatusCodes.Status400BadRequest) cost.Body?.End();
        if (cost.Operation.IsHeld) cost.Hold(call, toTheEnd: true, _overrun);
        return (cost.Calls, cost.Settle(call.Decision.IsUnrecorded ? null : journal, call.Record.Sequence, call.Admission));
    }

    /// <summary>Whether an answer of this status costs something.</summary>
    public static bool IsBillable(GateCall call, int status) =>
        call.Repeatable is not { IsClaimed: true } && Bills(call, status);

    /// <summary>Whether the plan of a call bills an answer of this status.</summary>
    public static bool Bills(GateCall call, int status) =>
        (call.Decision.Plan?.Billable ?? StatusSet.Below500).Contains(status);

    /// <summary>Whether there is room for what was used so far; else the answer ends here.</summary>
    private static bool IsCovered(GateCall call) => !IsBillable(call, call.UpstreamStatus)
        || call.UpstreamStatus >= StatusCodes.Status400BadRequest || call.Cost!.Hold(call, toTheEnd: false);

    private void Part(GateCall call)
    {
        var cost = call.Cost!;
        if (call.Decision.IsUnrecorded || machine.GetElapsedTime(cost.PartAt) < PartEvery || !IsBillable(call, call.UpstreamStatus)) return;
        cost.PartAt = machine.GetTimestamp();
        cost.SettlePart(journal, call);
    }

    private static bool HasBody(HttpContext context) => !HttpMethods.IsHead(context.Request.Method)
        && context.Response.StatusCode is not (StatusCodes.Status204NoContent or StatusCodes.Status304NotModified
            or StatusCodes.Status101SwitchingProtocols)
        && context.Response.ContentLength != 0;
}
