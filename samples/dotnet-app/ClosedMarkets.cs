using Tollgate.Gateway.Extensions;

namespace Quotes;

/// <summary>Code on the way of a call: a symbol that is not traded is answered here, and such a call is not billed.
/// </summary>
internal sealed class ClosedMarkets : IGateExtension
{
    public ValueTask<ExtensionAnswer?> OnCallAsync(GatedCall call, CancellationToken cancel) => new(
        call.Context.Request.Path.StartsWithSegments("/v1/quotes/CLOSED", StringComparison.Ordinal)
            ? new ExtensionAnswer(404, "This market is closed.\n")
            : null);

    public void OnAnswer(GatedCall call, HttpResponse answer) => answer.Headers["X-Plan"] = call.Plan;
}
