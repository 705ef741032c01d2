using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Tollgate.Gateway;

/// <summary>Where a limit or quota stands after a decision; what the headers say.</summary>
public struct LimitState
{
    /// <summary>What a policy that does not count this call has for <see cref="Remaining"/>.</summary>
    public const long NotCounted = -1;

    /// <summary>Admissions or units left, 0 or more; or <see cref="NotCounted"/>.</summary>
    public long Remaining;

    /// <summary>When more will be left than now, if nobody calls; microseconds UTC. 0 when nobody knows (calls under
    /// way).</summary>
    public long ResetAt;
}

/// <summary>One state for each limit and quota of the terms, in their order.</summary>
public struct LimitStates
{
    /// <summary>What a plan may have, the quotas of an older version beside them, and one for each unit from Kong's calls: of
    /// the group and of the consumer.</summary>
    private const int Most = (2 * Catalog.Limit.MostOfPlan) + 12;

    /// <summary>What nearly every plan has; every call carries them.</summary>
    private const int Usual = 8;

    private Inline _states;

    private LimitState[]? _more;

    public ref LimitState this[int index]
    {
        [UnscopedRef]
        get
        {
            if (index < Usual) return ref _states[index];
            _more ??= new LimitState[Most - Usual];
            return ref _more[index - Usual];
        }
    }

    [InlineArray(Usual)]
    private struct Inline
    {
        private LimitState _first;
    }
}

/// <summary>Whose counts a call goes to: one place for each scope of limits; null where no limit has it.</summary>
[InlineArray(Scopes)]
internal struct Tallies
{
    public const int Scopes = 5;

    private Tally? _first;
}
