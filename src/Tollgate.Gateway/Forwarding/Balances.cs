using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Tollgate.Config;

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

    public Balance Of(CompiledApi api) => _byApi.TryGetValue(api.Whole ?? api, out var balance)
        ? balance
        : _byApi.GetValue(api.Whole ?? api, a => new Balance(a, [.. a.Targets.Select(HealthOf)]));

    public ServerHealth HealthOf(CompiledTarget target)
    {
        if (_health.Count > MostServers) _health.Clear();
        return _health.GetOrAdd(target.Authority, _ => new ServerHealth(machine));
    }
}

/// <summary>The servers of one API, and which of them takes the next call.</summary>
internal sealed class Balance(CompiledApi api, ServerHealth[] health)
{
    private readonly CompiledTarget[] _targets = api.Targets;
    private readonly LoadBalancing _by = api.Forward.Balancing;
    private readonly byte[] _order = Order(api.Targets, api.Forward.Balancing == LoadBalancing.RoundRobin);
    private uint _turn;

    /// <summary>What its calls are sent by; found once.</summary>
    public HttpMessageInvoker? Client { get; set; }

    /// <summary>Of calls that have a client of their own; nearly always none.</summary>
    public UpstreamHandshake? Handshake { get; set; }

    /// <summary>Whether it wants to know which calls are under way.</summary>
    public bool Counts { get; } = api.Forward.Balancing == LoadBalancing.LeastRequests && api.Targets.Length > 1;

    /// <summary>The index of the server for a call: the next by the API's rule that is healthy and was not tried just before.
    /// When none is, calls go on to all of them: a wrong guess about health must not take away an API that works.
    /// </summary>
    /// <param name="tried">The server that gave this call no answer; null: it was not sent yet.</param>
    public int Next(CompiledTarget? tried)
    {
        if (_targets.Length == 1) return 0;
        // by chance is by turns from a place that nobody knows
        var turn = _by == LoadBalancing.Random
            ? (uint)Random.Shared.Next(_order.Length) : Interlocked.Increment(ref _turn);
        var (otherwise, least) = (-1, -1);
        for (var i = 0; i < _order.Length; i++)
        {
            var index = _order[(turn + (uint)i) % (uint)_order.Length];
            if (ReferenceEquals(_targets[index], tried)) continue;
            if (otherwise < 0) otherwise = index;
            if (!health[index].IsIn) continue;
            if (!Counts) return index;
            if (least < 0 || IsLess(index, least)) least = index;
        }

        return least >= 0 ? least : Math.Max(otherwise, 0);
    }

    public void Begin(int target)
    {
        if (Counts) health[target].Begin();
    }

    public void End(int target)
    {
        if (Counts) health[target].End();
    }

    /// <summary>Fewer calls under way for its weight.</summary>
    private bool IsLess(int a, int b) =>
        (long)health[a].UnderWay * _targets[b].Weight < (long)health[b].UnderWay * _targets[a].Weight;

    public void Report(int target, bool answered)
    {
        if (_targets.Length > 1) health[target].Report(answered);
    }

    /// <summary>Each as often as its weight, never more in a row than must be.</summary>
    private static byte[] Order(CompiledTarget[] targets, bool alike)
    {
        if (alike) return [.. Enumerable.Range(0, targets.Length).Select(i => (byte)i)];
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
    private int _underWay;

    // of active checks: how often in a row they said otherwise than what holds
    private int _otherwise;
    private volatile bool _down;

    public bool IsIn => !_down && IsTrusted;

    /// <summary>Calls that it has not answered yet, as far as somebody balances by them.</summary>
    public int UnderWay => Volatile.Read(ref _underWay);

    /// <summary>Whether active checks have put it aside.</summary>
    public bool IsDown => _down;

    private bool IsTrusted => Volatile.Read(ref _failures) < Failures
        || machine.GetElapsedTime(Volatile.Read(ref _since)) >= Aside;

    public void Begin() => Interlocked.Increment(ref _underWay);

    public void End() => Interlocked.Decrement(ref _underWay);

    /// <summary>What a check said; one at a time for a server.</summary>
    public void Checked(bool well, HealthCheck by)
    {
        if (well != _down) _otherwise = 0;
        else if (++_otherwise >= (well ? by.Healthy : by.Unhealthy))
        {
            _otherwise = 0;
            _down = !well;
            // what calls said before is no news
            if (well) Volatile.Write(ref _failures, 0);
        }
    }

    /// <summary>Nobody checks it any more: what calls say is all there is.</summary>
    public void Unchecked() => _down = false;

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
