namespace Tollgate.Gateway;

/// <content>What other nodes have used and hold, and what this one has leased.</content>
internal sealed partial class PurseAccount
{
    public IReadOnlyList<Track> Tracks => _tracks;

    /// <summary>What more of one price would add, for <see cref="Amount"/>.</summary>
    public void Consider(Track only, decimal units, long at, UnitStock stock)
    {
        foreach (var track in _tracks) (track.Extra, track.ExtraBurnt) = (0, 0);
        only.Extra = units;
        if (stock.IsEmpty || units <= 0) return;
        stock.Consider();
        only.ExtraBurnt = stock.ConsiderTaking(only, Demand(only, units), at);
    }

    /// <summary>Up to which number this node may go.</summary>
    public void Grant(Track track, decimal granted, UnitStock stock)
    {
        var lease = track.Lease!;
        Burn(track, Math.Max(0, granted - track.Spent) - track.Idle, lease.LastAt, 0, stock);
        lease.Granted = granted;
    }

    /// <summary>Reserves out of the lease, and what is beyond it on top.</summary>
    public void ReserveLeased(Track track, decimal units, long at, UnitStock stock)
    {
        if (units == 0) return;
        (track.Lease ??= new UnitLease()).LastAt = at;
        Burn(track, track.ChangeBy(0, -units), at, 0, stock);
        track.Reserved += units;
    }

    /// <summary>Other nodes hold so much more, or less.</summary>
    /// <param name="before">Bits of the balances that it came before.</param>
    /// <param name="stock">Null when credit in units has paid for it already.</param>
    public void Hold(Track track, decimal units, long at, uint before, UnitStock? stock)
    {
        if (stock is not null) Burn(track, units, at, before, stock);
        track.Elsewhere += units;
        Before(track, units, before);
    }

    /// <summary>This node has settled so much behind the base.</summary>
    /// <inheritdoc cref="Hold"/>
    public void RestoreOwn(Track track, decimal units, long at, uint before, UnitStock? stock)
    {
        if (stock is not null) Burn(track, units, at, before, stock);
        track.Settled += units;
        track.Own += units;
        Before(track, units, before);
    }

    /// <summary>The price of this name in the terms of a charge; null when they have none.</summary>
    public Track? Find(in Charge charge, string price) => Array.Find(TracksOf(charge), t => t.Price.Name == price);

    private void Before(Track track, decimal units, uint before)
    {
        for (var s = 0; s < sides; s++)
            if ((before & (1u << s)) != 0) track.Before[s] += units;
    }
}
