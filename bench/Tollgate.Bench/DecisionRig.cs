using Microsoft.Extensions.Logging.Abstractions;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway;
using Tollgate.Gateway.Routing;
using Tollgate.Metering;

namespace Tollgate.Bench;

/// <summary>A real node in a temporary folder, and the pieces of its hot path one by one: two limits, a monthly quota, a durable
/// journal.</summary>
internal sealed class DecisionRig : IAsyncDisposable
{
    private const string Key = "key_2";
    private const string Target = "/v1/premium/analytics";

    private readonly byte[][] _hashes;
    private readonly string _target = Target;
    private readonly string _folder;
    private readonly TollgateNode _node;
    private readonly Gate _gate;
    private readonly CompiledOperation _operation;

    private DecisionRig(string folder, TollgateNode node, int keys)
    {
        (_folder, _node) = (folder, node);
        _hashes = [.. Enumerable.Range(1, keys).Select(i => node.Keys.Hash(ManyKeys.NameOf(i))!)];
        _gate = new Gate(_node.Table, _node.Journal);
        _operation = _node.Table.Snapshot.Match("GET", Target)!;
    }

    /// <param name="operations">Of the API.</param>
    /// <param name="keys">Each of a customer of its own.</param>
    public static async Task<DecisionRig> OpenAsync(int operations, int keys = 1)
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-bench-").FullName;
        var file = Path.Combine(folder, "tollgate.yaml");
        var others = Enumerable.Range(0, operations - 1).Select(i => $"      o{i}: GET /v1/other/{i}/{{id}}");
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
        var node = await TollgateNode.OpenAsync(
            new TollgateOptions { Data = Path.Combine(folder, "data"), ConfigFile = file }, NullLogger.Instance);
        var plan = await new ConfigStore(node.Database, TimeProvider.System).FindAsync(ConfigKind.Plan, "pro");
        await ManyKeys.WriteAsync(node.Database, node.Keys, keys, 1, Publication.PlanIdOf(plan!), TimeProvider.System);
        await node.Table.LoadAsync();
        return new DecisionRig(folder, node, keys);
    }

    public bool ReadPath() => CanonicalPath.TryRead(_target, "localhost", out _);

    public CompiledOperation? Match() => _node.Table.Snapshot.Match("GET", Target);

    public bool Hash() => _node.Keys.TryHash(Key, _hashes[0]);

    /// <summary>Decides, and writes both records.</summary>
    /// <param name="key">Which of them calls, from 0.</param>
    public ulong DecideAndRecord(int key = 0)
    {
        var now = Micros.Now(_node.Clocks.Business);
        var decision = default(Decision);
        _gate.Decide(_node.Table.Snapshot, _operation, _hashes[key], now, 0, ref decision);
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

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
