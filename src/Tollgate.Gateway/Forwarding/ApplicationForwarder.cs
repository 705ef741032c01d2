using Microsoft.AspNetCore.Http;
using Tollgate.Gateway.Cost;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// Hands admitted calls to the application that the gate stands in, in place of an upstream. The application sees what
/// an upstream would: the canonical path, who is calling, and no credential; the call is settled when its answer begins.
/// </summary>
internal sealed class ApplicationForwarder
{
    private readonly RequestDelegate _next;
    private readonly CostSettling _costs;
    private readonly UpstreamProxy.SettleCall _settle;
    private readonly Func<object, Task> _atStart;

    public ApplicationForwarder(RequestDelegate next, CostSettling costs, UpstreamProxy.SettleCall settle)
    {
        (_next, _costs, _settle) = (next, costs, settle);
        _atStart = async state =>
        {
            var context = (HttpContext)state;
            var call = GateCall.Of(context)!;
            call.UpstreamStatus = context.Response.StatusCode;
            if (costs.Headers(context, call))
            {
                await costs.MakeRoomAsync(call);
                settle(call, call.UpstreamStatus, answered: true);
            }

            call.Operation!.Api.Forward.Response?.Apply(context.Response.Headers);
            call.Operation.Api.Cors?.Write(context.Request, context.Response.Headers);
            RateHeaders.Write(context.Response.Headers, call);
        };
    }

    /// <summary>Runs the rest of the application. What it throws is its own: the call is settled as failed by whoever
    /// called this, and is not billed.</summary>
    public async Task ForwardAsync(HttpContext context, GateCall call)
    {
        Present(context.Request, call);
        context.Response.OnStarting(_atStart, context);
        _costs.Watch(context, call, _settle);
        await _next(context);
        call.IsWhole = true;
        // an answer without a body has not started yet
        if (context.Response.HasStarted || !context.RequestAborted.IsCancellationRequested)
            _settle(call, context.Response.StatusCode, answered: true);
        else
            _settle(call, StatusCodes.Status499ClientClosedRequest, answered: false);
    }

    /// <summary>One reading of the path, and only the gate's word on who calls.</summary>
    private static void Present(HttpRequest request, GateCall call)
    {
        var headers = request.Headers;
        var api = call.Operation!.Api;
        List<string>? gone = null;
        foreach (var (name, value) in headers)
        {
            if (Withheld.Contains(name) || api.IsCredential(name)
                || (Connection.IsAuthorization(name) && CallerKey.AnyOurs(value, api))) (gone ??= []).Add(name);
        }

        foreach (var name in gone ?? []) headers.Remove(name);
        if (api.CredentialCookies.Length > 0) headers.Cookie = TokenPlaces.Without(headers.Cookie, api.CredentialCookies);
        request.Path = PathString.FromUriComponent(call.Target.Path.ToString());
        headers["X-Request-Id"] = call.RequestId;
        var who = new WhoCalls();
        var said = WhoCalls.Say(ref call.Decision, ref who);
        for (var i = 0; i < said; i++) headers[who[i].Name] = who[i].Value;
    }
}
