using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

public sealed class CommitmentId : IIdentified { public static string IdPrefix => "cmt"; private CommitmentId() { } }

/// <summary>The least, or the most, that a subscription spends in each of its periods on usage and fees in arrears.
/// </summary>
/// <param name="Kind"><c>minimum</c> or <c>maximum</c>.</param>
/// <param name="Amount">For a whole period, in minor units.</param>
public sealed record CommitmentRow(
    long Key, string Id, long SubscriptionKey, string Kind, string Currency, long Amount, long StartAt, long? EndAt,
    long CreatedAt, string Subscription)
{
    public const string Minimum = "minimum", Maximum = "maximum";
}

/// <summary>The SQL of commitments.</summary>
public sealed class CommitmentStore(Database database, TimeProvider clock)
{
    private const string Columns = "key, id, subscription_key, kind, currency, amount, start_at, end_at, created_at, " +
        "(select s.id from subscriptions s where s.key = subscription_key) as subscription";

    public Task<CommitmentRow?> FindAsync(string id) => database.ReadAsync(db =>
        db.QueryFirstOrDefaultAsync<CommitmentRow?>($"select {Columns} from commitments where id = @id", new { id }));

    public Task<IReadOnlyList<CommitmentRow>> ListAsync(long? subscriptionKey, long after, int limit) =>
        database.ReadAsync(async db => (IReadOnlyList<CommitmentRow>)(await db.QueryAsync<CommitmentRow>(
            $"select {Columns} from commitments where key > @after " +
            (subscriptionKey is null ? "" : "and subscription_key = @subscriptionKey ") + "order by key limit @limit",
            new { after, limit, subscriptionKey })).AsList());

    public static async Task<IReadOnlyList<CommitmentRow>> OfAsync(DbConnection db, long subscriptionKey) =>
        (await db.QueryAsync<CommitmentRow>(
            $"select {Columns} from commitments where subscription_key = @subscriptionKey order by key",
            new { subscriptionKey })).AsList();

    /// <summary>Ends it at an instant, earlier or later than before; what is issued stays.</summary>
    /// <returns>Null when there is none.</returns>
    public static Task<CommitmentRow?> EndAsync(DbConnection db, string id, long endAt) =>
        db.QueryFirstOrDefaultAsync<CommitmentRow?>(
            $"update commitments set end_at = @endAt where id = @id returning {Columns}", new { id, endAt });

    public Task<CommitmentRow> AddAsync(
        long subscriptionKey, string kind, Money amount, (long Start, long? End) time) => database.WriteAsync(
        db => db.QuerySingleAsync<CommitmentRow>(
            "insert into commitments (id, subscription_key, kind, currency, amount, start_at, end_at, created_at) values " +
            $"(@id, @subscriptionKey, @kind, @Code, @MinorUnits, @Start, @End, @now) returning {Columns}",
            new
            {
                id = Id<CommitmentId>.New(clock).ToString(),
                subscriptionKey,
                kind,
                amount.Currency.Code,
                amount.MinorUnits,
                time.Start,
                time.End,
                now = Micros.Now(clock),
            }));
}
