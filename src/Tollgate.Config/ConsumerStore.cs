using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Config;

/// <summary>Who calls: an application of a customer.</summary>
/// <param name="CustomerKey">Who pays; none until it belongs to a customer.</param>
public sealed record ConsumerRow(
    long Key, string Id, string Username, string? CustomId, long? CustomerKey, string ManagedBy, long CreatedAt);

/// <summary>A key as it is stored: without the key.</summary>
/// <param name="Hint">What may be shown of it.</param>
/// <param name="SubscriptionId">The only subscription that it is good for; null: whichever of its customer's comes
/// first.</param>
public sealed record CredentialRow(
    long Key, string Id, long ConsumerKey, byte[] Hash, string Hint, string ManagedBy, long CreatedAt, long? ExpiresAt,
    long? RevokedAt, string? SubscriptionId);

/// <summary>The SQL of consumers, their credentials and their entitlements.</summary>
public sealed class ConsumerStore(Database database, TimeProvider clock)
{
    private const string Columns = "key, id, username, custom_id, customer_key, managed_by, created_at";
    /// <summary>Of a <see cref="CredentialRow"/>.</summary>
    public const string CredentialColumns =
        "key, id, consumer_key, hash, hint, managed_by, created_at, expires_at, revoked_at, subscription_id";

    /// <summary>By username, custom id, prefixed id or UUID.</summary>
    public Task<ConsumerRow?> FindAsync(string name) => database.ReadAsync(db => FindAsync(db, name));

    public static Task<ConsumerRow?> FindAsync(DbConnection db, string name) =>
        db.QueryFirstOrDefaultAsync<ConsumerRow?>(
            $"select {Columns} from consumers where username = @name or id = @id or custom_id = @name " +
            "order by username = @name desc limit 1",
            new { name, id = Id<Consumer>.TryParse(name, out var id) ? id.ToString() : null });

    public static Task<ConsumerRow?> FindAsync(DbConnection db, long key) =>
        db.QueryFirstOrDefaultAsync<ConsumerRow?>($"select {Columns} from consumers where key = @key", new { key });

    /// <summary>In the order of their creation, after the key given.</summary>
    public Task<IReadOnlyList<ConsumerRow>> ListAsync(long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<ConsumerRow>)(await db.QueryAsync<ConsumerRow>(
            $"select {Columns} from consumers where key > @after order by key limit @limit",
            new { after, limit })).AsList());

    public static async Task<IReadOnlyList<ConsumerRow>> OfCustomerAsync(DbConnection db, long customerKey) =>
        (await db.QueryAsync<ConsumerRow>(
            $"select {Columns} from consumers where customer_key = @customerKey order by key",
            new { customerKey })).AsList();

    /// <summary>The consumers whose customer is entitled to a plan now or later, in the order of their creation.
    /// </summary>
    public async Task<IReadOnlyList<ConsumerRow>> EntitledToAsync(
        DbConnection db, string planId, long after, int limit) =>
        (await db.QueryAsync<ConsumerRow>(
            $"select {Columns} from consumers where key > @after and customer_key in " +
            "(select customer_key from entitlements where plan_id = @planId and (end_at is null or end_at > @now)) " +
            "order by key limit @limit",
            new { planId, after, limit, now = Micros.Now(clock) })).AsList();

    /// <summary>Gives a consumer other names; its keys, its limits and what it used stay. False: one of them is another's.</summary>
    public static async Task<bool> RenameAsync(DbConnection db, ConsumerRow row, string username, string? customId)
    {
        var taken = await db.ExecuteScalarAsync<int>(
            "select count(*) from consumers where key <> @Key and (username = @username or custom_id = @customId)",
            new { row.Key, username, customId });
        if (taken > 0) return false;
        await db.ExecuteAsync("update consumers set username = @username, custom_id = @customId where key = @Key",
            new { row.Key, username, customId });
        return true;
    }

    /// <summary>Adds a consumer, or answers null when its username, its custom id or the id that it shall have is taken.</summary>
    public async Task<ConsumerRow?> AddAsync(
        DbConnection db, string username, string? customId, long? customerKey, ManagedBy by, Id<Consumer>? given = null)
    {
        var id = (given ?? Id<Consumer>.New(clock)).ToString();
        var taken = await db.ExecuteScalarAsync<int>(
            "select count(*) from consumers where username = @username or custom_id = @customId or id = @id",
            new { username, customId, id });
        if (taken > 0) return null;
        return await db.QuerySingleAsync<ConsumerRow>(
            "insert into consumers (id, username, custom_id, customer_key, managed_by, created_at) " +
            $"values (@id, @username, @customId, @customerKey, @by, @now) returning {Columns}",
            new
            {
                id,
                username,
                customId,
                customerKey,
                by = ConfigStore.NameOf(by),
                now = Micros.Now(clock),
            });
    }

    public static Task SetCustomerAsync(DbConnection db, long consumerKey, long customerKey) => db.ExecuteAsync(
        "update consumers set customer_key = @customerKey where key = @consumerKey", new { consumerKey, customerKey });

    /// <summary>Removes a consumer and its credentials; its usage stays.</summary>
    public static async Task DeleteAsync(DbConnection db, long consumerKey)
    {
        await db.ExecuteAsync("delete from access_groups where consumer_key = @consumerKey", new { consumerKey });
        await db.ExecuteAsync("delete from token_credentials where consumer_key = @consumerKey", new { consumerKey });
        await db.ExecuteAsync("delete from credentials where consumer_key = @consumerKey", new { consumerKey });
        await db.ExecuteAsync("delete from consumers where key = @consumerKey", new { consumerKey });
    }

    /// <summary>Adds a credential, or answers null when the same key is known already, whosever it is.</summary>
    public async Task<CredentialRow?> AddCredentialAsync(
        DbConnection db, long consumerKey, byte[] hash, string hint, ManagedBy by, long? expiresAt = null,
        string? subscriptionId = null) =>
        await db.QueryFirstOrDefaultAsync<CredentialRow?>(
            "insert into credentials (id, consumer_key, hash, hint, managed_by, created_at, expires_at, subscription_id) " +
            "values (@id, @consumerKey, @hash, @hint, @by, @now, @expiresAt, @subscriptionId) on conflict (hash) do nothing " +
            $"returning {CredentialColumns}",
            new
            {
                id = Id<Credential>.New(clock).ToString(),
                consumerKey,
                hash,
                hint,
                by = ConfigStore.NameOf(by),
                now = Micros.Now(clock),
                expiresAt,
                subscriptionId,
            });

    public static async Task<IReadOnlyList<CredentialRow>> CredentialsAsync(DbConnection db, long consumerKey) =>
        (await db.QueryAsync<CredentialRow>(
            $"select {CredentialColumns} from credentials where consumer_key = @consumerKey order by key",
            new { consumerKey })).AsList();

    /// <summary>A page of them.</summary>
    public static async Task<IReadOnlyList<CredentialRow>> CredentialsAsync(
        DbConnection db, long consumerKey, long after, int limit) => (await db.QueryAsync<CredentialRow>(
            $"select {CredentialColumns} from credentials where consumer_key = @consumerKey and key > @after " +
            "order by key limit @limit", new { consumerKey, after, limit })).AsList();

    public static Task<CredentialRow?> FindCredentialAsync(DbConnection db, long consumerKey, string credentialId) =>
        db.QueryFirstOrDefaultAsync<CredentialRow?>(
            $"select {CredentialColumns} from credentials where consumer_key = @consumerKey and id = @id",
            new { consumerKey, id = Id<Credential>.TryParse(credentialId, out var id) ? id.ToString() : credentialId });

    /// <summary>Lets a credential end at an instant, unless it ends before.</summary>
    public static Task EndCredentialAsync(DbConnection db, long key, long endAt) => db.ExecuteAsync(
        "update credentials set expires_at = @endAt where key = @key and (expires_at is null or expires_at > @endAt)",
        new { key, endAt });

    /// <summary>Revokes a credential; the row stays, so that its caller hears "revoked". False: no such one.</summary>
    public async Task<bool> RevokeAsync(DbConnection db, long consumerKey, string credentialId) =>
        await db.ExecuteAsync(
            "update credentials set revoked_at = coalesce(revoked_at, @now) " +
            "where consumer_key = @consumerKey and id = @id",
            new
            {
                consumerKey,
                id = Id<Credential>.TryParse(credentialId, out var id) ? id.ToString() : credentialId,
                now = Micros.Now(clock),
            }) > 0;

    /// <summary>Removes a credential, so that the same key may be added again. False: no such one.</summary>
    public static async Task<bool> DeleteCredentialAsync(DbConnection db, CredentialRow credential) =>
        await db.ExecuteAsync("delete from credentials where key = @Key", new { credential.Key }) > 0;
}
