using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// Which server of an upstream takes the next call, and which are left out for a time. What is known of a server's
/// health belongs to its address and outlives every change of configuration.
/// </summary>
internal sealed class Balances(TimeProvider machine)
{
    private const int MostServers = 100_000;

    private readonly ConcurrentDictionary<string, ServerHealth> _health = new(StringComparer.Ordinal);
    private readonly ConditionalWeakTable<CompiledApi, Balance> _byApi = [];

    public Balance Of(CompiledApi api) => _byApi.TryGetValue(api, out var balance)
        ? balance
        : _byApi.GetValue(api, a => new Balance(a.Targets, [.. a.Targets.Select(HealthOf)]));

    private ServerHealth HealthOf(CompiledTarget target)
    {
        if (_health.Count > MostServers) _health.Clear();
        return _health.GetOrAdd(target.Authority, _ => new ServerHealth(machine));
    }
}

/// <summary>The servers of one API in turn, each by its weight and spread evenly.</summary>
internal sealed class Balance(CompiledTarget[] targets, ServerHealth[] health)
{
    private readonly byte[] _order = Order(targets);
    private uint _turn;

    /// <summary>The index of the server for a call: the next in turn that is healthy and was not tried just before.
    /// When none is, calls go on to all of them: a wrong guess about health must not take away an API that works.
    /// </summary>
    /// <param name="tried">The server that gave this call no answer; null: it was not sent yet.</param>
    public int Next(CompiledTarget? tried)
    {
        if (targets.Length == 1) return 0;
        var turn = Interlocked.Increment(ref _turn);
        var otherwise = -1;
        for (var i = 0; i < _order.Length; i++)
        {
            var index = _order[(turn + (uint)i) % (uint)_order.Length];
            if (ReferenceEquals(targets[index], tried)) continue;
            if (health[index].IsIn) return index;
            if (otherwise < 0) otherwise = index;
        }

        return Math.Max(otherwise, 0);
    }

    public void Report(int target, bool answered)
    {
        if (targets.Length > 1) health[target].Report(answered);
    }

    /// <summary>Each as often as its weight, never more in a row than must be.</summary>
    private static byte[] Order(CompiledTarget[] targets)
    {
        var total = targets.Sum(t => t.Weight);
        var credit = new int[targets.Length];
        var order = new byte[total];
        for (var i = 0; i < total; i++)
        {
            var best = 0;
            for (var t = 0; t < targets.Length; t++)
            {
                credit[t] += targets[t].Weight;
                if (credit[t] > credit[best]) best = t;
            }

            credit[best] -= total;
            order[i] = (byte)best;
        }

        return order;
    }
}

/// <summary>What the calls say about a server: written by each that ends, read by each that begins.</summary>
internal sealed class ServerHealth(TimeProvider machine)
{
    /// <summary>Calls in a row without an answer, or with 502, 503 or 504, that put a server aside.</summary>
    public const int Failures = 5;

    /// <summary>For how long; then one failure more is enough.</summary>
    public static readonly TimeSpan Aside = TimeSpan.FromSeconds(10);

    private int _failures;
    private long _since;

    public bool IsIn => Volatile.Read(ref _failures) < Failures
        || machine.GetElapsedTime(Volatile.Read(ref _since)) >= Aside;

    public void Report(bool answered)
    {
        if (answered)
        {
            if (Volatile.Read(ref _failures) != 0) Volatile.Write(ref _failures, 0);
            return;
        }

        if (Interlocked.Increment(ref _failures) >= Failures) Volatile.Write(ref _since, machine.GetTimestamp());
    }
}
