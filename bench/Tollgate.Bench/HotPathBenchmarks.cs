using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.Logging.Abstractions;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway;
using Tollgate.Gateway.Routing;
using Tollgate.Metering;

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
    private const string Key = "key_2";
    private const string Target = "/v1/premium/analytics";

    // two records of 64 bytes each: 128 MB of mapped journal
    private const int MostDecisions = 1_000_000;

    private readonly byte[] _hash = new byte[ApiKeys.HashLength];
    private readonly string _target = Target;
    private string _folder = "";
    private TollgateNode _node = null!;
    private Gate _gate = null!;
    private CompiledOperation _operation = null!;
    private int _decisions;

    [Params(10, 10_000)]
    public int Operations { get; set; }

    [GlobalSetup]
    public async Task SetUp()
    {
        _folder = Directory.CreateTempSubdirectory("tollgate-bench-").FullName;
        var file = Path.Combine(_folder, "tollgate.yaml");
        var others = Enumerable.Range(0, Operations - 1).Select(i => $"      o{i}: GET /v1/other/{i}/{{id}}");
        await File.WriteAllTextAsync(file, $$"""
            version: 1
            currency: USD
            apis:
              bench:
                upstream: http://127.0.0.1:9
                operations:
                  analytics: GET {{Target}}
            {{string.Join('\n', others)}}
            plans:
              pro:
                operations: ["*"]
                limits: [1_000_000_000/minute, 1_000_000_000/hour]
                quotas: [{ meter: calls, allowance: 1_000_000_000, per: month }]
            """);
        _node = await TollgateNode.OpenAsync(
            new TollgateOptions { Data = Path.Combine(_folder, "data"), ConfigFile = file }, NullLogger.Instance);
        await _node.Database.WriteAsync(async db =>
        {
            var customer = await _node.Customers.AddAsync(db, "bench", Currency.Usd, "UTC", ManagedBy.Api);
            var consumer = await _node.Consumers.AddAsync(db, "bench", null, customer!.Key, ManagedBy.Api);
            await _node.Consumers.AddCredentialAsync(db, consumer!.Key, _node.Keys.Hash(Key)!, "…", ManagedBy.Api);
            _ = (await _node.Subscriptions.StartAsync(db, new NewSubscription(customer, "pro", ManagedBy.Api))).Value;
        });
        await _node.Table.LoadAsync();
        _node.Keys.TryHash(Key, _hash);
        _gate = new Gate(_node.Table, _node.Journal);
        _operation = _node.Table.Snapshot.Match("GET", Target)!;
    }

    [GlobalCleanup]
    public async Task CleanUp()
    {
        await _node.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Benchmark]
    public bool Read_the_path() => CanonicalPath.TryRead(_target, "localhost", out _);

    [Benchmark]
    public CompiledOperation? Match_the_operation() => _node.Table.Snapshot.Match("GET", Target);

    [Benchmark]
    public bool Hash_the_key() => _node.Keys.TryHash(Key, _hash);

    /// <summary>Everything that decides and writes: the key's entry, the plan, two limits and a monthly quota, admitted,
    /// settled, the unit of the quota settled.</summary>
    [Benchmark]
    public ulong Decide_and_record()
    {
        if (++_decisions > MostDecisions)
            throw new InvalidOperationException($"More than {MostDecisions} decisions. The journal keeps two minutes of " +
                "calls mapped, which at this pace is 15 GB. A job of the command line's own (--job, --inProcess) does not " +
                "take over the number of invocations: add --invocationCount 32768 --warmupCount 5 --iterationCount 7.");
        var now = Micros.Now(_node.Clocks.Business);
        var decision = default(Decision);
        _gate.Decide(_node.Table.Snapshot, _operation, _hash, now, 0, ref decision);
        if (decision.Verdict != Verdict.Admit) throw new InvalidOperationException($"{decision.Verdict}");
        var admission = new Admission
        {
            AdmittedAt = now,
            Entitlement = decision.Entitlement!.Key,
            Period = decision.Period,
            Consumer = decision.Consumer!.Key,
            Operation = _operation.Key,
            Credential = decision.Credential!.Key,
            Method = 1,
        };
        var record = _node.Journal.AppendAdmitted(admission);
        _node.Journal.AppendSettled(new Settlement
        {
            AdmissionSequence = record.Sequence,
            Admission = admission,
            Status = 200,
            Billable = true,
            Quantity = 1,
            LatencyMicros = 100,
        });
        Gate.Settle(ref decision, _operation, 1);
        return record.Sequence;
    }
}
