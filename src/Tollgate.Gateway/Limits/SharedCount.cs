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
internal sealed partial class SharedCount
{
    /// <summary>A lease may be spent for so long, in milliseconds: near the limit, and of calls at a time.</summary>
    public const long Lease = 500;

    /// <summary>Of these, after so long it is renewed or given back, without anybody waiting.</summary>
    public const long Due = 350;

    /// <summary>And while the limit is far.</summary>
    public const long Far = 10_000;

    /// <summary>Far is where all nodes together would use so little in <see cref="Far"/>: one part of what is free.</summary>
    private const long FarPart = 4;

    /// <summary>For so long a lease is to last at the rate of before; milliseconds. While the limit is far, longer.</summary>
    private const long Ahead = 1_000, FarAhead = 3_000;

    private const long Idle = 5_000;
    private const long LeastCalls = 8, MostWanted = 1_000_000;

    private readonly string _prefix;
    private readonly Tally? _tally;
    private readonly WindowUnit _unit;
    private readonly QuotaSlot? _slot;
    private readonly bool _underWay;
    private long _end;
    private long _askedAt, _spentThen, _wantedThen, _demandThen, _limitThen, _heardAt, _totalThen = -1;
    private long _lease = Lease;
    private int _times;

    public SharedCount(string prefix, Tally tally, WindowUnit unit) => (_prefix, _tally, _unit) = (prefix, tally, unit);

    public SharedCount(string prefix, QuotaSlot slot) => (_prefix, _slot) = (prefix, slot);

    /// <summary>Of calls at a time: it has no window, and what is spent comes back.</summary>
    public SharedCount(string prefix, Tally tally) => (_prefix, _tally, _underWay) = (prefix, tally, true);

    public string Key { get; private set; } = "";

    public long Limit { get; set; }

    /// <summary>The most that one call has asked for.</summary>
    public long Step { get; set; } = 1;

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

    /// <summary>Whether Redis was not told yet that nothing is leased here: what it believes to be idle others wait for.</summary>
    public bool IsOpen => _end == End && Granted > _spentThen;

    /// <summary>Another window is another counter, of which nothing is known yet but what was asked ahead.</summary>
    /// <param name="now">Machine time.</param>
    public void MoveOn(long now)
    {
        if (_end == End) return;
        _end = End;
        Key = _underWay ? _prefix : KeyOf(_end);
        // what is known of before this process is nobody's to spend, also while nobody can be asked
        (Granted, Others, Demand, ExpiresAt, ExhaustedUntil) = (0, Past, 0, 0, 0);
        // what was wanted in the window before stays, as a guess
        (_askedAt, _spentThen, _demandThen, _totalThen, _lease) = (0, 0, 0, -1, Lease);
        if (_next.End == _end && !_next.IsAsked) Begin(_next.Granted, _next.Others, now);
    }

    public long RoomAt(long now) => now < ExpiresAt ? Granted - Spent : 0;

    public bool IsDue(long now, long room) => now - _askedAt > DueAfter || room <= _wantedThen / 4;

    /// <summary>After so long a lease is renewed where it was used, without anybody waiting.</summary>
    private long DueAfter => _lease * 7 / 10;

    /// <summary>Whether nothing is to be said about it any more.</summary>
    public bool IsAtRest(long now) => !IsOpen && !HasNext && Demand == 0 && now - UsedAt > Idle && !(_underWay && Spent > 0);

    /// <summary>Whether Redis needs not know of it, even if it has forgotten everything.</summary>
    /// <param name="business">Business time.</param>
    public bool IsOver(long business) => Spent <= 0 || business >= End;

    /// <summary>A call has ended: where others may wait for its place, they are told soon.</summary>
    public void Free() => Returns |= Others + Granted >= Limit;

    /// <summary>Whether a question has to be about it. One that has what it needs is left alone: it would be given back, and
    /// a call that waits for another would wait for this one then.</summary>
    public bool IsAsked(long now, int times) => IsOverdue(now) || times != _times || (IsInUse(now) && IsDue(now, RoomAt(now)));

    /// <summary>Whether the sweep has to renew it, or give it back.</summary>
    public bool IsOverdue(long now) => _end == End && (Returns || Demand > 0 || (now - _askedAt > DueAfter && IsInUse(now))
        || (now - _askedAt > _lease && IsOpen));

    /// <summary>What to ask. A lease that is renewed is spent on meanwhile: what is left of it is asked for like what calls wait
    /// for, so the answer has it. Otherwise the question gives it back, and it rests until the answer.</summary>
    /// <param name="now">Machine time.</param>
    /// <param name="times">How often Redis has come back.</param>
    public CounterQuestion Ask(long now, int times)
    {
        _times = times;
        if (_next.End == _end) _next.IsAsked = false;
        var (spent, demand) = (Spent, Demand);
        var want = Returns || !IsInUse(now) ? 0 : Want(spent, now);
        var kept = want > 0 && demand == 0 && !_underWay && now < ExpiresAt ? Math.Max(0, Granted - spent) : 0;
        (Granted, Demand, Returns) = (spent + kept, 0, false);
        (_askedAt, _spentThen, _wantedThen, _demandThen, _limitThen) = (now, spent, want, demand, Limit);
        return new CounterQuestion(
            Key, Limit, Math.Max(0, spent), Past, demand + kept, want + kept, _underWay ? 0 : (_end / 1_000) + 60_000);
    }

    /// <returns>True when calls still wait and somebody may give back what they need.</returns>
    public bool Take(in CounterQuestion question, in CounterAnswer answer, long askedAt, long now, bool last)
    {
        if (TakesNext(question, answer, now) || question.Key != Key || _end != End || answer.Granted < 0) return false;
        _lease = LengthOf(question.Spent + answer.Others, askedAt);
        (Granted, Others, ExpiresAt) = (answer.Granted, answer.Others, askedAt + _lease);
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

    private string KeyOf(long end) => $"{_prefix}:{end / Micros.PerSecond}";

    /// <summary>Whether more was used since it was asked about than what was waited for then. While the limit is far, a call now
    /// and then is enough: that a call waits costs more than to ask for many together.</summary>
    private bool IsInUse(long now) => Demand > 0
        || (_underWay ? !IsAtRest(now) : Spent - _spentThen > _demandThen || (_lease == Far && Spent > 0 && now - UsedAt <= Far));

    private long Want(long spent, long now)
    {
        var used = Math.Max(0, spent - _spentThen);
        if (_underWay)
            return Math.Max(now - UsedAt <= Idle ? 1 : 0, _askedAt == 0 ? 0 : used * Lease / Math.Max(1, now - _askedAt));
        var ahead = _lease == Far ? FarAhead : Ahead;
        var soon = _askedAt == 0 ? _wantedThen : (long)Int128.Min(MostWanted, (Int128)used * ahead / Math.Max(1, now - _askedAt));
        return Math.Min(MostWanted, Math.Max(soon, LeastCalls * Step));
    }

    /// <summary>A lease stays counted until it is given back, and who needs it says so: its length is only how soon others
    /// hear what was spent, and how often Redis is asked. Far from the limit that is seldom.</summary>
    private long LengthOf(long total, long askedAt)
    {
        var (free, grown) = (Limit - total, Math.Max(0, total - _totalThen));
        var far = !_underWay && (_totalThen < 0 ? free >= Limit / 2
            : (Int128)grown * Far * FarPart / Math.Max(100, askedAt - _heardAt) <= free);
        (_totalThen, _heardAt) = (total, askedAt);
        return far ? Far : Lease;
    }
}
