using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>
/// What has passed a limit whose window is not aligned to the clock. Time never runs back in it: a call of a clock that
/// was set back counts as of the newest call before.
/// </summary>
internal abstract class WindowCounter(WindowKind kind, WindowUnit unit)
{
    private readonly WindowKind _kind = kind;
    private readonly WindowUnit _unit = unit;

    /// <summary>Sliding windows of at most this many are counted call by call.</summary>
    public const int MostExact = 1_000;

    public static WindowCounter New(CompiledLimit limit) =>
        limit.Kind == WindowKind.Bucket ? new Bucket(limit)
        : limit.Count <= MostExact ? new SlidingLog(limit)
        : new SubWindows(limit);

    public bool IsFor(CompiledLimit limit) => limit.Kind == _kind && limit.Unit == _unit;

    /// <summary>What this node may admit of a window that nodes share; null while nobody asked.</summary>
    public SharedWindow? Share { get; set; }

    public abstract WindowCounter Clone();

    /// <summary>Each instant that is counted, as late as it can have been, and how many there were.</summary>
    public virtual void ForEach(Action<long, long> each)
    {
    }

    /// <summary>Whether a limit that was changed can go on with this.</summary>
    public abstract bool Fits(CompiledLimit limit);

    public abstract LimitState Look(CompiledLimit limit, long now);

    /// <summary>Counts admissions; whether they pass was looked at before.</summary>
    public abstract void Add(CompiledLimit limit, long at, long count);

    /// <summary>Hands over what is counted here.</summary>
    public abstract WindowCounter CopyTo(WindowCounter other, CompiledLimit limit);

    /// <summary>Whether nothing that was counted matters any more.</summary>
    public abstract bool IsIdle(long now);
}

/// <summary>The instants of the newest admissions: exact. Grows with what is used, to 1,000 entries.</summary>
internal sealed class SlidingLog(CompiledLimit limit) : WindowCounter(WindowKind.Sliding, limit.Unit)
{
    private readonly long _length = limit.Length;
    private long[] _ring = [];
    private int _oldest;
    private int _count;

    public override bool Fits(CompiledLimit limit) => limit.Count <= MostExact;

    public override LimitState Look(CompiledLimit limit, long now)
    {
        now = Forget(now);
        if (_count < limit.Count)
            return new LimitState { Remaining = limit.Count - _count, ResetAt = _count == 0 ? now : At(0) + _length };
        // a limit that was lowered needs more than one to leave
        return new LimitState { ResetAt = At(_count - (int)limit.Count) + _length };
    }

    public override void Add(CompiledLimit limit, long at, long count)
    {
        at = Forget(at);
        for (var n = Math.Min(count, MostExact); n > 0; n--) Add(at);
    }

    public override WindowCounter CopyTo(WindowCounter other, CompiledLimit limit)
    {
        ForEach((at, count) => other.Add(limit, at, count));
        return other;
    }

    public override void ForEach(Action<long, long> each)
    {
        for (var i = 0; i < _count; i++) each(At(i), 1);
    }

    public override WindowCounter Clone()
    {
        var clone = (SlidingLog)MemberwiseClone();
        clone.Share = null;
        clone._ring = [.. _ring];
        return clone;
    }

    public override bool IsIdle(long now) => _count == 0 || At(_count - 1) + _length <= now;

    /// <summary>Half-open: what was admitted exactly one length ago is out.</summary>
    /// <returns>Now, or the newest admission where the clock was set back.</returns>
    private long Forget(long now)
    {
        if (_count > 0) now = Math.Max(now, At(_count - 1));
        while (_count > 0 && At(0) + _length <= now)
        {
            _oldest = (_oldest + 1) % _ring.Length;
            _count--;
        }

        return now;
    }

    private void Add(long at)
    {
        if (_count == _ring.Length)
        {
            if (_count == MostExact)
            {
                // only a restored or copied window can hold more; the newest stay longest
                _oldest = (_oldest + 1) % _ring.Length;
                _count--;
            }
            else
            {
                var larger = new long[Math.Min(MostExact, Math.Max(8, _count * 2))];
                for (var i = 0; i < _count; i++) larger[i] = At(i);
                (_ring, _oldest) = (larger, 0);
            }
        }

        _ring[(_oldest + _count++) % _ring.Length] = at;
    }

    private long At(int index) => _ring[(_oldest + index) % _ring.Length];
}

/// <summary>
/// Sixty sub-windows and the one under way: an admission leaves with its whole sub-window, so never more than the limit
/// passes in any window, and at most a sixtieth fewer.
/// </summary>
internal sealed class SubWindows(CompiledLimit limit) : WindowCounter(WindowKind.Sliding, limit.Unit)
{
    private const int Parts = 60, Kept = Parts + 1;

    // rounded up: sixty of them are never shorter than the window
    private readonly long _step = (limit.Length + Parts - 1) / Parts;
    private long[] _counts = new long[Kept];
    private long _index;
    private long _sum;

    public override bool Fits(CompiledLimit limit) => limit.Count > MostExact;

    public override LimitState Look(CompiledLimit limit, long now)
    {
        Advance(now);
        var (free, at) = (Math.Max(0, limit.Count - _sum), 0L);
        var freed = 0L;
        for (var index = _index - Parts; index <= _index && at == 0; index++)
        {
            freed += _counts[index % Kept];
            if (freed > 0 && limit.Count - (_sum - freed) > free) at = (index + Kept) * _step;
        }

        return new LimitState { Remaining = free, ResetAt = at == 0 ? now : at };
    }

    public override void Add(CompiledLimit limit, long at, long count)
    {
        Advance(at);
        // one that was restored may be older than what is counted already; it is counted as late as can be
        _counts[_index % Kept] += count;
        _sum += count;
    }

    public override WindowCounter CopyTo(WindowCounter other, CompiledLimit limit)
    {
        ForEach((at, count) => other.Add(limit, at, count));
        return other;
    }

    public override void ForEach(Action<long, long> each)
    {
        for (var index = Math.Max(0, _index - Parts); index <= _index; index++)
            if (_counts[index % Kept] is > 0 and var count) each((index + 1) * _step - 1, count);
    }

    public override WindowCounter Clone()
    {
        var clone = (SubWindows)MemberwiseClone();
        clone.Share = null;
        clone._counts = [.. _counts];
        return clone;
    }

    public override bool IsIdle(long now) => _sum == 0 || now / _step >= _index + Kept;

    private void Advance(long now)
    {
        var index = now / _step;
        if (index <= _index) return;
        if (index - _index >= Kept)
        {
            Array.Clear(_counts);
            _sum = 0;
        }
        else
        {
            for (var gone = _index + 1; gone <= index; gone++)
            {
                _sum -= _counts[gone % Kept];
                _counts[gone % Kept] = 0;
            }
        }

        _index = index;
    }
}

/// <summary>
/// A bucket that drains evenly (GCRA): what was admitted and has not drained yet, in units × the length of the window,
/// so that every rate is exact.
/// </summary>
internal sealed class Bucket(CompiledLimit limit) : WindowCounter(WindowKind.Bucket, limit.Unit)
{
    private readonly long _length = limit.Length;
    private Int128 _debt;
    private long _at;
    private long _rate = limit.Count;
    private Int128 _capacity = CapacityOf(limit);

    public override bool Fits(CompiledLimit limit) => true;

    public override LimitState Look(CompiledLimit limit, long now)
    {
        Drain(limit, now);
        var room = _capacity - _debt;
        var remaining = room < _length ? 0 : (long)(room / _length);
        // until there is room for one more than now
        var wait = _debt == 0 ? 0 : ((Int128)(remaining + 1) * _length - room + limit.Count - 1) / limit.Count;
        return new LimitState { Remaining = remaining, ResetAt = _at + (long)Int128.Min(wait, _length * (Int128)1_000_000) };
    }

    public override void Add(CompiledLimit limit, long at, long count)
    {
        Drain(limit, at);
        // what other windows let in, or is told again after a restart, cannot make it fuller than full
        _debt = Int128.Min(_capacity, _debt + ((Int128)count * _length));
    }

    /// <summary>Full, as long ago as it takes to drain twice: what is then added makes it as full as it can have been.
    /// </summary>
    public void Begin(CompiledLimit limit, long now)
    {
        if (_at > 0) return;
        _debt = _capacity = CapacityOf(limit);
        _at = now - limit.Reach;
    }

    public override WindowCounter CopyTo(WindowCounter other, CompiledLimit limit) => this;

    public override WindowCounter Clone()
    {
        var clone = (Bucket)MemberwiseClone();
        clone.Share = null;
        return clone;
    }

    public override bool IsIdle(long now) => now > _at && (Int128)(now - _at) * _rate >= _debt;

    private void Drain(CompiledLimit limit, long now)
    {
        // what lies before now drained at the rate of then
        if (now > _at)
        {
            _debt = Int128.Max(0, _debt - (Int128)(now - _at) * _rate);
            _at = now;
        }

        _rate = limit.Count;
        var capacity = CapacityOf(limit);
        if (capacity == _capacity) return;
        // a smaller one is full at most
        (_capacity, _debt) = (capacity, Int128.Min(capacity, _debt));
    }

    private static Int128 CapacityOf(CompiledLimit limit) => (Int128)limit.Burst * limit.Length;
}
