using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>What a purse holds, and how far its usage is on invoices.</summary>
/// <param name="Units">Credit in units, in the order in which it is burnt.</param>
/// <param name="Settled">By subscription: up to when usage is on invoices.</param>
internal sealed record PurseTerms(
    IReadOnlyList<Balance> Balances, IReadOnlyList<UnitGrant> Units, IReadOnlyDictionary<string, long> Settled)
{
    public static PurseTerms None { get; } = new([], [], new Dictionary<string, long>());

    public bool IsNone => Balances.Count + Units.Count == 0;

    /// <summary>The same on every node that has the same terms.</summary>
    public string Mark => field ??= PurseMark.Of(this);

    /// <summary>Stands for all instants that make no difference to these terms.</summary>
    public long ClassOf(long at)
    {
        if (Units.Count > 0 || Balances.Count == 0) return UnitLease.BucketOf(at);
        var (first, last) = (Balances.Min(b => b.Since), Balances.Max(b => b.Since));
        return at < first ? first - 1 : at < last ? first : last;
    }

    public bool Equals(PurseTerms? other) => other is not null && Balances.SequenceEqual(other.Balances)
        && Units.SequenceEqual(other.Units) && Settled.Count == other.Settled.Count
        && Settled.All(s => other.Settled.TryGetValue(s.Key, out var at) && at == s.Value);

    public override int GetHashCode() => HashCode.Combine(Balances.Count, Units.Count, Settled.Count);
}

/// <summary>A balance that does not cover a call, and what has been taken from it.</summary>
public sealed record Shortage(Balance Balance, decimal Used);
