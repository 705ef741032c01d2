using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <content>How much a node leases, and how it takes over a base.</content>
internal sealed partial class Purse
{
    /// <summary>So long after a call the next one is expected; milliseconds.</summary>
    private const long Recently = 5_000;

    /// <summary>Terms by which what others say is understood.</summary>
    public EntitlementEntry[] Entries { get; set; } = [];

    public bool HasIdle
    {
        get
        {
            lock (_lock) return _accounts.Values.Any(a => a.Tracks.Any(t => t.Idle > 0));
        }
    }

    /// <summary>Works out a share: what was used, what is under way, and what is to be leased. Of the lease nothing beyond
    /// the one before may be used until <see cref="Take"/>.</summary>
    /// <param name="now">Machine time, milliseconds.</param>
    /// <param name="leases">False: only says what was used.</param>
    /// <param name="returns">Somebody else needs what lies idle.</param>
    /// <returns>Null when another purse is in force by now.</returns>
    public SharePlan? Plan(long now, bool leases, bool returns)
    {
        lock (_lock)
        {
            if (_replaced) return null;
            if (leases) _parts = null;
            var all = _accounts.Values.SelectMany(a => a.Tracks.Where(t => t.Lease is not null).Select(t => (Account: a, Track: t)))
                .ToArray();
            foreach (var (account, track) in all)
            {
                account.Grant(track, track.Spent, _stock);
                Sum(account);
                track.Lease!.Short = null;
            }

            if (leases)
            {
                foreach (var (account, track) in all) LeaseWhatIsWaitedFor(account, track);
                foreach (var (account, track) in all) LeaseWhatIsWanted(account, track, now, returns);
            }

            foreach (var (_, track) in all) track.Lease!.Usable = Math.Min(track.Lease.Usable, track.Lease.Granted);
            _isUntold = false;
            return new SharePlan(this, PurseShare.Write(Share()), Array.Exists(all, t => t.Track.Lease!.Short is not null),
                Array.Exists(all, t => t.Track.Lease!.Demand > 0));
        }
    }

    /// <summary>The others know of the share: its lease may be used.</summary>
    /// <param name="plan">What they know.</param>
    /// <param name="askedAt">When they were told at the earliest.</param>
    /// <param name="shortUntil">Until when asking again is of no use; null when calls still wait.</param>
    public void Take(SharePlan plan, long askedAt, long? shortUntil)
    {
        lock (_lock)
        {
            if (_replaced) return;
            foreach (var track in _accounts.Values.SelectMany(a => a.Tracks))
            {
                if (track.Lease is not { } lease) continue;
                (lease.Usable, lease.ExpiresAt) = (lease.Granted, askedAt + SharedCount.Lease);
                (lease.AskedAt, lease.SpentThen, lease.IdleThen) = (askedAt, track.Spent, track.Idle);
                if (shortUntil is not { } until) continue;
                lease.Demand = 0;
                if (lease.Short is not null) lease.ShortUntil = until;
            }
        }
    }

    /// <summary>The others do not know of the share: who waits is decided about in another way.</summary>
    public void Forgo()
    {
        lock (_lock)
        {
            _isUntold = true;
            foreach (var track in _accounts.Values.SelectMany(a => a.Tracks))
                if (track.Lease is { } lease) lease.Demand = 0;
        }
    }

    /// <summary>Whether calls wait, a lease is to be renewed or given back, or something was not told; and whether anything
    /// may come to be so.</summary>
    public (bool Overdue, bool Watched) Sweep(long now)
    {
        lock (_lock)
        {
            var (overdue, watched) = (_isUntold, _isUntold);
            foreach (var account in _accounts.Values)
                foreach (var track in account.Tracks)
                {
                    if (track.Lease is not { } lease) continue;
                    var idle = lease.Usable > track.Spent;
                    overdue |= lease.Demand > 0 || (idle && now - lease.AskedAt > SharedCount.Due);
                    watched |= idle || lease.Demand > 0 || now - lease.UsedAt < Recently;
                }

            return (overdue, overdue || watched);
        }
    }

    /// <summary>Puts this in the place of another: what a base holds, what this node has settled behind it, what its calls
    /// under way have reserved, and what others said. Nothing is leased any more.</summary>
    /// <param name="other">The one in force.</param>
    /// <param name="position">How far the base has the journal of this node.</param>
    /// <param name="others">What the other nodes said.</param>
    /// <param name="inForce">Told whether what the base holds could be told apart exactly.</param>
    /// <returns>False when another one was in force, or terms are not known here.</returns>
    public bool TryJoin(Purse other, ulong position, IEnumerable<HeldRow> others, Action<bool> inForce)
    {
        lock (other._lock)
        {
            if (other._replaced) return false;
            var exact = _shared!.Unstored.Forget(position);
            foreach (var (row, units) in _shared.Unstored.Sums)
            {
                if (Find(row) is not var (account, track, settled)) return false;
                account.RestoreOwn(track, units, row.At, BeganAfter(row.At, settled), settled ? null : _stock);
                Sum(account);
            }

            foreach (var (key, theirs) in other._accounts)
            {
                if (!_accounts.TryGetValue(key, out var account)) _accounts[key] = account = new PurseAccount(_sides.Length);
                account.TakeOver(theirs, _stock);
                Sum(account);
            }

            if (!TryLearn(others)) return false;
            other._replaced = true;
            inForce(exact);
            return true;
        }
    }

    private void LeaseWhatIsWaitedFor(PurseAccount account, PurseAccount.Track track)
    {
        var lease = track.Lease!;
        if (lease.Demand <= 0) return;
        var covered = Covered(account, track, lease.Demand, out var side);
        if (side >= 0) lease.Short = new Shortage(_sides[side].Balance, _sides[side].Used);
        account.Grant(track, track.Spent + covered, _stock);
        Sum(account);
    }

    /// <summary>Beyond what calls wait for: what would be used within a lease, at most an eighth of what is free.</summary>
    private void LeaseWhatIsWanted(PurseAccount account, PurseAccount.Track track, long now, bool returns)
    {
        var lease = track.Lease!;
        // where more units may cost less, what is leased and not used could cost more than it was leased for
        if (returns || lease.Short is not null || track.Price.Price is Price.Volume or Price.Stairstep) return;
        var want = lease.AskedAt == 0 ? 0
            : Math.Max(0, track.Spent - lease.SpentThen) * SharedCount.Lease / Math.Max(1, now - lease.AskedAt);
        if (want < lease.Need && now - lease.UsedAt <= Recently) want = lease.Need;
        var step = StepOf(lease.Need);
        var more = decimal.Floor((want - track.Idle) / step) * step;
        if (more <= 0) return;
        var free = Covered(account, track, more * 8, out _) / 8;
        more = Math.Min(more, decimal.Floor(free / step) * step);
        if (more <= 0) return;
        account.Grant(track, track.Spent + track.Idle + more, _stock);
        Sum(account);
    }

    private static decimal StepOf(decimal units) => new(1, 0, 0, false, units.Scale);

    /// <summary>How many more units of a price all balances cover.</summary>
    /// <param name="side">The one that does not cover all of them; −1 for none.</param>
    private decimal Covered(PurseAccount account, PurseAccount.Track track, decimal units, out int side)
    {
        side = Uncovered(account, track, units);
        if (side < 0) return units;
        var step = StepOf(units);
        var (low, high) = (0L, (long)Math.Min(decimal.Floor(units / step), 1_000_000_000_000_000));
        while (low < high)
        {
            var middle = low + (high - low + 1) / 2;
            if (Uncovered(account, track, middle * step) < 0) low = middle;
            else high = middle - 1;
        }

        return low * step;
    }

    private int Uncovered(PurseAccount account, PurseAccount.Track track, decimal units)
    {
        account.Consider(track, units, track.Lease!.LastAt, _stock);
        for (var s = 0; s < _sides.Length; s++)
            if (!IsCovered(account, s)) return s;
        return -1;
    }

    /// <summary>Instants that make no difference are told as one, the latest: terms that another node has by now may tell
    /// them apart, and then count too much.</summary>
    private List<HeldRow> Share()
    {
        var rows = _shared!.Unstored.Sums.GroupBy(s => s.Key with { At = Terms.ClassOf(s.Key.At) })
            .Select(g => new HeldRow(
                g.Key.Entitlement, g.Key.Period, g.Key.Price, g.Max(s => s.Key.At), g.Sum(s => s.Value))).ToList();
        foreach (var track in _accounts.Values.SelectMany(a => a.Tracks))
        {
            if (track.Reserved + track.Idle is not (not 0 and var units)) continue;
            var at = UnitLease.BucketOf(track.Lease!.LastAt);
            rows.Add(new HeldRow(track.Entitlement, track.Period, track.Price.Name, at, units, track.Idle));
        }

        return rows;
    }
}

/// <summary>A share that is to be told to the other nodes.</summary>
/// <param name="Of">Whose.</param>
/// <param name="Text">As it is written.</param>
/// <param name="IsShort">Not all that calls wait for is covered.</param>
/// <param name="IsWaitedFor">Calls wait.</param>
internal sealed record SharePlan(Purse Of, string Text, bool IsShort, bool IsWaitedFor);
