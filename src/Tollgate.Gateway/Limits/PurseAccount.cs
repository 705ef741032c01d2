using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Gateway;

/// <summary>
/// What one subscription has used within one billing period, for each price that calls are held to. As on its invoice a price
/// that a new stretch of terms left as it was goes on over both, and what is included is for the period.
/// </summary>
internal sealed partial class PurseAccount(int sides)
{
    private readonly List<Track> _tracks = [];
    private readonly Dictionary<int, Track[]> _byEntitlement = [];
    private readonly List<string> _allowances = [];

    // what is included and consumed so far, while amounts are computed
    private decimal[] _consumed = [], _consumedBefore = [];

    /// <summary>As each balance has it in its sum.</summary>
    public decimal[] Gross { get; } = new decimal[sides];

    public bool IsAtRest => _tracks.TrueForAll(t => t.Reserved == 0);

    /// <summary>What more usage would add, for <see cref="Amount"/>.</summary>
    public void Consider(in Charge charge, in More more, UnitStock stock)
    {
        foreach (var track in _tracks) (track.Extra, track.ExtraBurnt) = (0, 0);
        if (!stock.IsEmpty) stock.Consider();
        foreach (var track in TracksOf(charge))
        {
            if (!track.Price.Covers(charge.Operation)) continue;
            track.Extra = more.Of(track.Price.Meter!);
            if (track.Extra > 0 && !stock.IsEmpty)
                track.ExtraBurnt = stock.ConsiderTaking(track, Demand(track, track.Extra), charge.At);
        }
    }

    /// <summary>What the usage since a balance costs. Tiers and included units go on from what was used before.</summary>
    /// <param name="side">The balance.</param>
    /// <param name="considered">With what <c>Consider</c> was told.</param>
    public decimal Amount(int side, bool considered)
    {
        Array.Clear(_consumed);
        Array.Clear(_consumedBefore);
        var sum = 0m;
        foreach (var track in _tracks)
        {
            var (used, before) = (track.Used, track.Before[side]);
            var burnt = track.Burnt;
            if (considered) (used, burnt) = (used + track.Extra, burnt + track.ExtraBurnt);
            var included = Included(_consumed, track, used);
            var includedBefore = Included(_consumedBefore, track, before);
            if (used == before) continue;
            sum += Rating.Exactly(track.Price.Price, used - burnt, included);
            if (before > 0) sum -= Rating.Exactly(track.Price.Price, before - track.BurntBefore[side], includedBefore);
        }

        return sum;
    }

    public void Reserve(in Charge charge, in More more, UnitStock stock)
    {
        foreach (var track in TracksOf(charge))
        {
            if (!track.Price.Covers(charge.Operation)) continue;
            var units = more.Of(track.Price.Meter!);
            if (units == 0) continue;
            Burn(track, units, charge.At, 0, stock);
            track.Reserved += units;
        }
    }

    /// <summary>What was used of one meter.</summary>
    /// <param name="charge">Whose, and when.</param>
    /// <param name="used">Of one meter.</param>
    /// <param name="freed">So much less is reserved.</param>
    /// <param name="before">Bits of the balances that it came before.</param>
    /// <param name="stock">Null when credit in units has paid for it already.</param>
    /// <param name="own">Where nodes share: told what this one has settled.</param>
    /// <param name="sequence">Of its record in the journal.</param>
    /// <returns>Whether more is used or held than before.</returns>
    public bool Count(
        in Charge charge, in More used, decimal freed, uint before, UnitStock? stock, Unstored? own = null, ulong sequence = 0)
    {
        var more = false;
        foreach (var track in TracksOf(charge))
        {
            var meter = track.Price.Meter!;
            if (!track.Price.Covers(charge.Operation) || !used.IsOf(meter)) continue;
            var units = used.Of(meter);
            var change = track.ChangeBy(units, freed);
            more |= change > 0;
            if (stock is not null) Burn(track, change, charge.At, before, stock);
            track.Reserved -= freed;
            track.Settled += units;
            for (var s = 0; s < sides; s++)
                if ((before & (1u << s)) != 0) track.Before[s] += units;
            if (own is null) continue;
            track.Own += units;
            own.Add(sequence, track.RowAt(charge.At), units);
        }

        return more;
    }

    /// <summary>What credit in units has paid of what a quota counts, and what is left for more.</summary>
    public decimal LiftOf(Quota quota, long at, UnitStock stock)
    {
        var (lift, any) = (0m, false);
        foreach (var track in _tracks)
        {
            if (track.Price.Meter != quota.Meter || !IsWithin(track.Price.Operations, quota.Operations)) continue;
            (lift, any) = (lift + track.Burnt, true);
        }

        return any ? lift + stock.LeftFor(_tracks, quota, at) : 0;

        static bool IsWithin(IReadOnlyList<string>? price, IReadOnlyList<string>? quota) =>
            quota is null || (price is not null && price.All(quota.Contains));
    }

    /// <summary>Reserves what calls under way have reserved elsewhere.</summary>
    public void TakeOver(PurseAccount other, UnitStock stock)
    {
        foreach (var theirs in other._tracks)
        {
            if (theirs.Reserved == 0) continue;
            var track = TrackOf(theirs.Price, theirs.Key, theirs.Allowance, (theirs.Entitlement, theirs.Period));
            Burn(track, theirs.Reserved, long.MaxValue, 0, stock);
            track.Reserved += theirs.Reserved;
            if (theirs.Lease is { } lease) track.Lease = new UnitLease { LastAt = lease.LastAt, Need = lease.Need, UsedAt = lease.UsedAt };
        }
    }

    /// <summary>Moves what credit in units pays by what usage changes.</summary>
    private void Burn(Track track, decimal units, long at, uint before, UnitStock stock)
    {
        if (stock.IsEmpty || units == 0) return;
        var demand = Demand(track, units);
        var burnt = track.Burnt;
        if (demand > 0) stock.Take(track, demand, at);
        else if (demand < 0) stock.GiveBack(track, -demand - Math.Max(0, BeyondOf(track, track.Used) - burnt));
        for (var s = 0; s < sides; s++)
            if ((before & (1u << s)) != 0) track.BurntBefore[s] += track.Burnt - burnt;
    }

    /// <summary>By how much more lies beyond the included units.</summary>
    private decimal Demand(Track track, decimal units) =>
        BeyondOf(track, track.Used + units) - BeyondOf(track, track.Used);

    private decimal BeyondOf(Track track, decimal used)
    {
        var consumed = 0m;
        foreach (var earlier in _tracks)
        {
            if (ReferenceEquals(earlier, track)) break;
            if (earlier.Allowances != track.Allowances) continue;
            consumed += Rating.Consumed(earlier.Price.Price, earlier.Used, Math.Max(0, earlier.Allowance - consumed));
        }

        return Math.Max(0, used - UnitCredit.Counted(track.Price.Price, Math.Max(0, track.Allowance - consumed)));
    }

    private static decimal Included(decimal[] consumed, Track track, decimal used)
    {
        var included = Math.Max(0, track.Allowance - consumed[track.Allowances]);
        if (included > 0) consumed[track.Allowances] += Rating.Consumed(track.Price.Price, used, included);
        return included;
    }

    public Track[] TracksOf(in Charge charge)
    {
        if (_byEntitlement.TryGetValue(charge.Entitlement, out var tracks)) return tracks;
        var plan = charge.Prices;
        var of = (charge.Entitlement, charge.Period);
        tracks = [.. plan.Prices.Where(p => p.IsHeldAtGate).Select(p => p.Price.IncludedFromQuota
            ? plan.QuotaOf(p) is { } quota ? TrackOf(p, "quota " + quota.Name, quota.Allowance, of) : TrackOf(p, "", 0, of)
            : TrackOf(p, "price " + p.Name, p.Price.Included, of))];
        return _byEntitlement[charge.Entitlement] = tracks;
    }

    private Track TrackOf(PriceComponent price, string key, decimal allowance, (int Entitlement, int Period) of)
    {
        var track = _tracks.Find(t => t.Price.Equals(price) && t.Key == key);
        if (track is null)
        {
            if (!_allowances.Contains(key)) _allowances.Add(key);
            (_consumed, _consumedBefore) = (new decimal[_allowances.Count], new decimal[_allowances.Count]);
            _tracks.Add(track = new Track(price, key, _allowances.IndexOf(key), sides, of));
        }

        // of the terms that came last
        track.Allowance = allowance;
        return track;
    }

    /// <summary>A price, as long as it stays as it is.</summary>
    /// <param name="key">Of what it includes: prices of one quota share it.</param>
    /// <param name="of">Terms that have it, by which every node finds it.</param>
    internal sealed class Track(
        PriceComponent price, string key, int allowances, int sides, (int Entitlement, int Period) of)
    {
        public PriceComponent Price { get; } = price;

        public string Key { get; } = key;

        /// <summary>Index of <see cref="Key"/>.</summary>
        public int Allowances { get; } = allowances;

        public decimal Allowance { get; set; }

        public decimal Settled { get; set; }

        public decimal Reserved { get; set; }

        /// <summary>Used or held by other nodes, beyond what is settled here.</summary>
        public decimal Elsewhere { get; set; }

        /// <summary>Of what is settled, what this node has settled since the base that all nodes go by.</summary>
        public decimal Own { get; set; }

        /// <summary>Where nodes share: what this one may use of it on its own. Null while nobody asked.</summary>
        public UnitLease? Lease { get; set; }

        public int Entitlement => of.Entitlement;

        public int Period => of.Period;

        /// <summary>By this node since the base, with what is reserved.</summary>
        public decimal Spent => Own + Reserved;

        /// <summary>Leased, and neither used nor reserved.</summary>
        public decimal Idle => Lease is null ? 0 : Math.Max(0, Lease.Granted - Spent);

        public decimal Used => Settled + Reserved + Elsewhere + Idle;

        /// <summary>Of what is settled, what came before each balance.</summary>
        public decimal[] Before { get; } = new decimal[sides];

        /// <summary>Paid with credit in units, of <see cref="Used"/>.</summary>
        public decimal Burnt { get; set; }

        public decimal[] BurntBefore { get; } = new decimal[sides];

        /// <summary>By grant, in their order; none where there is no credit.</summary>
        public decimal[] BurntOf { get; set; } = [];

        public decimal Extra { get; set; }

        public decimal ExtraBurnt { get; set; }

        /// <summary>By how much what is used changes, when so much is settled and no longer reserved: a lease takes it first.
        /// </summary>
        public decimal ChangeBy(decimal settled, decimal freed) => Lease is null ? settled - freed
            : settled - freed + Math.Max(0, Lease.Granted - Spent - settled + freed) - Idle;

        public UsedRow RowAt(long at) => new(Entitlement, Period, Price.Name, UnitLease.BucketOf(at));
    }
}

/// <summary>Credit in units, and what is left of each.</summary>
internal sealed class UnitStock
{
    private readonly UnitGrant[] _grants;
    private readonly decimal[] _left, _considered;

    public UnitStock(IReadOnlyList<UnitGrant> grants)
    {
        _grants = [.. grants];
        _left = [.. grants.Select(g => g.Left)];
        _considered = new decimal[_left.Length];
    }

    public static UnitStock Empty { get; } = new([]);

    public bool IsEmpty => _grants.Length == 0;

    public decimal[] Left() => [.. _left];

    public void Consider() => _left.CopyTo(_considered, 0);

    public decimal ConsiderTaking(PurseAccount.Track track, decimal units, long at) =>
        Take(_considered, track, units, at, taken: null);

    public void Take(PurseAccount.Track track, decimal units, long at)
    {
        if (track.BurntOf.Length == 0) track.BurntOf = new decimal[_grants.Length];
        track.Burnt += Take(_left, track, units, at, track.BurntOf);
    }

    public void GiveBack(PurseAccount.Track track, decimal units) =>
        track.Burnt -= UnitCredit.GiveBack(_left, track.BurntOf, units);

    /// <summary>What is left for usage of these prices that a quota counts.</summary>
    public decimal LeftFor(List<PurseAccount.Track> tracks, Quota quota, long at)
    {
        var sum = 0m;
        for (var g = 0; g < _grants.Length; g++)
        {
            if (_left[g] <= 0 || _grants[g].Meter != quota.Meter) continue;
            foreach (var track in tracks)
            {
                if (track.Price.Meter != quota.Meter || !_grants[g].Covers(track.Price.Name, Known(at) ?? _grants[g].To - 1)) continue;
                sum += _left[g];
                break;
            }
        }

        return sum;
    }

    private decimal Take(decimal[] left, PurseAccount.Track track, decimal units, long at, decimal[]? taken) =>
        UnitCredit.Take(_grants, left, track.Price, Known(at), units, taken);

    /// <summary>The store knows usage by quarters of an hour, and so does the invoice.</summary>
    private static long? Known(long at) => at == long.MaxValue ? null : at - at % UsageStore.Bucket;
}
