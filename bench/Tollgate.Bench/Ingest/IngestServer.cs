using System.Globalization;
using System.Text.Json;

namespace Tollgate.Bench;

/// <summary>The running server, sent to and watched.</summary>
internal sealed class IngestServer(LedgerRig rig) : IDisposable
{
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromMinutes(20) };

    public async Task<IngestRun> RunAsync(string name, TimeSpan time, int connections, int rate, CancellationToken stop)
    {
        var tag = string.Create(CultureInfo.InvariantCulture, $"r{TimeProvider.System.GetTimestamp() % 1_000_000:D6}");
        var senders = Enumerable.Range(0, connections).Select(i => new EventSender(rig.Admin, tag, i)).ToArray();
        try
        {
            var (cpu, written) = (ProcessTree.Cpu(rig.ProcessId), Kernel("io", "write_bytes:"));
            var began = TimeProvider.System.GetTimestamp();
            var sending = senders.Select(s => Task.Factory.StartNew(() => s.Run(time, (double)rate / connections, stop), stop,
                TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
            var (resident, anonymous) = await WatchAsync(Task.WhenAll(sending), stop);
            var sent = TimeProvider.System.GetElapsedTime(began);
            var behind = await BehindAsync(stop);
            var until = CountedAsync(stop);
            var (later, laterAnonymous) = await WatchAsync(until, stop);
            var run = new IngestRun
            {
                Name = name,
                Sending = sent,
                Accepted = senders.Sum(s => s.Seen.Accepted),
                Once = senders.Sum(s => s.Seen.Once),
                Later = senders.Sum(s => s.Seen.Later),
                Slowest = senders.Max(s => s.Seen.Slowest),
                Behind = behind,
                CatchingUp = TimeProvider.System.GetElapsedTime(began) - sent,
                Cpu = ProcessTree.Cpu(rig.ProcessId) - cpu,
                MostResident = Math.Max(resident, later),
                MostAnonymous = Math.Max(anonymous, laterAnonymous),
                Written = Kernel("io", "write_bytes:") - written,
            };
            Console.WriteLine($"{name}: {run.AcceptedPerSecond:N0}/s accepted, {run.Behind:N0} behind, caught up after " +
                $"{run.CatchingUp.TotalSeconds:N1} s, {run.CountedPerSecond:N0}/s counted, {run.MostAnonymous >> 20} MiB");
            return run;
        }
        finally
        {
            foreach (var sender in senders) sender.Dispose();
        }
    }

    /// <summary>Events in the sums.</summary>
    public async Task<long> CountedAsync(CancellationToken stop)
    {
        using var usage = JsonDocument.Parse(await _http.GetStringAsync(new Uri(rig.Admin, "/v1/usage?meter=storage"), stop));
        return (long)(usage.RootElement.GetProperty("data").EnumerateArray()
            .Sum(r => decimal.Parse(r.GetProperty("value").GetString()!, CultureInfo.InvariantCulture)) / EventSender.Quantity);
    }

    public void Dispose() => _http.Dispose();

    private async Task<long> BehindAsync(CancellationToken stop)
    {
        var text = await _http.GetStringAsync(new Uri(rig.Admin, "/metrics"), stop);
        var line = text.Split('\n').First(l => l.StartsWith("tollgate_drain_lag_records ", StringComparison.Ordinal));
        return (long)double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    private async Task<(long Resident, long Anonymous)> WatchAsync(Task work, CancellationToken stop)
    {
        var (resident, anonymous) = (0L, 0L);
        while (true)
        {
            resident = Math.Max(resident, 1024 * Kernel("status", "VmRSS:"));
            anonymous = Math.Max(anonymous, 1024 * Kernel("status", "RssAnon:"));
            if (work.IsCompleted) break;
            await Task.WhenAny(work, Task.Delay(TimeSpan.FromMilliseconds(250), TimeProvider.System, stop));
        }

        await work;
        return (resident, anonymous);
    }

    private long Kernel(string file, string label) => long.Parse(
        File.ReadLines($"/proc/{rig.ProcessId}/{file}").First(l => l.StartsWith(label, StringComparison.Ordinal))[label.Length..]
            .Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture);
}
