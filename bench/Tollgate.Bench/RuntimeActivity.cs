using System.Diagnostics.Tracing;
using System.Globalization;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;
using Microsoft.Diagnostics.Tracing.Parsers;

namespace Tollgate.Bench;

/// <summary>
/// What a .NET runtime did meanwhile, as it tells whoever asks (<c>System.Runtime</c>). Asked in turns of their own:
/// listening costs a little CPU.
/// </summary>
/// <param name="AllocatedBytes">On the heap of the collector.</param>
/// <param name="BehindCalls">Of that, by threads for work behind the calls; told by samples, one for each 100 kB.</param>
/// <param name="Compiled">Methods that the JIT compiled, each of its tiers for itself.</param>
internal sealed record RuntimeActivity(double AllocatedBytes, double BehindCalls, double Compiled)
{
    private static readonly TimeSpan OneInterval = TimeSpan.FromSeconds(1.5);

    /// <summary>Runs the load, and says what the runtime of the process did under it.</summary>
    public static async Task<(RuntimeActivity Activity, WrkResult Seen)> UnderAsync(
        int processId, Func<Task<WrkResult>> load, CancellationToken stop)
    {
        var client = new DiagnosticsClient(processId);
        var provider = new EventPipeProvider("System.Runtime", EventLevel.Informational, -1,
            new Dictionary<string, string> { ["EventCounterIntervalSec"] = "1" });
        var samples = new EventPipeProvider(
            ClrTraceEventParser.ProviderName, EventLevel.Verbose, (long)ClrTraceEventParser.Keywords.GC);
        using var session = await client.StartEventPipeSessionAsync(
            [provider, samples], requestRundown: false, circularBufferMB: 64, stop);
        var bytes = 0.0;
        var byThread = new Dictionary<int, double>();
        var compiled = new List<double>();
        var listening = Task.Run(() =>
        {
            using var source = new EventPipeEventSource(session.EventStream);
            source.Dynamic.All += e =>
            {
                if (e.EventName != "EventCounters" || e.PayloadValue(0) is not IDictionary<string, object> outer) return;
                var counter = (IDictionary<string, object>)outer["Payload"];
                switch ((string)counter["Name"])
                {
                    case "alloc-rate": bytes += Number(counter["Increment"]); break;
                    case "methods-jitted-count": compiled.Add(Number(counter["Mean"])); break;
                    default: break;
                }
            };
            source.Clr.GCAllocationTick += tick =>
                byThread[tick.ThreadID] = byThread.GetValueOrDefault(tick.ThreadID) + tick.AllocationAmount64;
            source.Process();
        }, stop);
        await Task.Delay(OneInterval, TimeProvider.System, stop);
        var seen = await load();
        // the last interval ends after the load
        await Task.Delay(OneInterval, TimeProvider.System, stop);
        await session.StopAsync(stop);
        await listening;
        var behind = byThread.Where(t => ProcessTree.IsBehindCalls(processId, t.Key)).Sum(t => t.Value);
        var share = byThread.Count == 0 ? 0 : behind / byThread.Values.Sum();
        return (new RuntimeActivity(bytes, bytes * share, compiled.Count == 0 ? 0 : compiled[^1] - compiled[0]), seen);
    }

    private static double Number(object value) => Convert.ToDouble(value, CultureInfo.InvariantCulture);
}
