using System.Data.Common;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Config;

/// <summary>A key by which a consumer signs tokens, as it is stored.</summary>
/// <param name="Name">What tokens name it by; no two have the same.</param>
/// <param name="Secret">Sealed by <see cref="TokenSecrets"/>; null for algorithms with a public key.</param>
/// <param name="PublicKey">PEM; null where there is a secret.</param>
/// <param name="Hint">What may be shown of the secret.</param>
public sealed record TokenCredentialRow(
    long Key, string Id, long ConsumerKey, string Name, string Algorithm, byte[]? Secret, string? PublicKey, string? Hint,
    string ManagedBy, long CreatedAt);

/// <summary>The SQL of keys by which consumers sign tokens. Inside the caller's transaction.</summary>
public static class TokenCredentialStore
{
    private const string Columns =
        "key, id, consumer_key, name, algorithm, secret, public_key, hint, managed_by, created_at";

    /// <summary>Adds one, or answers null when its name is taken, whosever it is.</summary>
    /// <param name="row">Without a key.</param>
    public static Task<TokenCredentialRow?> AddAsync(DbConnection db, TokenCredentialRow row) =>
        db.QueryFirstOrDefaultAsync<TokenCredentialRow?>(
            "insert into token_credentials (id, consumer_key, name, algorithm, secret, public_key, hint, managed_by, created_at) " +
            "values (@Id, @ConsumerKey, @Name, @Algorithm, @Secret, @PublicKey, @Hint, @ManagedBy, @CreatedAt) " +
            $"on conflict (name) do nothing returning {Columns}", row);

    public static async Task<IReadOnlyList<TokenCredentialRow>> AllAsync(DbConnection db) =>
        (await db.QueryAsync<TokenCredentialRow>($"select {Columns} from token_credentials order by key")).AsList();

    public static async Task<IReadOnlyList<TokenCredentialRow>> OfConsumerAsync(DbConnection db, long consumerKey) =>
        (await db.QueryAsync<TokenCredentialRow>(
            $"select {Columns} from token_credentials where consumer_key = @consumerKey order by key", new { consumerKey })).AsList();

    /// <summary>By id or by the name that tokens have for it.</summary>
    public static Task<TokenCredentialRow?> FindAsync(DbConnection db, long consumerKey, string idOrName) =>
        db.QueryFirstOrDefaultAsync<TokenCredentialRow?>(
            $"select {Columns} from token_credentials where consumer_key = @consumerKey and (id = @id or name = @idOrName) " +
            "order by id = @id desc limit 1",
            new { consumerKey, idOrName, id = Id<TokenCredential>.TryParse(idOrName, out var id) ? id.ToString() : "" });

    public static Task DeleteAsync(DbConnection db, TokenCredentialRow row) =>
        db.ExecuteAsync("delete from token_credentials where key = @Key", new { row.Key });
}
