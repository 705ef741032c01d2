using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tollgate.Gateway.Cost;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// What YARP's forwarder asks about one call: the request that goes to the upstream (<see cref="ToUpstream"/>), and what
/// of the answer goes to the caller (<see cref="FromUpstream"/>), with the moment in which the call is settled.
/// </summary>
internal sealed class CallTransformer : HttpTransformer
{
    private readonly CostSettling _costs;
    private readonly Func<object, Task> _settleAtStart;

    public CallTransformer(CostSettling costs, UpstreamProxy.SettleCall settle)
    {
        _costs = costs;
        Settle = settle;
        _settleAtStart = state =>
        {
            var call = (GateCall)state;
            settle(call, call.UpstreamStatus, answered: true);
            return Task.CompletedTask;
        };
    }

    public UpstreamProxy.SettleCall Settle { get; }

    public override ValueTask TransformRequestAsync(
        HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix,
        CancellationToken cancellationToken)
    {
        ToUpstream.Write(httpContext, GateCall.Of(httpContext)!, proxyRequest);
        return ValueTask.CompletedTask;
    }

    /// <returns>False when there is nothing to pass on: the answer is none.</returns>
    public override ValueTask<bool> TransformResponseAsync(
        HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null) return new(false);
        var status = (int)proxyResponse.StatusCode;
        if (!IsAnswer(httpContext, status)) return new(false);
        FromUpstream.Write(httpContext, proxyResponse);
        var call = GateCall.Of(httpContext)!;
        var headers = httpContext.Response.Headers;
        call.Deadline?.Answered();
        call.UpstreamStatus = status;
        var ended = !call.IsGrpc || status != StatusCodes.Status200OK;
        if (!ended && headers["grpc-status"] is [{ } code])
        {
            call.UpstreamStatus = GrpcStatus.ToHttp(code);
            ended = true;
        }

        if (!_costs.Headers(httpContext, call)) _costs.Watch(httpContext, call, Settle);
        else if (ended) httpContext.Response.OnStarting(_settleAtStart, call);
        call.IsOpen = !ended;
        call.Operation!.Api.Forward.Response?.Apply(headers);
        call.Operation.Api.Cors?.Write(httpContext.Request, headers);
        RateHeaders.Write(headers, call);
        return new(true);
    }

    /// <summary>How a gRPC call ended is told last, and settled before the caller hears of it.</summary>
    public override async ValueTask TransformResponseTrailersAsync(
        HttpContext httpContext, HttpResponseMessage proxyResponse, CancellationToken cancellationToken)
    {
        var call = GateCall.Of(httpContext)!;
        if (call.IsOpen)
        {
            var told = proxyResponse.TrailingHeaders.NonValidated.TryGetValues("grpc-status", out var code);
            call.UpstreamStatus = told ? GrpcStatus.ToHttp(code.ToString()) : GrpcStatus.Missing;
            call.IsOpen = false;
            Settle(call, call.UpstreamStatus, answered: told);
        }

        await base.TransformResponseTrailersAsync(httpContext, proxyResponse, cancellationToken);
    }

    /// <summary>Statuses that HTTP does not have, and a switch of protocols that nobody asked for, are a broken
    /// upstream's.</summary>
    private static bool IsAnswer(HttpContext context, int status) => status == StatusCodes.Status101SwitchingProtocols
        ? context.Features.Get<IHttpUpgradeFeature>()?.IsUpgradableRequest == true
        : status is >= 200 and <= 599;
}
