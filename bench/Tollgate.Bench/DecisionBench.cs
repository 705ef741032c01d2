using System.CommandLine;
using System.Runtime;
using System.Runtime.InteropServices;

namespace Tollgate.Bench;

/// <summary>
/// What a decision with its two records costs, with small errors: so many decisions, no more, in batches that are each measured
/// by the CPU time of this thread. What else the machine does between its turns is not in it, and the median of the batches does
/// not see the few in which something else was in the caches.
/// </summary>
internal static partial class DecisionBench
{
    private const int Batch = 20_000, WarmUp = 1_000, MostWarmUps = 200;
    private const int ThreadCpuTime = 3;

    public static Command Create()
    {
        var operations = new Option<int>("--operations") { Description = "Operations of the API", DefaultValueFactory = _ => 10 };
        var batches = new Option<int>("--batches") { Description = $"Of {Batch:N0} decisions, 3 to 40", DefaultValueFactory = _ => 31 };
        batches.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 3 or > 40) result.AddError("--batches must be from 3 to 40");
        });
        var keys = new Option<int>("--keys")
        {
            Description = "Keys, each of a customer of its own: above 1 every one calls for the first time, then for the second",
            DefaultValueFactory = _ => 1,
        };
        keys.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is not 1 and (< Batch or > 1_000_000))
                result.AddError($"--keys must be 1, or from {Batch:N0} to 1,000,000");
        });
        var command = new Command("decision", "CPU time and bytes of a decision with its records in the journal")
        {
            operations, batches, keys,
        };
        command.SetAction((parsed, _) => RunAsync(parsed.GetValue(operations), parsed.GetValue(batches), parsed.GetValue(keys)));
        return command;
    }

    private static async Task<int> RunAsync(int operations, int batches, int keys)
    {
        await using var rig = await DecisionRig.OpenAsync(operations, keys);
        // short ones, with time between them in which the last tier is compiled, until nothing is
        var (quiet, compiled) = (0, JitInfo.GetCompiledMethodCount());
        for (var n = 0; n < MostWarmUps && quiet < 10; n++)
        {
            Measure(rig, WarmUp);
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System);
            var now = JitInfo.GetCompiledMethodCount();
            quiet = now == compiled ? quiet + 1 : 0;
            compiled = now;
        }

        var what = $"{operations} operations";
        if (keys == 1)
        {
            Say(what, [.. Enumerable.Range(0, batches).Select(_ => Measure(rig, Batch))]);
            return 0;
        }

        // in an order that no cache can guess; the first one has called already
        int[] order = [.. Enumerable.Range(1, keys - 1)];
        Random.Shared.Shuffle(order);
        var parts = order.Chunk(Batch).Where(c => c.Length == Batch).Take(batches).ToArray();
        var few = order[..10];
        Say($"{what}, 10 keys", [.. parts.Select(_ => Measure(rig, Batch, few))]);
        foreach (var turn in new[] { "first", "second", "third" })
            Say($"{what}, {keys:N0} keys, the {turn} call of each", [.. parts.Select(p => Measure(rig, Batch, p))]);
        return 0;
    }

    private static void Say(string what, IReadOnlyCollection<(double Nanoseconds, long Bytes)> measured)
    {
        var times = measured.Select(m => m.Nanoseconds).Order().ToArray();
        Console.WriteLine($"{what}: {times[times.Length / 2]:F0} ns of CPU a decision with its two records (median of " +
            $"{times.Length} batches of {Batch:N0}; quarters {times[times.Length / 4]:F0} and {times[times.Length * 3 / 4]:F0}, least " +
            $"{times[0]:F0}), {measured.Select(m => m.Bytes).Order().ElementAt(times.Length / 2) / (double)Batch:F2} bytes");
    }

    private static (double Nanoseconds, long Bytes) Measure(DecisionRig rig, int decisions, int[]? keys = null)
    {
        keys ??= [0];
        var bytes = GC.GetAllocatedBytesForCurrentThread();
        var began = CpuNanoseconds();
        for (int i = 0, at = 0; i < decisions; i++)
        {
            rig.DecideAndRecord(keys[at]);
            if (++at == keys.Length) at = 0;
        }

        var nanoseconds = (CpuNanoseconds() - began) / (double)decisions;
        return (nanoseconds, GC.GetAllocatedBytesForCurrentThread() - bytes);
    }

    private static long CpuNanoseconds()
    {
        if (GetTime(ThreadCpuTime, out var time) != 0) throw new BenchException("the clock of the thread cannot be read");
        return (time.Seconds * 1_000_000_000L) + time.Nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int GetTime(int clock, out Time time);

    [StructLayout(LayoutKind.Sequential)]
    private struct Time
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
