using System.Collections.Concurrent;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// Which hosts of callers have connections to https upstreams of their own. The client keeps those of different hosts apart, so
/// a caller who invents hosts would open one for each. Hosts that a route names always may; of the others, so many at a time.
/// A call of any other host has a connection that ends with it.
/// </summary>
/// <param name="machine">Tells when a host has not been called for so long that its connections are gone.</param>
internal sealed class PreservedHosts(TimeProvider machine)
{
    public const int Most = 256;

    /// <summary>Longer than idle connections are kept.</summary>
    public static readonly TimeSpan Kept = UpstreamClient.Idle + UpstreamClient.Idle;

    private readonly ConcurrentDictionary<string, long> _calledAt = new(StringComparer.Ordinal);
    private readonly Lock _making = new();
    private long _lookedAt;

    public int Count => _calledAt.Count;

    /// <param name="host">As the caller spells it: other spellings are other connections.</param>
    /// <param name="named">Hosts that the operation is found under, exactly.</param>
    public bool MayPool(string host, string[] named)
    {
        if (Array.IndexOf(named, host) >= 0) return true;
        var now = machine.GetTimestamp();
        if (_calledAt.ContainsKey(host))
        {
            _calledAt[host] = now;
            return true;
        }

        lock (_making)
        {
            if (_calledAt.Count >= Most && !MakeRoom(now)) return false;
            _calledAt[host] = now;
            return true;
        }
    }

    /// <summary>At most once a second: a flood of new hosts must not cost a look at all of them each.</summary>
    private bool MakeRoom(long now)
    {
        if (_lookedAt != 0 && machine.GetElapsedTime(_lookedAt, now) < TimeSpan.FromSeconds(1)) return false;
        _lookedAt = now;
        foreach (var (host, at) in _calledAt)
            if (machine.GetElapsedTime(at, now) >= Kept) _calledAt.TryRemove(host, out _);
        return _calledAt.Count < Most;
    }
}
