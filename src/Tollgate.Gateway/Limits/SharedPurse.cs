using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>
/// What this node and the others know of each other about one customer: a cell in Redis, which holds what the store knew at
/// one moment and what each node has settled since and holds. Whoever leases has seen all of it, or is told how it is and works
/// it out again; so no two leases rest on the same room.
/// </summary>
internal sealed class SharedPurse(CustomerEntry customer, SharedPurses of) : Sharer
{
    /// <summary>How often others may be quicker before calls are decided again.</summary>
    private const int MostConflicts = 32;

    /// <summary>After so long nodes that did not say what they hold are looked at again; milliseconds.</summary>
    private const long MostWaiting = 5_000;

    /// <summary>Who refuses asks the store so often whether a node that is gone has given back what it held; milliseconds.</summary>
    private const long Refresh = 10_000;

    private const long Retry = 1_000;

    /// <summary>So long calls wait for what other nodes hold to be said; then this node goes alone for a while; milliseconds.
    /// </summary>
    private const long Patience = 1_000, Alone = 250;

    /// <summary>How the tag of every one begins.</summary>
    public const string TagStart = "customer-";

    private readonly Lock _state = new();
    private string _generation = "";
    private long _version, _joinedAt, _retryAt, _waitsSince, _aloneUntil;
    private IReadOnlyList<string> _awaited = [];
    private IReadOnlyDictionary<string, string> _others = new Dictionary<string, string>();
    private volatile bool _isAdrift, _returns;

    /// <summary>What this node has settled; guarded by the purse in force.</summary>
    public Unstored Unstored { get; } = new();

    /// <summary>Whether the cell has, or had, a share of this process.</summary>
    public bool HasTold { get; private set; }

    /// <summary>What was settled before this record of the journal is in the store, and perhaps nowhere here.</summary>
    public ulong From { get; set; }

    /// <summary>The base is to be read anew, though terms are as they were.</summary>
    public bool WantsBase { get; private set; }

    /// <summary>The nodes cannot be joined though Redis answers: the plan says what happens.</summary>
    public bool IsAdrift => _isAdrift || of.Leases.IsJustBack || Now < Volatile.Read(ref _aloneUntil);

    public bool IsJoined
    {
        get
        {
            lock (_state) return _generation.Length > 0;
        }
    }

    public string Key => $"tollgate:{{{Tag}}}:spent";

    public long Now => of.Leases.Now;

    public int Nodes => of.Leases.Nodes;

    internal override string Tag => $"{TagStart}{customer.Key}";

    /// <summary>What was said by the other nodes as of now is known, and all that is told is on top of one base.</summary>
    public void Joined(PurseBase on, CellAnswer cell, bool isExact)
    {
        lock (_state)
        {
            (_generation, _version, _awaited, _others) = (cell.Generation, cell.Version, on.Awaited, cell.Shares);
            (_joinedAt, WantsBase, _isAdrift) = (Now, !isExact, false);
        }

        if (!on.Awaited.Contains(of.Journal) && !cell.Shares.ContainsKey(of.Journal) && Unstored.Sums.Count == 0) return;
        customer.Purse?.Tell();
        of.Leases.Watch(this);
        if (on.Awaited.Contains(of.Journal)) _ = of.Leases.AskAsync(this);
    }

    /// <summary>What this node counts is on top of what it has read itself: nobody else goes by it.</summary>
    public void Parted(bool isAdrift)
    {
        lock (_state) (_generation, _isAdrift, _retryAt) = ("", isAdrift, Now + Retry);
        if (isAdrift) of.Leases.Watch(this);
    }

    public void GoAlone() => of.Leases.Watch(this);

    internal override async Task<bool?> AskAsync(SharedCounters counters, Leases leases, bool last)
    {
        try
        {
            return await TellAsync(counters, leases, last);
        }
        catch (InvalidDataException)
        {
            // a newer version shares with others like it
            customer.Purse?.Forgo();
            Parted(isAdrift: true);
            return false;
        }
    }

    private async Task<bool?> TellAsync(SharedCounters counters, Leases leases, bool last)
    {
        for (var conflicts = 0; conflicts < MostConflicts; conflicts++)
        {
            if (counters.IsAway) return null;
            if ((!IsJoined || WantsBase) && !await JoinAsync()) return counters.IsAway ? null : false;
            if (customer.Purse is not { } purse) return false;
            var (generation, version, mayLease) = Seen();
            if (purse.Plan(leases.Now, mayLease, _returns) is not { } plan) continue;
            var askedAt = leases.Now;
            leases.Asks();
            var write = new CellWrite(Key, generation, version) { Node = of.Journal, Share = plan.Text };
            if (await counters.WriteAsync(write) is not { } answer)
            {
                purse.Forgo();
                return null;
            }

            if (!answer.Written)
            {
                purse.Tell();
                Learn(purse, generation, answer);
                continue;
            }

            return await TakeAsync(plan, (askedAt, leases.Now), (answer.Version, generation), mayLease, last);
        }

        customer.Purse?.Forgo();
        return false;
    }

    internal override (bool Overdue, bool Watched) Sweep(long now, bool returnAll)
    {
        if (customer.Purse is not { IsShared: true } purse) return (false, false);
        _returns |= returnAll;
        if (IsJoined)
        {
            var (overdue, watched) = purse.Sweep(now);
            return (overdue || (returnAll && watched), watched);
        }

        lock (_state) return (!returnAll && now >= _retryAt, !returnAll);
    }

    internal override bool GivesBack(string key)
    {
        // behind the key is the base that the other node goes by
        if (!key.StartsWith(Key, StringComparison.Ordinal) || customer.Purse is not { } purse) return false;
        lock (_state) if (!key.AsSpan(Key.Length).SequenceEqual("#" + _generation)) return true;
        return _returns = purse.HasIdle;
    }

    private async Task<bool> JoinAsync()
    {
        lock (_state)
        {
            if (_isAdrift && Now < _retryAt) return false;
            _retryAt = Now + Retry;
        }

        try
        {
            await of.JoinAsync(customer.Key);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // the store is away: what is shared so far goes on, and there is no newer base
            if (IsJoined) WantsBase = false;
            else _isAdrift = true;
            return IsJoined;
        }

        if (IsJoined) return true;
        _isAdrift = !of.Leases.IsAway;
        return false;
    }

    private (string Generation, long Version, bool MayLease) Seen()
    {
        lock (_state)
        {
            var mayLease = _awaited.All(j => _others.ContainsKey(j) || j == of.Journal);
            if (mayLease) _waitsSince = 0;
            else if (Now - _joinedAt > MostWaiting) WantsBase = true;
            return (_generation, _version, mayLease && !of.Leases.IsJustBack);
        }
    }

    private void Learn(Purse purse, string generation, CellAnswer answer)
    {
        lock (_state)
        {
            // another base is to be taken over before
            if (_generation != generation) return;
            if (answer.Generation == generation)
            {
                (_version, _others) = (answer.Version, answer.Shares);
                if (purse.Learn(of.SharesOfOthers(answer.Shares))) return;
            }

            _generation = "";
        }
    }

    private async Task<bool> TakeAsync(
        SharePlan plan, (long Asked, long Now) at, (long Version, string Generation) written, bool mayLease, bool last)
    {
        bool othersIdle;
        lock (_state)
        {
            if (_generation != written.Generation) return true;
            (_version, HasTold) = (written.Version, true);
            othersIdle = of.SharesOfOthers(_others).Any(r => r.I > 0);
            if (plan.IsShort && at.Now - _joinedAt > Refresh) WantsBase = true;
        }

        _returns = false;
        var waits = plan.IsShort && othersIdle || !mayLease;
        var again = waits && !last;
        plan.Of.Take(plan, at.Asked, again ? null : at.Now + (othersIdle ? 5 : 50));
        if (!waits) return false;
        if (!mayLease && plan.IsWaitedFor)
        {
            // whoever does not say what it holds is not waited for for ever
            if (_waitsSince == 0) _waitsSince = at.Now;
            else if (at.Now - _waitsSince > Patience && !of.Leases.IsJustBack) Volatile.Write(ref _aloneUntil, at.Now + Alone);
        }

        await of.Counters.WantAsync($"{Key}#{written.Generation}");
        return again;
    }
}
