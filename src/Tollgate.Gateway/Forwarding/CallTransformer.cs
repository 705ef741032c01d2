using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tollgate.Gateway.Cost;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway.Forwarding;

/// <summary>How calls are settled, by their answers.</summary>
internal sealed class Settling
{
    public Settling(CostSettling costs, UpstreamProxy.SettleCall settle)
    {
        Costs = costs;
        Settle = settle;
        AtStart = state =>
        {
            var call = (GateCall)state;
            settle(call, call.UpstreamStatus, answered: true);
            return Task.CompletedTask;
        };
    }

    public CostSettling Costs { get; }

    public UpstreamProxy.SettleCall Settle { get; }

    /// <summary>For an answer that begins.</summary>
    public Func<object, Task> AtStart { get; }
}

/// <summary>
/// What YARP's forwarder asks about one call: the request that goes to the upstream (<see cref="ToUpstream"/>), and what
/// of the answer goes to the caller (<see cref="FromUpstream"/>), with the moment in which the call is settled. One for each
/// call: finding the call by its request would cost more.
/// </summary>
internal sealed class CallTransformer(Settling settling, GateCall call) : HttpTransformer
{
    public override ValueTask TransformRequestAsync(
        HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix,
        CancellationToken cancellationToken)
    {
        ToUpstream.Write(httpContext, call, proxyRequest);
        return ValueTask.CompletedTask;
    }

    /// <returns>False when there is nothing to pass on: the answer is none.</returns>
    public override ValueTask<bool> TransformResponseAsync(
        HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null) return new(false);
        var status = (int)proxyResponse.StatusCode;
        if (!IsAnswer(httpContext, status)) return new(false);
        FromUpstream.Write(httpContext, proxyResponse, RateHeaders.Says(call));
        var headers = httpContext.Response.Headers;
        call.Deadline?.Answered();
        call.UpstreamStatus = status;
        var ended = !call.IsGrpc || status != StatusCodes.Status200OK;
        if (!ended && headers["grpc-status"] is [{ } code])
        {
            call.UpstreamStatus = GrpcStatus.ToHttp(code);
            ended = true;
        }

        var isKnown = settling.Costs.Headers(httpContext, call);
        if (!isKnown) settling.Costs.Watch(httpContext, call, settling.Settle);
        else if (ended) httpContext.Response.OnStarting(settling.AtStart, call);
        call.IsOpen = !ended;
        call.Operation!.Api.Forward.Response?.Apply(headers);
        call.Operation.Api.Cors?.Write(httpContext.Request, headers);
        RateHeaders.Write(headers, call);
        return isKnown && call.Operation.Cost.IsHeld ? WithRoomAsync() : new(true);
    }

    private async ValueTask<bool> WithRoomAsync()
    {
        await settling.Costs.MakeRoomAsync(call);
        return true;
    }

    /// <summary>How a gRPC call ended is told last, and settled before the caller hears of it. So are units that the upstream
    /// tells behind its answer.</summary>
    public override ValueTask TransformResponseTrailersAsync(
        HttpContext httpContext, HttpResponseMessage proxyResponse, CancellationToken cancellationToken)
    {
        var trailers = HasTrailers(proxyResponse) ? proxyResponse.TrailingHeaders.NonValidated : default;
        if (trailers.Count > 0) settling.Costs.Trailers(call, trailers);
        if (call.IsOpen)
        {
            var told = trailers.TryGetValues("grpc-status", out var code);
            call.UpstreamStatus = told ? GrpcStatus.ToHttp(code.ToString()) : GrpcStatus.Missing;
            call.IsOpen = false;
            if (call.Cost is { Operation.IsHeld: true }) return SettleWithRoomAsync(httpContext, trailers, told);
            settling.Settle(call, call.UpstreamStatus, answered: told);
        }

        if (trailers.Count > 0) FromUpstream.WriteTrailers(httpContext, trailers, call);
        return ValueTask.CompletedTask;
    }

    private async ValueTask SettleWithRoomAsync(HttpContext context, HttpHeadersNonValidated trailers, bool told)
    {
        await settling.Costs.MakeRoomAsync(call);
        settling.Settle(call, call.UpstreamStatus, answered: told);
        FromUpstream.WriteTrailers(context, trailers, call);
    }

    /// <summary>In HTTP/1.1 only an answer in chunks can have trailers (RFC 9112 7.1.2); asking for them makes a collection.
    /// </summary>
    private static bool HasTrailers(HttpResponseMessage answer) =>
        answer.Version.Major > 1 || answer.Headers.NonValidated.Contains("Transfer-Encoding");

    /// <summary>Statuses that HTTP does not have, and a switch of protocols that nobody asked for, are a broken
    /// upstream's.</summary>
    private static bool IsAnswer(HttpContext context, int status) => status == StatusCodes.Status101SwitchingProtocols
        ? context.Features.Get<IHttpUpgradeFeature>()?.IsUpgradableRequest == true || Connection.OpensWebSocket(context)
        : status is >= 200 and <= 599;
}
