using BenchmarkDotNet.Attributes;
using Tollgate.Gateway;

namespace Tollgate.Bench;

/// <summary>
/// The pieces of the hot path one by one, over a real node in a temporary folder: two limits, a durable journal, and as
/// many operations as the parameter says. The number of invocations is fixed: each decision writes two records, and all
/// of them fit into the first segment of the journal (no gate sees 3 million calls a second, and no disk would keep up).
/// </summary>
[MemoryDiagnoser]
[SimpleJob(launchCount: 1, warmupCount: 5, iterationCount: 7, invocationCount: 32_768)]
public class HotPathBenchmarks
{
    // two records of 64 bytes each: 128 MB of mapped journal
    private const int MostDecisions = 1_000_000;

    private DecisionRig _rig = null!;
    private int _decisions;

    [Params(10, 10_000)]
    public int Operations { get; set; }

    [GlobalSetup]
    public async Task SetUp() => _rig = await DecisionRig.OpenAsync(Operations);

    [GlobalCleanup]
    public async Task CleanUp() => await _rig.DisposeAsync();

    [Benchmark]
    public bool Read_the_path() => _rig.ReadPath();

    [Benchmark]
    public CompiledOperation? Match_the_operation() => _rig.Match();

    [Benchmark]
    public bool Hash_the_key() => _rig.Hash();

    /// <summary>Everything that decides and writes: the key's entry, the plan, two limits and a monthly quota, admitted,
    /// settled, the unit of the quota settled.</summary>
    [Benchmark]
    public ulong Decide_and_record()
    {
        if (++_decisions > MostDecisions)
            throw new InvalidOperationException($"More than {MostDecisions} decisions. The journal keeps two minutes of " +
                "calls, which at this pace is 15 GB. A job of the command line's own (--job, --inProcess) does not " +
                "take over the number of invocations: add --invocationCount 32768 --warmupCount 5 --iterationCount 7.");
        return _rig.DecideAndRecord();
    }
}
