using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <content>
/// Which kinds of quotas are counted: those of the terms in force, and for whoever goes back to them some of those that
/// were. What is forgotten the store still knows: <see cref="QuotaSeeding"/> asks it when such a quota comes back.
/// </content>
internal sealed partial class Pool
{
    /// <summary>Kinds that are counted, unless more are in force or calls of theirs are under way.</summary>
    internal const int MostSlots = 32;

    private int _slotsMade;

    /// <summary>How many kinds are counted now.</summary>
    internal int Kinds
    {
        get
        {
            lock (this) return _slots.Length;
        }
    }

    /// <summary>Where the quotas of these terms are counted; those that nobody has counted yet are added, and count from
    /// now on. What was used before is for <see cref="TryRestore"/>.</summary>
    /// <param name="terms">What is in force.</param>
    /// <param name="of">Whose periods are meant.</param>
    /// <param name="now">Microseconds UTC.</param>
    /// <param name="areOwn">Limits among them are those of one consumer.</param>
    internal BoundTerms Bind(Terms terms, Entitlement of, long now, bool areOwn = false) => new(terms, SlotsOf(terms, of, now), areOwn);

    /// <inheritdoc cref="Bind"/>
    internal QuotaSlot[] SlotsOf(Terms terms, Entitlement of, long now)
    {
        lock (this)
        {
            now = _latest = Math.Max(now, _latest);
            foreach (var limit in terms.Limits)
                if (limit.By == LimitScope.Ip && limit.Unit > _longestByAddress) _longestByAddress = limit.Unit;
            var slots = new QuotaSlot[terms.Quotas.Length];
            for (var q = 0; q < slots.Length; q++)
            {
                var quota = terms.Quotas[q];
                var calendar = quota.Quota.Per.CalendarFor(of);
                if (Find(quota) is { } known)
                {
                    known.GoOn(quota, calendar, now);
                    slots[q] = known;
                    continue;
                }

                slots[q] = new QuotaSlot(quota, calendar, now, _slotsMade++);
                // nobody writes into either
                _slots = slots.Length == 1 && _slots.Length == 0 ? slots : [.. _slots, slots[q]];
            }

            return slots;
        }
    }

    private QuotaSlot? Find(CompiledQuota quota)
    {
        foreach (var slot in _slots)
            if (slot.CountsLike(quota)) return slot;
        return null;
    }

    /// <summary>Forgets the oldest kinds beyond <see cref="MostSlots"/> that no terms in force have. Not those with calls
    /// under way or a lease: when they came back, nobody would know of what is reserved.</summary>
    internal void Forget(IReadOnlyCollection<BoundTerms> inForce)
    {
        lock (this)
        {
            var surplus = _slots.Length - MostSlots;
            if (surplus <= 0) return;
            _slots = Array.FindAll(
                _slots, s => !IsAtRest(s) || inForce.Any(b => b.Slots.Contains(s)) || surplus-- <= 0);
        }
    }

    private bool IsAtRest(QuotaSlot slot) =>
        slot.Reserved == 0 && (leases is null || slot.Share?.IsAtRest(leases.Now) != false);
}
