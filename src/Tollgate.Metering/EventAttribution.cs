using System.Data.Common;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>Reads the stretches of terms of a customer, or those of one subscription.</summary>
public delegate Task<IReadOnlyList<Entitlement>> ReadTerms(DbConnection db, long customerKey);

/// <summary>Whose usage it is: what is stamped on it in the rollups.</summary>
internal readonly record struct Attributed(int Entitlement, int Period, int Consumer, int Customer);

/// <summary>
/// Finds whose an event is: its subject is a consumer (username, custom id or id), a customer (name or id) or a
/// subscription (id), in this order, and the usage belongs to the subscription that the gate would choose at the time
/// of the event. What was found is kept until something about customers changes.
/// </summary>
internal sealed class EventAttribution(ReadTerms terms)
{
    private const int AtOnce = 200;
    private const int MostKnown = 200_000;

    // null: nobody knows the subject
    private readonly Dictionary<int, Party?> _known = [];
    private volatile bool _stale = true;

    /// <summary>A consumer, customer or subscription changed. Any thread may say so.</summary>
    public void Forget() => _stale = true;

    /// <summary>Whether something changed since the last time that this was asked.</summary>
    public bool IsStale => _stale;

    /// <summary>Reads what is not known yet about these subjects, inside the drain's transaction.</summary>
    public async Task LearnAsync(DbConnection db, IEnumerable<int> subjects)
    {
        if (_stale || _known.Count > MostKnown)
        {
            _stale = false;
            _known.Clear();
        }

        foreach (var keys in subjects.Distinct().Where(s => !_known.ContainsKey(s)).Chunk(AtOnce))
        {
            foreach (var key in keys) _known[key] = null;
            var rows = await db.QueryAsync<SubjectRow>(
                "select s.key, s.subject, con.key as consumer, coalesce(con.customer_key, cus.key, " +
                "(select min(e.customer_key) from entitlements e where e.subscription_id = s.subject)) as customer " +
                "from event_subjects s left join consumers con on con.key = coalesce(" +
                "(select c.key from consumers c where c.username = s.subject), " +
                "(select c.key from consumers c where c.custom_id = s.subject), " +
                "(select c.key from consumers c where c.id = s.subject)) " +
                "left join customers cus on con.key is null and cus.key = coalesce(" +
                "(select c.key from customers c where c.name = s.subject), " +
                "(select c.key from customers c where c.id = s.subject)) where s.key in @keys", new { keys });
            foreach (var row in rows)
            {
                if (row.Customer is not { } customer) continue;
                var all = await terms(db, customer);
                var own = all.Where(e => e.SubscriptionId == row.Subject).ToArray();
                _known[(int)row.Key] = new Party((int)(row.Consumer ?? 0), own.Length > 0 ? own : all);
            }
        }
    }

    /// <summary>Whose a learned subject's usage at an instant is; null while it is nobody's.</summary>
    public Attributed? Of(int subject, long at) => _known.GetValueOrDefault(subject)?.At(at);

    /// <summary>Who a subject is, with all the terms that ever held.</summary>
    private sealed class Party
    {
        private readonly int _consumer;
        private readonly Stretch[] _stretches;

        public Party(int consumer, IReadOnlyList<Entitlement> terms)
        {
            _consumer = consumer;

            // the same order as the gate's: highest priority first, then the older subscription
            _stretches =
            [
                .. from t in terms
                   group t by t.SubscriptionId into subscription
                   from t in subscription
                   orderby t.Priority descending, subscription.Min(s => s.Key), t.Key
                   select new Stretch(t),
            ];
        }

        public Attributed? At(long at)
        {
            foreach (var stretch in _stretches)
                if (stretch.Holds(at)) return new Attributed(stretch.Key, stretch.PeriodAt(at), _consumer, stretch.Customer);
            return null;
        }
    }

    private sealed class Stretch(Entitlement terms)
    {
        private readonly BillingCalendar _calendar = terms.Calendar;

        public int Key => terms.Key;

        public int Customer => terms.CustomerKey;

        public bool Holds(long at) => terms.StartAt <= at && at < (terms.EndAt ?? long.MaxValue);

        /// <summary>Most events of a batch lie in one period.</summary>
        public int PeriodAt(long at) => _calendar.At(at).Index;
    }

    private sealed record SubjectRow
    {
        public long Key { get; init; }

        public string Subject { get; init; } = "";

        public long? Consumer { get; init; }

        public long? Customer { get; init; }
    }
}
