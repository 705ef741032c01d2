using Microsoft.AspNetCore.Http;

namespace Tollgate.Gateway.Extensions;

/// <summary>
/// Code of the operator's own on the way of a call, for what the configuration cannot say: a header for one upstream,
/// an answer from a cache, a check against a system of the house. Registered as a service of the program that calls
/// <c>AddTollgate()</c>; several run in the order of their registration.
/// <para>
/// It runs for calls that were admitted and are in the ledger, never for refusals: it can neither let a call in nor
/// keep one from being counted against its limits. One instance serves all calls at once.
/// </para>
/// </summary>
public interface IGateExtension
{
    /// <summary>After the call was admitted and written down, before it is forwarded.</summary>
    /// <param name="call">The call; headers that are set on its request reach the upstream, except those that only the
    /// gate may say.</param>
    /// <param name="cancel">Ends with the caller's connection, and after the extension time-out.</param>
    /// <returns>Null to go on; else the answer, which ends the call and is not billed.</returns>
    public ValueTask<ExtensionAnswer?> OnCallAsync(GatedCall call, CancellationToken cancel);

    /// <summary>Before the headers of the answer leave, whoever gave it; for changing them. What it throws is logged
    /// and counted, and the answer leaves as it is.</summary>
    public void OnAnswer(GatedCall call, HttpResponse answer)
    {
    }
}

/// <summary>An answer that an extension gives in place of the upstream. Never billed.</summary>
/// <param name="Status">200 to 599.</param>
/// <param name="Body">Text, sent as UTF-8; empty for none.</param>
public sealed record ExtensionAnswer(int Status, string Body = "", string ContentType = "text/plain; charset=utf-8");

/// <summary>What the gate knows of a call that it admitted.</summary>
public sealed class GatedCall
{
    private readonly GateCall _call;

    internal GatedCall(HttpContext context, GateCall call) => (Context, _call) = (context, call);

    public HttpContext Context { get; }

    /// <summary>The identity of the call's record in the ledger; the caller gets it as <c>X-Request-Id</c>.</summary>
    public string RequestId => _call.RequestId;

    /// <summary>Names as the configuration gives them.</summary>
    public string Api => _call.Operation!.Api.Name;

    public string Operation => _call.Operation!.Name;

    /// <summary>The path template of the operation.</summary>
    public string Endpoint => _call.Operation!.Endpoint;

    /// <summary>Empty for a call to an API that asks for no key.</summary>
    public string ConsumerId => _call.Decision.Consumer!.Id;

    public string Consumer => _call.Decision.Consumer!.Username;

    /// <summary>The plan that admitted the call; none where no plan was asked for.</summary>
    public string? Plan => _call.Decision.Plan?.Name;

    /// <summary>Of a request that the gate admitted; null for any other.</summary>
    public static GatedCall? Of(HttpContext context) =>
        GateCall.Of(context) is { Decision.Verdict: Verdict.Admit, Operation: not null } call ? new(context, call) : null;
}
