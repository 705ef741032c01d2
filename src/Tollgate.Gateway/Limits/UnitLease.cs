using Tollgate.Metering;

namespace Tollgate.Gateway;

/// <summary>What this node may use of one price on its own, out of what all nodes together may. Guarded by the purse.</summary>
internal sealed class UnitLease
{
    /// <summary>Up to which number what this node has used and reserved since the base may go; so much is counted as used.
    /// </summary>
    public decimal Granted { get; set; }

    /// <summary>The same, as far as the others know of it already.</summary>
    public decimal Usable { get; set; }

    public long ExpiresAt { get; set; }

    /// <summary>Units that calls wait for.</summary>
    public decimal Demand { get; set; }

    /// <summary>What the last call needed.</summary>
    public decimal Need { get; set; }

    public long UsedAt { get; set; }

    /// <summary>Business time of the last call.</summary>
    public long LastAt { get; set; }

    public long AskedAt { get; set; }

    public decimal SpentThen { get; set; }

    /// <summary>What was leased then and not used yet.</summary>
    public decimal IdleThen { get; set; }

    /// <summary>The balance that did not cover all that calls waited for; null when all was covered.</summary>
    public Shortage? Short { get; set; }

    /// <summary>Until then asking again would be told the same.</summary>
    public long ShortUntil { get; set; }

    public static long BucketOf(long at) => at - at % UsageStore.Bucket;

    public decimal RoomAt(long now, decimal spent) => now < ExpiresAt ? Usable - spent : 0;

    public bool IsDue(long now, decimal room) => now - AskedAt > SharedCount.Due || room < IdleThen / 4;

    public void Use(decimal units, long now, long at) => (Need, UsedAt, LastAt) = (units, now, at);
}
