using BenchmarkDotNet.Attributes;
using Tollgate.Metering;

namespace Tollgate.Bench;

/// <summary>
/// What writing down one call costs: two records, in mapped pages of a real file. The number of invocations is fixed, so
/// that all of them fit into the first segment.
/// </summary>
[MemoryDiagnoser]
[SimpleJob(launchCount: 1, warmupCount: 3, iterationCount: 7, invocationCount: 32_768)]
public class JournalBenchmarks
{
    private static readonly Admission s_admission = new()
    {
        AdmittedAt = 1_768_000_000_000_000, Entitlement = 1, Period = 0, Consumer = 1, Operation = 1, Credential = 1, Method = 1,
    };

    private string _folder = "";
    private UsageJournal _journal = null!;

    [GlobalSetup]
    public void SetUp()
    {
        _folder = Directory.CreateTempSubdirectory("tollgate-bench-").FullName;
        _journal = UsageJournal.Open(Path.Combine(_folder, "journal"), new JournalOptions(), TimeProvider.System);
    }

    [GlobalCleanup]
    public void CleanUp()
    {
        _journal.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Reserve, admit and settle.</summary>
    [Benchmark]
    public bool Call()
    {
        if (!_journal.TryReserve()) return false;
        var id = _journal.AppendAdmitted(s_admission);
        _journal.AppendSettled(new Settlement
        {
            AdmissionSequence = id.Sequence, Admission = s_admission, Status = 200, Billable = true, Quantity = 1, LatencyMicros = 100,
        });
        return true;
    }
}
