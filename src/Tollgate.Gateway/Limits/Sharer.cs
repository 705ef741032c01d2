using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>Holds limits that nodes share, of one hash tag: what is asked together.</summary>
internal abstract class Sharer
{
    /// <summary>The hash tag of all its counters.</summary>
    internal abstract string Tag { get; }

    /// <summary>The question under way; questions of one sharer follow one after the other. Under its lock.</summary>
    internal Task<bool>? Asking { get; set; }

    /// <summary>Asks about all that is waited for, and that is to be renewed or given back.</summary>
    /// <param name="counters">Who is asked.</param>
    /// <param name="of">The leases that it belongs to.</param>
    /// <param name="last">It is not asked again for what others may give back.</param>
    /// <returns>Null when Redis did not answer; true when it is to be asked again: calls wait for what others may give back.
    /// </returns>
    internal abstract Task<bool?> AskAsync(SharedCounters counters, Leases of, bool last);

    /// <summary>Whether something is to be renewed or given back, and whether anything is to be watched at all.</summary>
    internal abstract (bool Overdue, bool Watched) Sweep(long now, bool returnAll);

    /// <summary>Somebody else needs what lies idle of a counter.</summary>
    internal abstract bool GivesBack(string key);
}
