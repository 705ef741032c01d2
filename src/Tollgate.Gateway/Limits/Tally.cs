using System.Runtime.CompilerServices;
using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>
/// What one subject of limits (a consumer, a key, a customer, an operation, an address) has used. Not locked: the pool
/// that it belongs to is. Windows only move forward: a clock that jumps back stays in the window that it was in.
/// </summary>
internal sealed class Tally
{
    private const int Units = 6;

    private Slots _slots;

    // what nearly nobody has: of before this process, and shared by nodes
    private Beside[]? _beside;
    private WindowCounter[] _counters = [];

    /// <summary>Calls under way, counted while some limit of this scope asks for it.</summary>
    public long UnderWay { get; set; }

    /// <summary>Admissions in the open fixed window of a unit.</summary>
    public long Used(WindowUnit unit) => _slots[(int)unit].Used;

    /// <summary>Of those, of before this process.</summary>
    public long Past(WindowUnit unit) => _beside?[(int)unit].Past ?? 0;

    public long End(WindowUnit unit) => _slots[(int)unit].End;

    /// <summary>What this node may spend of a window that nodes share; null while nobody asked.</summary>
    public ref SharedCount? Share(WindowUnit unit) => ref BesideOf(unit).Share;

    /// <summary>Of calls at a time.</summary>
    public SharedCount? ConcurrentShare { get; set; }

    /// <summary>The counter of a window that is not aligned to the clock.</summary>
    public WindowCounter WindowOf(CompiledLimit limit, long now) => CounterOf(limit, now);

    /// <summary>Moves fixed windows on. Every unit is counted, limited or not: a limit that is added later knows what was
    /// used before.</summary>
    public void MoveTo(long now)
    {
        for (var unit = 0; unit < Units; unit++)
            if (now >= _slots[unit].End) MoveTo((WindowUnit)unit, now);
    }

    /// <summary>Where a limit stands; call <see cref="MoveTo(long)"/> before.</summary>
    public LimitState Look(CompiledLimit limit, long now)
    {
        switch (limit.Kind)
        {
            case WindowKind.Fixed:
                ref var slot = ref _slots[(int)limit.Unit];
                return new LimitState { Remaining = Math.Max(0, limit.Count - slot.Used), ResetAt = slot.End };
            case WindowKind.Concurrent:
                return new LimitState { Remaining = Math.Max(0, limit.Count - UnderWay) };
            default:
                return CounterOf(limit, now).Look(limit, now);
        }
    }

    /// <summary>Counts an admission in all fixed windows.</summary>
    public void Count()
    {
        for (var unit = 0; unit < Units; unit++) _slots[unit].Used++;
    }

    /// <summary>Counts admissions in the window of a limit that has one of its own.</summary>
    public void Add(CompiledLimit limit, long at, long count)
    {
        if (limit.Kind is WindowKind.Sliding or WindowKind.Bucket) CounterOf(limit, at).Add(limit, at, count);
    }

    /// <summary>Adds admissions of before this process to a fixed window; it may lie ahead of a clock that was set back.
    /// </summary>
    public void Restore(WindowUnit unit, long at, long admissions)
    {
        ref var slot = ref _slots[(int)unit];
        if (at >= slot.End) MoveTo(unit, at);
        slot.Used += admissions;
        BesideOf(unit).Past += admissions;
    }

    /// <summary>Adds admissions of before this process to the window of a limit that has one of its own.</summary>
    public void Restore(CompiledLimit limit, long now, long at, long admissions)
    {
        var counter = Array.Find(_counters, c => c.IsFor(limit));
        if (counter is null) _counters = [.. _counters, counter = WindowCounter.New(limit)];
        // nobody knows how full it was before: as full as can be
        if (counter is Bucket bucket) bucket.Begin(limit, now);
        counter.Add(limit, at, admissions);
    }

    /// <summary>Adds what another has used in the newest fixed windows that either is in.</summary>
    public void Add(Tally other)
    {
        for (var unit = 0; unit < Units; unit++)
        {
            ref var slot = ref _slots[unit];
            ref var used = ref other._slots[unit];
            var past = other.Past((WindowUnit)unit);
            if (used.End > slot.End)
            {
                slot = used;
                if (_beside is not null || past > 0) BesideOf((WindowUnit)unit) = new Beside { Past = past };
            }
            else if (used.End == slot.End)
            {
                slot.Used += used.Used;
                if (past > 0) BesideOf((WindowUnit)unit).Past += past;
            }
        }
    }

    /// <summary>Begins as another has ended.</summary>
    public void Copy(Tally other)
    {
        Add(other);
        _counters = Array.ConvertAll(other._counters, c => c.Clone());
    }

    /// <summary>Whether forgetting it lets nobody do more: no window up to this length is open, no call under way.</summary>
    public bool IsIdle(WindowUnit longest, long now) => UnderWay == 0
        && _slots[(int)longest].End <= now && Array.TrueForAll(_counters, c => c.IsIdle(now));

    /// <summary>The window of a limit that has one of its own. A new one begins with what the fixed windows know, as if it
    /// had happened as late as possible: a limit whose kind is changed forgets nothing.</summary>
    private WindowCounter CounterOf(CompiledLimit limit, long now)
    {
        for (var i = 0; i < _counters.Length; i++)
        {
            if (!_counters[i].IsFor(limit)) continue;
            if (!_counters[i].Fits(limit)) _counters[i] = _counters[i].CopyTo(WindowCounter.New(limit), limit);
            return _counters[i];
        }

        var counter = WindowCounter.New(limit);
        ref var slot = ref _slots[(int)limit.Unit];
        if (slot.Before > 0) counter.Add(limit, slot.End - limit.Length - 1, slot.Before);
        if (slot.Used > 0) counter.Add(limit, Math.Min(now, slot.End - 1), slot.Used);
        _counters = [.. _counters, counter];
        return counter;
    }

    private void MoveTo(WindowUnit unit, long now)
    {
        _slots[(int)unit].MoveTo(unit, now);
        if (_beside is not null) _beside[(int)unit].Past = 0;
    }

    private ref Beside BesideOf(WindowUnit unit) => ref (_beside ??= new Beside[Units])[(int)unit];

    [InlineArray(Units)]
    private struct Slots
    {
        private Slot _first;
    }

    private struct Slot
    {
        public long End;
        public long Used;

        /// <summary>Of the window that ended where this one began.</summary>
        public long Before;

        public void MoveTo(WindowUnit unit, long now)
        {
            var (start, end) = LimitWindow.At(unit, now);
            Before = start == End ? Used : 0;
            (End, Used) = (end, 0);
        }
    }

    private struct Beside
    {
        public long Past;
        public SharedCount? Share;
    }
}
