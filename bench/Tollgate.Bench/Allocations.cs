using System.Diagnostics.Tracing;
using System.Globalization;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;

namespace Tollgate.Bench;

/// <summary>
/// How many bytes a .NET process allocates while it is under load, as its runtime tells whoever asks
/// (<c>System.Runtime</c>, <c>alloc-rate</c>). Asked in a turn of its own: listening costs a little CPU.
/// </summary>
internal static class Allocations
{
    private static readonly TimeSpan OneInterval = TimeSpan.FromSeconds(1.5);

    /// <returns>Bytes for each answer, and what the load generator saw.</returns>
    public static async Task<(double Bytes, WrkResult Seen)> PerRequestAsync(Peer peer, Load load, CancellationToken stop)
    {
        var client = new DiagnosticsClient(peer.ProcessId);
        var provider = new EventPipeProvider("System.Runtime", EventLevel.Informational, -1,
            new Dictionary<string, string> { ["EventCounterIntervalSec"] = "1" });
        using var session = await client.StartEventPipeSessionAsync(
            [provider], requestRundown: false, circularBufferMB: 16, stop);
        var bytes = 0.0;
        var listening = Task.Run(() =>
        {
            using var source = new EventPipeEventSource(session.EventStream);
            source.Dynamic.All += e =>
            {
                if (e.EventName != "EventCounters" || e.PayloadValue(0) is not IDictionary<string, object> outer) return;
                var counter = (IDictionary<string, object>)outer["Payload"];
                if ((string)counter["Name"] == "alloc-rate")
                    bytes += Convert.ToDouble(counter["Increment"], CultureInfo.InvariantCulture);
            };
            source.Process();
        }, stop);
        await Task.Delay(OneInterval, TimeProvider.System, stop);
        var seen = await Wrk.RunAsync(load, peer.Address, stop);
        // the last interval ends after the load
        await Task.Delay(OneInterval, TimeProvider.System, stop);
        await session.StopAsync(stop);
        await listening;
        return (bytes / Math.Max(1, seen.Requests), seen);
    }
}
