using Dapper;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>
/// Calls of plans that say <c>metering: open</c>, let in while the journal had no room. They are in no ledger and on no
/// invoice; how many there were, of whom, is counted here and carried into the store as soon as that works. A process that
/// is killed before loses what it had not stored.
/// </summary>
public sealed class UnrecordedCalls(Database database, GateMetrics metrics, uint journal)
{
    /// <summary>As many calls may be under way without a record as with one.</summary>
    private const int MostUnderWay = 16_384;

    /// <summary>Sums that wait for the store; what is beyond is added up without telling whose it was.</summary>
    private const int MostSums = 100_000;

    private readonly Lock _lock = new();
    private Dictionary<(int Entitlement, int Consumer, int Operation, long Bucket), Sum> _sums = [];
    private int _underWay;
    private long _total;

    /// <summary>Since the start of this process.</summary>
    public long Total => Volatile.Read(ref _total);

    /// <summary>False when too many are under way.</summary>
    public bool TryBegin()
    {
        if (Interlocked.Increment(ref _underWay) <= MostUnderWay) return true;
        GiveBack();
        return false;
    }

    /// <summary>The call was refused after all.</summary>
    public void GiveBack() => Interlocked.Decrement(ref _underWay);

    /// <summary>A call is over.</summary>
    /// <param name="call">That passed.</param>
    /// <param name="units">Of <c>calls</c>, that would have been billed.</param>
    public void End(GateCall call, long units)
    {
        ref var decision = ref call.Decision;
        var key = (decision.Entitlement?.Key ?? 0, decision.Consumer!.Key, call.Operation!.Key,
            call.Now - call.Now % UsageStore.Bucket);
        lock (_lock) Add(key, new Sum(1, units));
        metrics.Unrecorded(decision.Plan!.Name);
        Interlocked.Increment(ref _total);
        GiveBack();
    }

    /// <summary>Carries what was counted into the store; what cannot be stored now waits.</summary>
    public async Task SaveAsync()
    {
        Dictionary<(int Entitlement, int Consumer, int Operation, long Bucket), Sum> sums;
        lock (_lock)
        {
            if (_sums.Count == 0) return;
            (sums, _sums) = (_sums, []);
        }

        try
        {
            await database.WriteAsync(async db =>
            {
                foreach (var (of, sum) in sums)
                    await db.ExecuteAsync(
                        "insert into unrecorded_calls (journal, entitlement, consumer, operation, bucket, calls, units) " +
                        "values (@journal, @Entitlement, @Consumer, @Operation, @Bucket, @Calls, @Units) " +
                        "on conflict (journal, entitlement, consumer, operation, bucket) do update set " +
                        "calls = unrecorded_calls.calls + excluded.calls, units = unrecorded_calls.units + excluded.units",
                        new
                        {
                            journal = (long)journal, of.Entitlement, of.Consumer, of.Operation, of.Bucket, sum.Calls, sum.Units,
                        });
            });
        }
        catch
        {
            lock (_lock)
                foreach (var (of, sum) in sums) Add(of, sum);
            throw;
        }
    }

    private void Add((int Entitlement, int Consumer, int Operation, long Bucket) of, Sum more)
    {
        if (_sums.Count >= MostSums && !_sums.ContainsKey(of)) of = (0, 0, 0, of.Bucket);
        var sum = _sums.GetValueOrDefault(of);
        _sums[of] = new Sum(sum.Calls + more.Calls, sum.Units + more.Units);
    }

    private readonly record struct Sum(long Calls, long Units);
}
