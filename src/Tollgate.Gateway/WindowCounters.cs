using System.Runtime.CompilerServices;
using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>Where a limit stands after a decision; what the headers say.</summary>
public struct LimitState
{
    public CompiledLimit Limit;

    /// <summary>Admissions left in the window, 0 or more.</summary>
    public long Remaining;

    /// <summary>When the window ends; microseconds UTC.</summary>
    public long ResetAt;
}

/// <summary>One state for each unit that a plan limits.</summary>
[InlineArray(Capacity)]
public struct LimitStates
{
    public const int Capacity = 6;

    private LimitState _first;
}

/// <summary>
/// How many calls of one consumer on one subscription were admitted in the current window of each unit. A lock for
/// each consumer, held for a few comparisons, makes all limits of a call one step: taken together or not at all.
/// </summary>
public sealed class WindowCounters
{
    private readonly Lock _lock = new();
    private Slots _slots;

    /// <summary>
    /// Takes one admission from every limit, or nothing when one of them is used up. A clock that jumps back stays in
    /// the window that it was in: windows only move forward.
    /// </summary>
    /// <param name="limits">At most one of a unit.</param>
    /// <param name="now">Business time, microseconds UTC.</param>
    /// <param name="take">False only looks: the states are those before.</param>
    /// <param name="states">As many as there are limits.</param>
    /// <returns>−1 when admitted, else the index of the exhausted limit that lasts longest.</returns>
    public int TryTake(CompiledLimit[] limits, long now, bool take, ref LimitStates states)
    {
        var violated = -1;
        lock (_lock)
        {
            // every unit is counted, limited or not: a limit that is added later knows what was used before
            for (var unit = 0; unit < LimitStates.Capacity; unit++)
                if (now >= _slots[unit].End) _slots[unit].MoveTo((WindowUnit)unit, now);
            for (var i = 0; i < limits.Length; i++)
            {
                ref var slot = ref _slots[(int)limits[i].Unit];
                states[i].Limit = limits[i];
                states[i].Remaining = Math.Max(0, limits[i].Count - slot.Used);
                states[i].ResetAt = slot.End;
                if (states[i].Remaining == 0 && (violated < 0 || slot.End > states[violated].ResetAt)) violated = i;
            }

            if (violated >= 0 || !take) return violated;
            for (var unit = 0; unit < LimitStates.Capacity; unit++) _slots[unit].Used++;
            for (var i = 0; i < limits.Length; i++) states[i].Remaining--;
        }

        return -1;
    }

    /// <summary>Adds admissions that happened before this process, found in the journal or the rollups; the window that
    /// they were in may lie ahead of a clock that was set back.</summary>
    public void Restore(WindowUnit unit, long at, long admissions)
    {
        lock (_lock)
        {
            ref var slot = ref _slots[(int)unit];
            if (at >= slot.End) slot.MoveTo(unit, at);
            slot.Used += admissions;
        }
    }

    [InlineArray(LimitStates.Capacity)]
    private struct Slots
    {
        private Slot _first;
    }

    private struct Slot
    {
        public long End;
        public long Used;

        public void MoveTo(WindowUnit unit, long now)
        {
            End = LimitWindow.At(unit, now).End;
            Used = 0;
        }
    }
}
