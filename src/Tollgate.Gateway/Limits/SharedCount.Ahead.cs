using System.Runtime.CompilerServices;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <content>The window that comes next: whose calls are expected in it has a lease of it before it begins, so that its first call
/// waits for nobody.</content>
internal sealed partial class SharedCount
{
    /// <summary>It is asked for so long before it begins, and before a minute up to so much longer: all keys in use at one moment
    /// would keep Redis from answering. Microseconds.</summary>
    private const long Lead = 300_000, Spread = 6_000_000;

    /// <summary>Calls are expected of who called within so long; milliseconds.</summary>
    private const long Lively = 10_000;

    private (long End, bool IsAsked, long Granted, long Others) _next;

    /// <summary>Whether something may be leased of a window that has not begun here.</summary>
    private bool HasNext => _next.End > _end;

    /// <summary>A window is over by the clock though no call says so: what was leased of the next is to be found under its name.
    /// </summary>
    /// <param name="business">Business time.</param>
    /// <param name="now">Machine time.</param>
    /// <returns>Whether it has: no call is counted as of before that any more.</returns>
    public bool Roll(long business, long now)
    {
        if (!HasNext || business < End) return false;
        _tally!.MoveTo(business);
        MoveOn(now);
        return true;
    }

    /// <summary>Whether the window ends soon, and a lease of the next is to be asked for. Windows of an hour and more have too few
    /// first calls to matter.</summary>
    public bool IsDueAhead(long business, long now) => _tally is not null && !_underWay && _unit <= WindowUnit.Minute && _end == End
        && !HasNext && !Returns && Spent > 0 && now - UsedAt <= Lively && business < _end
        && business >= _end - Lead - (_unit == WindowUnit.Second ? 0 : Spread / 64 * (RuntimeHelpers.GetHashCode(this) & 63));

    /// <summary>Asks for what the first calls may need, and no less than one of them.</summary>
    public CounterQuestion AskAhead()
    {
        var end = LimitWindow.At(_unit, _end).End;
        _next = (end, true, 0, 0);
        return new CounterQuestion(
            KeyOf(end), Limit, 0, 0, Step, Math.Max(_wantedThen, LeastCalls * Step), (end / 1_000) + 60_000);
    }

    /// <summary>Whether what was leased ahead is to be given back: with the rest, or since Redis may have forgotten it.</summary>
    /// <param name="times">How often Redis has come back.</param>
    public bool ReturnsAhead(int times) => HasNext && (Returns || times != _times);

    public CounterQuestion AskBack()
    {
        var end = _next.End;
        _next = default;
        return new CounterQuestion(KeyOf(end), Limit, 0, 0, 0, 0, (end / 1_000) + 60_000);
    }

    /// <returns>Whether it is the answer to what was asked ahead.</returns>
    private bool TakesNext(in CounterQuestion question, in CounterAnswer answer, long now)
    {
        if (!_next.IsAsked || question.Key != KeyOf(_next.End)) return false;
        (_next.IsAsked, _next.Granted, _next.Others) = (false, Math.Max(0, answer.Granted), answer.Others);
        if (_next.End != _end || _end != End) return true;
        // it has begun meanwhile; who waits is decided again
        Begin(_next.Granted, _next.Others, now);
        Demand = 0;
        return true;
    }

    private void Begin(long granted, long others, long now)
    {
        (Granted, Others, _askedAt, _limitThen) = (granted, others, now, Limit);
        _lease = Limit - granted - others >= Limit / 2 ? Far : Lease;
        ExpiresAt = now + _lease;
    }
}
