namespace Tollgate.Storage;

/// <summary>
/// What other nodes have changed and this one has not taken over yet. A change of ten thousand keys takes a while, and the one
/// key that is revoked behind it must not wait for them: so the newest is taken first, and the oldest in turn, so that none
/// waits for ever. The order does not matter otherwise: who takes a change over reads how its subject is by now.
/// </summary>
internal sealed class PendingChanges
{
    /// <summary>More are left in the store until there is room.</summary>
    public const int Most = 100_000;

    private static readonly Change s_publication = new Change.Publication();

    private readonly Dictionary<long, Change> _changes = [];
    private readonly SortedSet<long> _versions = [];
    private readonly Dictionary<Change, long> _versionOf = [];
    private bool _newest;

    public int Count => _versions.Count;

    /// <summary>A subject that changes again while it waits is taken over once.</summary>
    public void Put(Change change, long version)
    {
        Done(change);
        _changes[version] = change;
        _versionOf[change] = version;
        _versions.Add(version);
    }

    /// <summary>What is published comes before those who are judged by it.</summary>
    /// <returns>Null when there is none.</returns>
    public Change? Next()
    {
        if (_versions.Count == 0) return null;
        if (_versionOf.ContainsKey(s_publication)) return s_publication;
        _newest = !_newest;
        return _changes[_newest ? _versions.Max : _versions.Min];
    }

    public void Done(Change change)
    {
        if (!_versionOf.Remove(change, out var version)) return;
        _changes.Remove(version);
        _versions.Remove(version);
    }
}
