using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>How a call is held to the limits that nodes share.</summary>
internal enum Sharing : byte
{
    /// <summary>There is one node, or each counts for itself.</summary>
    None,

    /// <summary>By leases of the shared counters.</summary>
    Leased,

    /// <summary>The shared counters are away, and the plan says <c>share</c>.</summary>
    Share,

    /// <summary>The shared counters are away, and the plan says <c>open</c>.</summary>
    Open,

    /// <summary>The shared counters are away, and the plan says <c>closed</c>.</summary>
    Closed,
}

/// <summary>
/// What this node may spend of one window that all nodes share. Belongs to a pool, whose lock guards it. What is spent is
/// counted where it always is, in the tally or the slot.
/// </summary>
internal sealed class SharedCount
{
    /// <summary>A lease may be spent for so long; milliseconds.</summary>
    public const long Lease = 500;

    /// <summary>After so long it is renewed or given back, without anybody waiting.</summary>
    public const long Due = 350;

    private const long Idle = 5_000;
    private const long MostWanted = 1_000_000;

    private readonly string _prefix;
    private readonly Tally? _tally;
    private readonly WindowUnit _unit;
    private readonly QuotaSlot? _slot;
    private readonly bool _underWay;
    private long _end;
    private long _askedAt, _spentThen, _wantedThen, _demandThen, _limitThen;

    public SharedCount(string prefix, Tally tally, WindowUnit unit) => (_prefix, _tally, _unit) = (prefix, tally, unit);

    public SharedCount(string prefix, QuotaSlot slot) => (_prefix, _slot) = (prefix, slot);

    /// <summary>Of calls at a time: it has no window, and what is spent comes back.</summary>
    public SharedCount(string prefix, Tally tally) => (_prefix, _tally, _underWay) = (prefix, tally, true);

    public string Key { get; private set; } = "";

    public long Limit { get; set; }

    /// <summary>Up to which number <see cref="Spent"/> may go.</summary>
    public long Granted { get; private set; }

    public long Others { get; private set; }

    /// <summary>Units that calls wait for.</summary>
    public long Demand { get; set; }

    /// <summary>Somebody else needs what lies idle here.</summary>
    public bool Returns { get; set; }

    public long ExpiresAt { get; private set; }

    /// <summary>Until then asking again would be told the same, unless the limit is higher by now.</summary>
    public long ExhaustedUntil { get; private set; }

    public bool IsExhausted(long now) => now < ExhaustedUntil && Limit <= _limitThen;

    public long UsedAt { get; set; }

    /// <summary>Counted by this process in the open window.</summary>
    public long Spent => _underWay ? _tally!.UnderWay
        : _slot is not null ? _slot.Used - _slot.Past : _tally!.Used(_unit) - _tally.Past(_unit);

    private long Past => _underWay ? 0 : _slot is not null ? _slot.Past : _tally!.Past(_unit);

    private long End => _underWay ? long.MaxValue : _slot is not null ? _slot.End : _tally!.End(_unit);

    /// <summary>Whether something is leased that is not spent.</summary>
    public bool IsOpen => _end == End && Granted > Spent;

    /// <summary>Another window is another counter, of which nothing is known yet.</summary>
    public void MoveOn()
    {
        if (_end == End) return;
        _end = End;
        Key = _underWay ? _prefix : $"{_prefix}:{_end / Micros.PerSecond}";
        // what is known of before this process is nobody's to spend, also while nobody can be asked
        (Granted, Others, Demand, ExpiresAt, ExhaustedUntil) = (0, Past, 0, 0, 0);
        (_askedAt, _spentThen, _wantedThen) = (0, 0, 0);
    }

    public long RoomAt(long now) => now < ExpiresAt ? Granted - Spent : 0;

    public bool IsDue(long now, long room) => now - _askedAt > Due || room < _wantedThen / 4;

    /// <summary>Whether nothing is to be said about it any more.</summary>
    public bool IsAtRest(long now) => !IsOpen && Demand == 0 && now - UsedAt > Idle && !(_underWay && Spent > 0);

    /// <summary>A call has ended: where others may wait for its place, they are told soon.</summary>
    public void Free() => Returns |= Others + Granted >= Limit;

    /// <summary>Whether the sweep has to renew it, or give it back.</summary>
    public bool IsOverdue(long now) => _end == End && (Returns || Demand > 0 || (now - _askedAt > Due && !IsAtRest(now)));

    /// <summary>What to ask; the lease rests until the answer, since the question gives back what is left of it.</summary>
    public CounterQuestion Ask(long now)
    {
        var (spent, demand) = (Spent, Demand);
        var want = _askedAt == 0 ? 0
            : Math.Min(MostWanted, Math.Max(0, spent - _spentThen) * Lease / Math.Max(1, now - _askedAt));
        if (want == 0 && now - UsedAt <= Idle) want = 1;
        if (Returns) want = 0;
        (Granted, Demand, Returns) = (spent, 0, false);
        (_askedAt, _spentThen, _wantedThen, _demandThen, _limitThen) = (now, spent, want, demand, Limit);
        return new CounterQuestion(
            Key, Limit, Math.Max(0, spent), Past, demand, want, _underWay ? 0 : (_end / 1_000) + 60_000);
    }

    /// <returns>True when calls still wait and somebody may give back what they need.</returns>
    public bool Take(in CounterQuestion question, in CounterAnswer answer, long askedAt, long now, bool last)
    {
        if (question.Key != Key || _end != End || answer.Granted < 0) return false;
        (Granted, Others, ExpiresAt) = (answer.Granted, answer.Others, askedAt + Lease);
        Demand = 0;
        if (answer.Granted - question.Spent >= _demandThen) return false;
        if (answer.Idle > 0 && !last)
        {
            Demand = _demandThen;
            return true;
        }

        ExhaustedUntil = now + (answer.Idle > 0 ? 5 : 50);
        return false;
    }
}
